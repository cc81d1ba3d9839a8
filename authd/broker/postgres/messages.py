"""Bytes of PostgreSQL's protocol 3.0 (its manual, chapter "Frontend/Backend Protocol"), as far as sign-on needs them.

Pure: text in, values out. Everything that does not follow the manual, or is longer than sign-on has any use for, is a
`Malformed`. After sign-on nothing is parsed any more.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

LONGEST_START: Final = 10_000
"""Bytes of a connection's first packet; the server itself takes as many."""
LONGEST_MESSAGE: Final = 65_536
"""Bytes of any message before the first query."""
MOST_PARAMETERS: Final = 64
MAJOR: Final = 3
SSL_ASKED: Final = 80_877_103
GSS_ASKED: Final = 80_877_104
CANCEL_ASKED: Final = 80_877_102
LONGEST_CANCEL_KEY: Final = 256
READY: Final = b"Z\x00\x00\x00\x05"
"""How a ReadyForQuery begins; the state of the transaction follows."""
STATES: Final = b"ITE"


class Malformed(Exception):
    """Not the protocol."""


@dataclass(frozen=True, slots=True)
class Encrypt:
    """Asks for TLS, or (`gss`) for Kerberos."""

    gss: bool = False


@dataclass(frozen=True, slots=True)
class Cancel:
    """Asks that whatever a connection is doing be given up: the number and key that it was told at its sign-on."""

    process: int
    key: bytes

    def __repr__(self) -> str:
        return f"Cancel({self.process})"


@dataclass(frozen=True, slots=True)
class Startup:
    """Asks for a session. Names and values are UTF-8, or whatever the application writes (surrogate escapes)."""

    parameters: Mapping[str, str]
    minor: int = 0

    @property
    def extensions(self) -> list[str]:
        """Extensions of the protocol that are asked for; none is known here."""
        return [name for name in self.parameters if name.startswith("_pq_.")]


Opening = Encrypt | Cancel | Startup


@dataclass(frozen=True, slots=True)
class Message:
    """One message behind the start: its letter, and what follows its length."""

    letter: bytes
    body: bytes

    @property
    def raw(self) -> bytes:
        """The bytes that came."""
        return message(self.letter, self.body)


def opening(data: bytes) -> tuple[Opening, bytes] | None:
    """Read what a connection begins with, and what came behind it; None: more is needed. Raises `Malformed`."""
    if len(data) < 4:
        return None
    (length,) = struct.unpack_from("!I", data)
    if not 8 <= length <= LONGEST_START:
        raise Malformed("the first packet has no length that the protocol knows")
    if len(data) < length:
        return None
    (code,) = struct.unpack_from("!I", data, 4)
    return _opening(code, data[8:length]), data[length:]


def _opening(code: int, body: bytes) -> Opening:
    if code in (SSL_ASKED, GSS_ASKED):
        if body:
            raise Malformed("a question for encryption has no more to it")
        return Encrypt(gss=code == GSS_ASKED)
    if code == CANCEL_ASKED:
        if not 5 <= len(body) <= 4 + LONGEST_CANCEL_KEY:
            raise Malformed("no key to cancel by")
        return Cancel(int.from_bytes(body[:4], "big"), body[4:])
    if code >> 16 != MAJOR:
        raise Malformed("another version of the protocol than 3")
    return Startup(_parameters(body), code & 0xFFFF)


def _parameters(body: bytes) -> dict[str, str]:
    if not body.endswith(b"\0"):
        raise Malformed("the parameters do not end")
    words = body[:-1].split(b"\0")
    if words.pop() != b"" or len(words) % 2 or len(words) > 2 * MOST_PARAMETERS or b"" in words[::2]:
        raise Malformed("the parameters are no pairs")
    texts = [each.decode("utf-8", "surrogateescape") for each in words]
    found = dict(zip(texts[::2], texts[1::2], strict=True))
    if 2 * len(found) != len(texts):
        raise Malformed("a parameter is given twice")
    return found


def split(data: bytes, longest: int = LONGEST_MESSAGE) -> tuple[list[Message], bytes]:
    """Cut whole messages off; the rest is of one that has not come whole. Raises `Malformed`."""
    found: list[Message] = []
    at = 0
    while len(data) - at >= 5:
        (length,) = struct.unpack_from("!I", data, at + 1)
        if not 4 <= length <= longest:
            raise Malformed("a message has no length that sign-on knows")
        if len(data) - at < 1 + length:
            break
        found.append(Message(data[at : at + 1], data[at + 5 : at + 1 + length]))
        at += 1 + length
    return found, data[at:]


def message(letter: bytes, body: bytes) -> bytes:
    """Write a message."""
    return letter + struct.pack("!I", 4 + len(body)) + body


def startup(parameters: Mapping[str, str]) -> bytes:
    """Write the packet that asks for a session. Raises `Malformed` for what the protocol cannot say."""
    words = [word.encode("utf-8", "surrogateescape") for pair in parameters.items() for word in pair]
    if any(b"\0" in word for word in words):
        raise Malformed("a parameter cannot hold NUL")
    body = b"".join(word + b"\0" for word in words) + b"\0"
    return struct.pack("!II", 8 + len(body), MAJOR << 16) + body


def ask_tls() -> bytes:
    """Write the question for TLS."""
    return struct.pack("!II", 8, SSL_ASKED)


def cancel(asked: Cancel) -> bytes:
    """Write the packet that cancels."""
    body = asked.process.to_bytes(4, "big") + asked.key
    return struct.pack("!II", 8 + len(body), CANCEL_ASKED) + body


def query(sql: str) -> bytes:
    """Write a simple query."""
    return message(b"Q", sql.encode() + b"\0")


def only_version_3_0(extensions: Iterable[str]) -> bytes:
    """Write NegotiateProtocolVersion: 3.0, and none of these extensions."""
    names = [each.encode("utf-8", "surrogateescape") + b"\0" for each in extensions]
    return message(b"v", struct.pack("!II", 0, len(names)) + b"".join(names))


def error(code: str, said: bytes, detail: bytes = b"") -> bytes:
    """Write an ErrorResponse that ends the connection; the texts are in the application's own encoding."""
    fields = [(b"S", b"FATAL"), (b"V", b"FATAL"), (b"C", code.encode("ascii")), (b"M", said)]
    fields += [(b"D", detail)] if detail else []
    return message(b"E", b"".join(name + text.replace(b"\0", b"") + b"\0" for name, text in fields) + b"\0")


def error_code(body: bytes) -> str:
    """Return the SQLSTATE of an ErrorResponse; empty where it has none. The texts are nobody's to log."""
    found = next((field[1:] for field in body.split(b"\0") if field[:1] == b"C"), b"")
    return found.decode("ascii", "replace")[:5]


def at_rest(tail: bytes) -> bool:
    """Whether the server's last bytes are a whole ReadyForQuery: nothing is under way, and a message may begin."""
    return len(tail) >= 6 and tail[-6:-1] == READY and tail[-1:] in (b"I", b"T", b"E")
