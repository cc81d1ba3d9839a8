"""FIDO2 keys on a card reader: NFC and contact (CTAP 2.1, section 11.3), through pcscd.

The watch over cards is that of the cards' driver. Each errand is one short, shared transaction that begins with the
selection of the FIDO applet, and leaves the card as it is. A card without that applet is another driver's.

Parsers: `parse_apdu`.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Final

from fido2.ctap import STATUS, CtapDevice, CtapError
from fido2.hid import CAPABILITY, CTAPHID

from authd.driver import Denial, DriverError, Fault, Hint
from authd_drivers.fido2 import status
from authd_drivers.fido2.errand import Cancelled, Gone, Stop, aside
from authd_drivers.pcsc import words
from authd_drivers.pcsc.api import Service, Trouble, service
from authd_drivers.pcsc.watcher import Stay, Watcher

AID: Final = bytes.fromhex("a0000006472f0001")
MAX_APDU: Final = 65_538
MAX_ANSWER: Final = 7_609
MAX_PARTS: Final = 128
"""Of one response; each brings at least a byte."""
TURN_SECONDS: Final = 0.05
MOST_TURNS: Final = 600
"""Questions for an answer to one command: cards take up to 0.1 s for each."""
OPEN_SECONDS: Final = 8.0
LOOK_SECONDS: Final = 0.1
AFTER_SECONDS: Final = 0.02
MOST_DOUBTS: Final = 5
"""So often a card is asked for the applet whose answer is neither yes nor no: some take a moment after power-on."""
GONE_SECONDS: Final = 4.0
"""So long pcscd, or the card reader, may be away before this one is said to be gone: it is started anew at updates."""
_PIECE: Final = 250
_OK, _UPDATE, _MORE = 0x9000, 0x9100, 0x61


def parse_apdu(response: bytes) -> tuple[bytes, int]:
    """Split a response APDU into data and status word. Raises `DriverError` with `Fault.PROTOCOL`."""
    if not 2 <= len(response) <= MAX_APDU:
        raise DriverError(Fault.PROTOCOL, "APDU: 2 to 65,538 bytes are expected")
    return response[:-2], int.from_bytes(response[-2:], "big")


class NotFido(Exception):
    """The card does not select a FIDO applet; `word`: what it says instead."""

    def __init__(self, word: int) -> None:
        super().__init__(f"{word:04X}")
        self.word = word


class NfcKey(CtapDevice):
    """A key behind an open transaction; `transmit` sends one APDU and returns the response."""

    def __init__(self, transmit: Callable[[bytes], bytes], stop: Stop) -> None:
        """Select the applet. Raises `NotFido`, `DriverError`, `Cancelled`."""
        self._transmit, self._stop = transmit, stop
        version, word = self._send(0x00, 0xA4, 0x04, AID)
        if word != _OK:
            raise NotFido(word)
        self._capabilities = CAPABILITY.CBOR if version in (b"FIDO_2_0", b"U2F_V2") else CAPABILITY(0)

    @property
    def capabilities(self) -> int:
        """CBOR, unless the applet names another protocol."""
        return self._capabilities

    def call(
        self, cmd: int, data: bytes = b"", event: object = None, on_keepalive: Callable[[STATUS], None] | None = None
    ) -> bytes:
        """Carry out one command. Raises `CtapError`, `Gone`, `Cancelled`, `DriverError`."""
        del event
        if cmd != CTAPHID.CBOR:
            raise CtapError(CtapError.ERR.INVALID_COMMAND)
        asked = _now()
        answer, word = self._send(0x80, 0x10, 0x80, data)
        for _ in range(MOST_TURNS):
            if word != _UPDATE:
                return _good(answer, word)
            if on_keepalive is not None and answer in (b"\1", b"\2"):
                on_keepalive(STATUS(answer[0]))
            try:
                self._stop.wait(max(0.0, asked + TURN_SECONDS - _now()))  # one that waits itself is asked at once
            except Cancelled:
                self._send(0x80, 0x11, 0x11, b"", stoppable=False)
                raise
            asked = _now()
            answer, word = self._send(0x80, 0x11, 0x00, b"")
        raise DriverError(Fault.TIMEOUT, "the key does not come to an end")

    @classmethod
    def list_devices(cls) -> Iterator[CtapDevice]:
        """Find nothing: a reader knows its one device."""
        return iter(())

    def _send(self, cla: int, ins: int, p1: int, data: bytes, *, stoppable: bool = True) -> tuple[bytes, int]:
        """Send a command in as many parts as it takes, and collect the response."""
        while len(data) > _PIECE:
            piece, data = data[:_PIECE], data[_PIECE:]
            answer, word = self._one(struct.pack(">BBBBB", 0x10 | cla, ins, p1, 0, _PIECE) + piece, stoppable)
            if word != _OK:
                return answer, word
        body = bytes([len(data)]) + data if data else b""
        answer, word = self._one(bytes([cla, ins, p1, 0]) + body + b"\0", stoppable)
        for _ in range(MAX_PARTS):
            if word >> 8 != _MORE:
                return answer, word
            part, word = self._one(bytes([0x00, 0xC0, 0, 0, word & 0xFF]), stoppable)
            answer += part
            if not part or len(answer) > MAX_ANSWER:
                break
        raise DriverError(Fault.PROTOCOL, "APDU: a response that does not end")

    def _one(self, apdu: bytes, stoppable: bool) -> tuple[bytes, int]:
        if stoppable and self._stop:
            raise Cancelled
        return parse_apdu(self._transmit(apdu))


def _good(answer: bytes, word: int) -> bytes:
    outcome = status.outcome_of_word(word)
    if outcome == status.OK:
        return answer
    if isinstance(outcome, Denial):
        raise CtapError(CtapError.ERR.UNSUPPORTED_OPTION if outcome is Denial.NOT_ALLOWED else 0x2E)
    if isinstance(outcome, Hint):
        raise Gone(Hint.HOLD_LONGER)
    raise DriverError(outcome if isinstance(outcome, Fault) else Fault.PROTOCOL, f"status word {word:04X}")


class PcscPlug:
    """The card readers whose names begin with `prefix`; the first key in one of them."""

    def __init__(self, prefix: str, socket: str, find: Callable[[str], Service] = service) -> None:
        self._prefix, self._socket, self._find = prefix, socket, find
        self._service: Service | None = None
        self._watcher: Watcher | None = None
        self._stay: Stay | None = None
        self._others = set[str]()
        """Stays of cards that are no keys."""
        self._doubts = dict[str, int]()
        """How often a card of a stay said neither that it is one nor that it is none."""
        self._gone_since: float | None = None

    async def open(self) -> None:
        """Follow the readers; wait a while for pcscd."""
        await self.close()
        self._service = self._find(self._socket)
        self._watcher = Watcher(self._service, self._prefix)
        self._watcher.start()
        for _ in range(round(OPEN_SECONDS / LOOK_SECONDS)):
            if self._watcher.seen:
                return
            await asyncio.sleep(LOOK_SECONDS)
        await self.close()
        raise DriverError(Fault.REMOVED, f"no card reader whose name begins with {self._prefix!r}, or no pcscd")

    async def close(self) -> None:
        """Let go."""
        watcher, self._watcher, self._stay = self._watcher, None, None
        self._others.clear()
        self._doubts.clear()
        if watcher is not None:
            await watcher.close()

    async def look(self) -> str | None:
        """Return the stay of now."""
        watcher = self._watcher
        if watcher is None:
            raise DriverError(Fault.REMOVED, "not open")
        here = {stay.insertion: stay for stay in watcher.stays}
        self._others.intersection_update(here)
        self._doubts = {stay: doubts for stay, doubts in self._doubts.items() if stay in here}
        if self._stay is not None and self._stay.insertion not in here:
            self._stay = None
        if self._stay is None:
            for stay in here.values():
                if stay.insertion not in self._others and await self._is_key(stay):
                    self._stay = stay
                    break
        self._gone_since = None if watcher.seen else self._gone_since or _now()
        if self._gone_since is not None and _now() - self._gone_since > GONE_SECONDS:
            raise DriverError(Fault.REMOVED, "the card reader, or pcscd, is gone")
        return None if self._stay is None else self._stay.insertion

    async def after(self, stay: str | None) -> str | None:
        """Wait for another stay."""
        while (now := await self.look()) == stay:  # noqa: ASYNC110  # several may wait, and the watch tells one
            await asyncio.sleep(AFTER_SECONDS)
        return now

    @contextmanager
    def connect(self, stop: Stop) -> Generator[CtapDevice, None, None]:
        """Hold the card for one errand."""
        stay = self._stay
        if stay is None:
            raise Gone
        with self._card(stay) as transmit:
            try:
                key = NfcKey(transmit, stop)
            except NotFido:  # it was one before: it comes or goes, or is another card
                raise Gone(Hint.HOLD_LONGER) from None
            yield key

    async def _is_key(self, stay: Stay) -> bool:
        """Ask the card for the applet; a card that goes meanwhile is none."""

        def probe() -> bool:
            with self._card(stay) as transmit:
                NfcKey(transmit, stop)
            return True

        stop = Stop()
        try:
            return await aside(probe)
        except NotFido as said:
            await self._doubt(stay.insertion, said.word)
        except Gone:
            await asyncio.sleep(LOOK_SECONDS)
        finally:
            stop.close()
        return False

    async def _doubt(self, stay: str, word: int) -> None:
        """Leave a card alone that says that it is no key, or says too often what means nothing."""
        self._doubts[stay] = doubts = self._doubts.get(stay, 0) + 1
        if isinstance(status.outcome_of_word(word), Denial) or doubts >= MOST_DOUBTS:
            self._others.add(stay)
        else:
            await asyncio.sleep(LOOK_SECONDS)

    @contextmanager
    def _card(self, stay: Stay) -> Generator[Callable[[bytes], bytes], None, None]:
        """Give a way to send APDUs, within one transaction."""
        assert self._service is not None
        with _in_our_words():
            context = self._service()
        try:
            with _in_our_words():
                connection = context.connect(stay.reader)
            try:
                with _in_our_words():
                    connection.begin()
                yield _in_our_words()(connection.transmit)
            finally:
                connection.end()
        finally:
            context.release()


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@contextmanager
def _in_our_words() -> Generator[None, None, None]:
    try:
        yield
    except Trouble as trouble:
        raise _meaning(trouble) from None


def _meaning(trouble: Trouble) -> Exception:
    outcome = words.scard(trouble.code)
    if isinstance(outcome, Hint):
        return Gone(Hint.HOLD_LONGER)
    if outcome in (Fault.REMOVED, Fault.SUSPENDED, words.RETRY):
        return Gone()
    return DriverError(outcome if isinstance(outcome, Fault) else Fault.PROTOCOL, str(trouble))
