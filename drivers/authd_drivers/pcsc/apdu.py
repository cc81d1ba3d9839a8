"""Commands to a card and its answers: chained where they are long, fetched in parts, every length bounded.

Parsers: `parse_response`: bytes in, a value or `DriverError(Fault.PROTOCOL)` out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from authd.driver import Denial, DriverError, Fault, Hint
from authd_drivers.pcsc import words
from authd_drivers.pcsc.api import MAX_RESPONSE, Trouble

MAX_COMMAND = 4_096
PART = 255
MAX_PARTS = 300
"""More than 65,536 bytes in parts of 256 take."""
Transmit = Callable[[bytes], bytes]


class Better(Exception):
    """What the person can do better with the card."""

    def __init__(self, hint: Hint) -> None:
        super().__init__(hint.value)
        self.hint = hint


class Refused(Exception):
    """The card says no."""

    def __init__(self, why: Denial) -> None:
        super().__init__(why.value)
        self.why = why


@dataclass(frozen=True, slots=True)
class Response:
    """What a card answered: its data, and the status word."""

    data: bytes
    word: int

    def expected(self) -> bytes:
        """Return the data of a success; raise what any other word means (`mean`)."""
        mean(words.status(self.word), f"{self.word:04X}")
        return self.data


def mean(outcome: words.Outcome, detail: str) -> None:
    """Raise what an outcome means: `Better`, `Refused` or `DriverError`; nothing for success."""
    if isinstance(outcome, Hint):
        raise Better(outcome)
    if isinstance(outcome, Denial):
        raise Refused(outcome)
    if isinstance(outcome, Fault):
        raise DriverError(outcome, detail)
    if outcome == words.RETRY:  # it was tried again, where that may be
        raise DriverError(Fault.PROTOCOL, detail)


def trouble_means(trouble: Trouble, reader: str) -> None:
    """Raise what a PC/SC error means; names the reader, and who is in the way as far as PC/SC says it."""
    outcome = words.scard(trouble.code)
    if outcome is Fault.BUSY:
        raise DriverError(Fault.BUSY, f"another program holds the card in {reader} for itself alone")
    if outcome is Fault.NOT_PERMITTED:
        raise DriverError(Fault.NOT_PERMITTED, f"pcscd does not let this user use {reader} (polkit): {trouble}")
    mean(outcome, f"{reader}: {trouble}")
    raise DriverError(Fault.PROTOCOL, f"{reader}: {trouble}")


def parse_response(raw: bytes) -> Response:
    """Split a response into data and status word."""
    if not 2 <= len(raw) <= MAX_RESPONSE:
        raise DriverError(Fault.PROTOCOL, f"a response of {len(raw)} bytes")
    if raw[-2] >> 4 not in (6, 9):  # ISO/IEC 7816-4, 5.1.3: whatever the command was, this is no status word
        raise DriverError(Fault.PROTOCOL, f"a status word {raw[-2:].hex()}")
    return Response(raw[:-2], int.from_bytes(raw[-2:], "big"))


def exchange(transmit: Transmit, head: bytes, data: bytes = b"", *, le: bool = True) -> Response:
    """Send one command, however many APDUs it takes, and return the whole answer.

    head: CLA INS P1 P2. le: whether an answer is expected (T=0 readers want it said only then).
    """
    *chained, last = _parts(head, data, le=le)
    for part in chained:
        response = parse_response(transmit(part))
        if response.word != 0x9000:
            return response
    return _collect(transmit, last, parse_response(transmit(last)))


def _parts(head: bytes, data: bytes, *, le: bool) -> Iterator[bytes]:
    """Yield the APDUs of one command: all but the last say that more follows (ISO/IEC 7816-4 5.1.1.1)."""
    if len(head) != 4 or len(data) > MAX_COMMAND:
        raise ValueError("a head of 4 bytes and data of at most 4096 are expected")
    end = b"\0" if le else b""
    if not data:
        yield head + end
        return
    for at in range(0, len(data), PART):
        part = data[at : at + PART]
        more = at + PART < len(data)
        first = bytes([head[0] | 0x10]) if more else head[:1]
        yield first + head[1:] + bytes([len(part)]) + part + (b"" if more else end)


def _collect(transmit: Transmit, sent: bytes, response: Response) -> Response:
    """Follow 6Cxx once and 61xx to the end."""
    if response.word >> 8 == 0x6C and len(sent) == 5:  # never of a command with data: that is not sent twice
        response = parse_response(transmit(sent[:4] + bytes([response.word & 0xFF])))
    data = bytearray(response.data)
    for _ in range(MAX_PARTS):
        if response.word >> 8 != 0x61:
            return Response(bytes(data), response.word)
        again = bytes([sent[0] & 0xEF, 0xC0, 0, 0, response.word & 0xFF])
        response = parse_response(transmit(again))
        data += response.data
        if len(data) > MAX_RESPONSE - 2 or not response.data:
            break
    raise DriverError(Fault.PROTOCOL, "an answer that does not end")
