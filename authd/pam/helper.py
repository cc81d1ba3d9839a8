"""For `pam_exec`, where there is no compiler: asks the door as the C module does, with the standard library alone.

`pam_exec` can neither set PAM_USER nor tell a refusal from a daemon that is down: what is not yes is an error to it.
"""

from __future__ import annotations

import json
import os
import re
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any, Final, cast

OK, REFUSED, SETUP, GONE = 0, 1, 2, 3
SILENCE_S: Final = 2.0
GRACE_S: Final = 5.0
LONGEST: Final = 4_096
FLAGS: Final = frozenset({"login", "keep_user", "any_host", "quiet", "cue"})
NAMES: Final = frozenset({"seat", "application", "socket", "lang", "acr", "timeout", "max_age"})
SETUP_ERRORS: Final = frozenset({"not_permitted", "unknown_verb", "bad_request", "not_found", "refused"})
HERE: Final = frozenset({"", "localhost", "127.0.0.1", "::1", "[local]"})
_NAME: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_ACCOUNT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,62}")


class Gone(Exception):
    """The daemon is not there, or says nothing that can be understood."""


class Setup(Exception):
    """The options, or authd.toml, have to be changed."""


def main(options: Sequence[str], environment: Mapping[str, str], out: IO[str]) -> int:
    """Ask for the person of PAM_USER; exit code 0 lets them in, and nothing else does."""
    said: Mapping[str, str] = {}
    try:
        said = read(options)
        why = _refused_before(said, environment) or ask(said, environment, lambda word: _tell(said, "say", word, out))
    except Setup as error:
        sys.stderr.write(f"{error}\n")
        why = "setup"
    except (Gone, OSError):
        why = "gone"
    if why == "yes":
        return OK
    _tell(said, "why", why, out)
    return {"setup": SETUP, "gone": GONE, "unavailable": GONE}.get(why, REFUSED)


def read(options: Sequence[str]) -> Mapping[str, str]:
    """Read options as the module's: `login`, `seat=counter-1`. Raises `Setup`."""
    found = {"socket": "/run/authd-seat/door.sock", "timeout": "30"}
    for each in options:
        name, _, value = each.partition("=")
        if each not in FLAGS and (name not in NAMES or not value):
            raise Setup(f"unknown option: {each[:64]!r}")
        found[name] = value or "yes"
    return found


def ask(said: Mapping[str, str], environment: Mapping[str, str], tell: Callable[[str], None]) -> str:
    """Return the outcome. Raises `Gone`, `Setup`, `OSError`."""
    user = "" if "keep_user" in said else environment.get("PAM_USER", "")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.settimeout(SILENCE_S)
        door.connect(said["socket"])
        if not _trusted(door, said["socket"]):
            raise Gone
        door.sendall(_request(said, user, environment.get("PAM_SERVICE", "")))
        for item in _items(door, _now() + int(said["timeout"]) + GRACE_S):
            if "outcome" in item:
                return _believed(item, user)
            tell(str(item.get("say", "")))
    raise Gone


def _believed(item: Mapping[str, Any], user: str) -> str:
    """A yes is one for a whole person, and for the account that was named. Raises `Gone`."""
    account, session = str(item.get("account", "")), str(item.get("session", ""))
    if item["outcome"] != "yes":
        return str(item["outcome"])
    if not (_ACCOUNT.fullmatch(account) and _NAME.fullmatch(session)):
        raise Gone
    return "other" if user and account != user else "yes"


def _trusted(door: socket.socket, path: str) -> bool:
    """The folder is nobody else's to write, and who listens is its owner."""
    folder = os.stat(os.path.dirname(path) or "/")  # noqa: PTH116, PTH120 - pathlib would double the start-up
    uid = struct.unpack("iII", door.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
    return not folder.st_mode & 0o022 and bool(uid == folder.st_uid)


def _refused_before(said: Mapping[str, str], environment: Mapping[str, str]) -> str:
    host, user = environment.get("PAM_RHOST", ""), environment.get("PAM_USER", "")
    if "any_host" not in said and host not in HERE | {socket.gethostname()}:
        return "elsewhere"
    return "other" if "keep_user" not in said and user and not _ACCOUNT.fullmatch(user) else ""


def _request(said: Mapping[str, str], user: str, service: str) -> bytes:
    """The question as one line. Raises `Setup`."""
    names = {name: said[name] for name in ("seat", "application") if name in said}
    if not all(_NAME.fullmatch(each) for each in names.values()):
        raise Setup("a seat or an application has 1 to 64 of A-Z a-z 0-9 _ . : -")
    numbers = {"within": said["timeout"], **({"max_age": said["max_age"]} if "max_age" in said else {})}
    if not all(re.fullmatch("[0-9]{1,5}", each) for each in numbers.values()):
        raise Setup("timeout and max_age are seconds")
    whole: dict[str, object] = {"id": 1, "verb": "authenticate", **names, **{n: int(v) for n, v in numbers.items()}}
    whole |= {"user": user} if user else {}
    whole |= {"service": service} if re.fullmatch("[A-Za-z0-9_.-]{1,32}", service) else {}
    whole |= {"login": True} if "login" in said else {}
    whole |= {"acr": f"authd:{said['acr']}"} if "acr" in said else {}
    return json.dumps(whole).encode() + b"\n"


def _items(door: socket.socket, until: float) -> Iterator[Mapping[str, Any]]:
    """Yield what the seat says, and the outcome. Raises `Gone`, `Setup`, `OSError`."""
    with door.makefile("rb") as lines:
        while (line := lines.readline(LONGEST)).endswith(b"\n") and _now() < until:
            try:
                frame: Any = json.loads(line)
            except (ValueError, RecursionError):
                raise Gone from None
            if not isinstance(frame, dict):
                raise Gone
            members = cast("dict[str, Any]", frame)
            if members.get("ok") is False:
                error = str(members.get("error"))
                raise Setup(f"the door: {error}") if error in SETUP_ERRORS else Gone
            if members.get("id") != 1:
                raise Gone
            if isinstance(members.get("item"), dict):
                yield members["item"]
    raise Gone


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _tell(said: Mapping[str, str], kind: str, word: str, out: IO[str]) -> None:
    from authd.pam import words  # only where there is something to say

    language = "ja" if (said.get("lang") or _language()).startswith("ja") else "en"
    text = words.say(word, language) if kind == "say" else words.why(word, language)
    if text and "quiet" not in said:
        out.write(f"{text}\n")
        out.flush()


def _language() -> str:
    return next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
