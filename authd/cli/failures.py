"""What is said of a failure, in the caller's language: a sentence for each kind of it, with the detail as it came.

Sentences of argparse and of the door are English. Those that people meet stand in `authd/locale/en` word for word, and
are found again by that: `authd/locale/ja` says the same.
"""

from __future__ import annotations

import errno
import re
from typing import Final

from authd.locale import catalogue, text

KINDS: Final = {
    "ConfigError": "settings",
    "BadSettings": "settings",
    "ManifestError": "settings",
    "RegistryError": "settings",
    "BadText": "policy",
    "KeyFault": "key",
    "VaultError": "vault",
    "RotatorError": "rotator",
    "BadTable": "table",
    "BadPrints": "prints",
    "BadNumber": "number",
    "CrewError": "workers",
    "StoreDamaged": "store",
    "CorruptError": "store",
    "NotADBError": "store",
    "Error": "store",
    "ClientError": "silent",
}
"""Class -> kind. By their names: a verb loads only the modules that it needs."""
_HOLE: Final = re.compile(r"\\\{([a-z_]+)\\\}")


def words(error: BaseException, language: str) -> str:
    """Return what is wrong and what to do, on one line where the detail is one."""
    bases = [each.__name__ for each in type(error).__mro__]
    if code := getattr(error, "code", "") if "DoorError" in bases else "":
        return _of_door(code, getattr(error, "message", ""), language)
    if isinstance(error, TimeoutError) and not error.args:
        return text("failure.late", language)
    if isinstance(error, OSError):
        return of_file(error, language)
    if "PortError" in bases and not {"StoreDamaged", "NoReader"} & set(bases):
        return _of_port(str(error), language)
    kind = next((KINDS[name] for name in bases if name in KINDS), None)
    return str(error) if kind is None else text(f"failure.{kind}", language, said=error)


def of_file(error: OSError, language: str) -> str:
    """Return which file, what the system said of it, and what to do."""
    why = why_of(error, language)
    return text("failure.file", language, file=error.filename, why=why) if error.filename else why


def why_of(error: OSError, language: str) -> str:
    """Return what the system said, and what to do where it is one of the ordinary faults."""
    id_ = f"file_fault.{errno.errorcode.get(error.errno or 0, '')}"
    return text(id_, language) if id_ in catalogue(language) else error.strerror or str(error)


def of_usage(message: str, prog: str, language: str) -> str:
    """Return what argparse said of the command line."""
    return text("usage.wrong", language, said=_of_argument(message, language), prog=prog)


def _of_argument(message: str, language: str) -> str:
    name, found, rest = message.partition(": ")
    if found and name.startswith("argument "):
        inner = _of_argument(rest, language)
        return text("argparse.argument", language, option=name.removeprefix("argument "), rest=inner)
    return again("argparse", message, language)


def _of_door(code: str, message: str, language: str) -> str:
    why = again("refusal", message, language)
    said = (f"{code}: {why}" if language == "en" else why) if why else code
    id_ = f"door_fault.{code}"
    return text(id_ if id_ in catalogue(language) else "door_fault.other", language, said=said)


def _of_port(said: str, language: str) -> str:
    trouble = f"trouble.{said}"
    return text(trouble, language) if trouble in catalogue(language) else text("failure.port", language, said=said)


def again(table: str, sentence: str, language: str) -> str:
    """Return the sentence in this language if English has it in the table, else as it is."""
    for id_, english in catalogue("en").items():
        if id_.startswith(f"{table}.") and (found := _pattern(english).fullmatch(sentence)):
            return text(id_, language, **found.groupdict())
    return sentence


def _pattern(sentence: str) -> re.Pattern[str]:
    return re.compile(_HOLE.sub(r"(?P<\1>.+)", re.escape(sentence)), re.DOTALL)
