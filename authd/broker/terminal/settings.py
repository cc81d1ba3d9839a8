"""`[terminal.NAME]` of broker.toml: one emulator at one seat, the host behind it, and what its screens say.

[terminal.counter-1]
seat = "counter-1"
application = "host"                       # of authd.toml: its `account` says what the host calls a person
port = 4001                                # loopback; the emulator's own option: x3270 -scriptport 4001
command = ["x3270", "-utf8", "-scriptport", "127.0.0.1:4001"]   # empty: the desktop starts it
account = "counter"                        # then: whose desktop that is, so that nothing is typed for anybody else
host = "L:host.city.example:992"           # as x3270 writes it: L: is TLS
screen = "SIGN ON"                         # stands on the sign-on screen, and on no other
user_at = [10, 34]                         # row and column of the fields, from 1
password_at = [12, 34]
done = "MAIN MENU"                         # stands on the screen behind it
wrong = "IS INCORRECT"
sign_off = ["PF(3)"]                       # keys that end the host's own session, from any screen
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

import msgspec

from authd.broker.secret import Shape
from authd.broker.settings import Settings
from authd.client.tables import BadSettings

_KEY: Final = re.compile(
    r"(?:Enter|Clear|Home|Tab|Reset|EraseInput|Attn|SysReq)\(\)|(?:PF|PA)\([0-9]{1,2}\)"
    r'|String\("[A-Za-z0-9 /.,=-]{1,80}"\)|MoveCursor1\([0-9]{1,3},[0-9]{1,3}\)'
)
"""Keys that may be configured: none that scripts, files or other hosts could be reached with."""
_HOST: Final = r"^(?:[LYNABCPSTE]:){0,4}(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:]{2,45}\])(?::[0-9]{1,5})?$"
Row = Annotated[int, msgspec.Meta(ge=1, le=200)]
Place = tuple[Row, Row]
Said = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]


class Host(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A host, and what its screens say."""

    host: Annotated[str, msgspec.Meta(pattern=_HOST)]
    screen: Said
    user_at: Place
    password_at: Place
    done: Said
    wrong: Said
    sign_off: Annotated[tuple[str, ...], msgspec.Meta(max_length=16)] = ()
    upper: bool = True
    """The host knows no small letters."""

    def __post_init__(self) -> None:
        """Raises ValueError for a key that no terminal has."""
        for key in self.sign_off:
            if not _KEY.fullmatch(key):
                raise ValueError(f"sign_off: no such key: {key[:80]!r}; such as PF(3), Clear(), Enter()")


class TerminalSettings(Host, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One emulator."""

    seat: str
    application: str
    port: Annotated[int, msgspec.Meta(ge=1, le=65_535)]
    command: Annotated[tuple[str, ...], msgspec.Meta(max_length=64)] = ()
    account: str = ""
    """Of the operating system, whose program the emulator must be where the desktop starts it; empty: anybody's."""
    system: str = ""
    """Whose passwords they are in the vault; by default the application's name."""
    language: Literal["ja", "en"] = "ja"


class TerminalSystem(Host, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="rotator", tag="terminal"):
    """`[system.NAME] rotator = "terminal"`: a host whose sign-on screen has a field for a new password."""

    new_at: Place
    again_at: Place | None = None
    """Where it wants the new one a second time."""
    command: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=64)] = ("s3270", "-utf8")
    """An emulator that is told what to do by its standard input."""
    length: int = 8
    alphabet: str = "upper+digits"

    def __post_init__(self) -> None:
        """Raises ValueError for a key that no terminal has, or passwords that can be guessed."""
        super().__post_init__()
        Shape(self.length, self.alphabet)


def terminals(settings: Settings) -> dict[str, TerminalSettings]:
    """Return the terminals of a file, without a port that two of them have. Raises `BadSettings`."""
    found = settings.each("terminal", TerminalSettings)
    if len({each.port for each in found.values()}) != len(found):
        raise BadSettings("terminal: each needs a port of its own")
    return found
