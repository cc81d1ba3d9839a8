"""Whose finger, and which: the names fprintd is given, and what goes from the reader to the checker. JSON, short.

    Claimed     {"account", "finger", "fingers": [...], "nonce"}: the finger that matched ("" where the service does
                not say), and all that the service keeps of this account
    Enrolled    {"account", "finger", "nonce"}
    credential  {"account", "finger"}
    reference   `account` (any finger of theirs) or `account/finger`

Parsers: `read_claimed`, `read_enrolled`, `read_credential`, `read_reference`, `finger_named`: value or `DriverError`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from authd.driver import DriverError, Fault

FINGERS: Final = tuple(
    f"{side}-{name}"
    for side in ("right", "left")
    for name in ("thumb", *map("{}-finger".format, ("index", "middle", "ring", "little")))
)
"""fprintd's names, in the order of authd's own."""
ANY: Final = "any"
MAX_RECORD = 4_096
_ACCOUNT = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Stricter than fprintd, which makes a path of its store of whatever it is given."""
_NONCE = re.compile(r"[\x21-\x7e]{1,256}")


@dataclass(frozen=True, slots=True)
class Print:
    """One finger of one account; finger "": any, or not known."""

    account: str
    finger: str = ""

    @property
    def name(self) -> str:
        """As a reference."""
        return f"{self.account}/{self.finger}" if self.finger else self.account


@dataclass(frozen=True, slots=True)
class Match:
    """What the service said under this nonce. fingers: all that it keeps of the account."""

    print: Print
    fingers: tuple[str, ...]
    nonce: str


def account_named(text: str) -> str:
    """Return the account if it is one. Raises `DriverError`."""
    if not _ACCOUNT.fullmatch(text):
        raise DriverError(Fault.PROTOCOL, "no name of an account")
    return text


def finger_named(text: str) -> str:
    """Return fprintd's name of a finger, from that or from authd's (`right_index`). Raises `DriverError`.

    Never leave this to fprintd: a name that it does not know means any finger to it.
    """
    side, _, rest = text.partition("_")
    name = f"{side}-{rest}" if rest == "thumb" else f"{side}-{rest}-finger" if rest else text
    if name not in FINGERS:
        raise DriverError(Fault.PROTOCOL, "no name of a finger")
    return name


def read_reference(text: str) -> Print:
    """Read `account` or `account/finger`. Raises `DriverError`."""
    account, slash, finger = text.partition("/")
    return Print(account_named(account), finger_named(finger) if slash else "")


def credential(which: Print) -> bytes:
    """Return what is kept."""
    return _json(account=which.account, finger=which.finger)


def enrolled(which: Print, nonce: str) -> bytes:
    """Return what an enrolment ends with."""
    return _json(account=which.account, finger=which.finger, nonce=nonce)


def claimed(match: Match) -> bytes:
    """Return what a verification ends with."""
    which = match.print
    return _json(account=which.account, finger=which.finger, fingers=list(match.fingers), nonce=match.nonce)


def read_credential(data: bytes) -> Print:
    """Read what is kept. Raises `DriverError`."""
    return _print(_object(data, {"account", "finger"}))


def read_enrolled(data: bytes) -> tuple[Print, str]:
    """Read what an enrolment ended with: the print and the nonce. Raises `DriverError`."""
    made = _object(data, {"account", "finger", "nonce"})
    return _print(made), _nonce(made["nonce"])


def read_claimed(data: bytes) -> Match:
    """Read what a verification ended with. Raises `DriverError`."""
    made = _object(data, {"account", "finger", "fingers", "nonce"})
    kept = tuple(map(_finger, _items(made["fingers"])))
    which = Print(account_named(_text(made["account"])), _finger(made["finger"]) if made["finger"] != "" else "")
    if not kept or len(set(kept)) < len(kept) or (which.finger and which.finger not in kept):
        raise _bad("fingers")
    return Match(which, kept, _nonce(made["nonce"]))


def _json(**fields: object) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()


def _object(data: bytes, keys: set[str]) -> dict[str, Any]:
    if len(data) > MAX_RECORD:
        raise _bad("too long")
    try:
        made: object = json.loads(data)
    except (ValueError, RecursionError):
        raise _bad("not JSON") from None
    if not isinstance(made, dict):
        raise _bad("not an object")
    found = cast("dict[str, Any]", made)
    if set(found) != keys:
        raise _bad("its fields")
    return found


def _items(value: object) -> Sequence[object]:
    if not isinstance(value, list):
        raise _bad("not a list")
    items: Sequence[object] = cast("list[object]", value)
    if len(items) > len(FINGERS):
        raise _bad("too many")
    return items


def _print(made: dict[str, Any]) -> Print:
    return Print(account_named(_text(made["account"])), _finger(made["finger"]))


def _finger(value: object) -> str:
    if not isinstance(value, str) or value not in FINGERS:
        raise _bad("finger")
    return value


def _nonce(value: object) -> str:
    text = _text(value)
    if not _NONCE.fullmatch(text):
        raise _bad("nonce")
    return text


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _bad("not a text")
    return value


def _bad(what: str) -> DriverError:
    return DriverError(Fault.PROTOCOL, f"fprintd's record: {what}")
