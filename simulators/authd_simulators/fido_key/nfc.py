"""FIDO over ISO/IEC 7816 and NFC (CTAP 2.1, 11.3): the applet behind a reader, with both kinds of chaining."""

from __future__ import annotations

import queue
import threading

from authd_simulators.fido_key.apdu import SW, Apdu, ApduError, contactless_atr, parse
from authd_simulators.fido_key.key import Key
from authd_simulators.fido_key.presence import PROCESSING
from authd_simulators.fido_key.profile import MAX_MESSAGE
from authd_simulators.fido_key.rubbish import APDUS
from authd_simulators.fido_key.status import Unplugged
from authd_simulators.fido_key.u2f import carry_out

AID = bytes.fromhex("a0000006472f0001")
ATR = contactless_atr(b"FIDO_SIM_KEY")
SELECT, GET_RESPONSE, MSG, NEXT, CONTROL = 0xA4, 0xC0, 0x10, 0x11, 0x12
CANCEL, SUPPORTS_UPDATES = 0x11, 0x80
PATIENCE_S = 0.1
"""So long a command may take before the reader is told to ask again."""
GIVE_UP_S = 60.0


class NfcApplet:
    """The key as a card: see `authd_simulators.vpcd.Card`."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self._forget()

    @property
    def atr(self) -> bytes:
        """A contactless card's answer to reset, as readers make one up from its historical bytes."""
        return ATR

    def power(self, on: bool) -> None:
        """The key lies in the field or not; as with a tap, all but its memory is lost."""
        self.key.power(on)
        self._forget()

    def transmit(self, raw: bytes) -> bytes:
        """Answer one APDU; whatever comes, it is a status word, but for a hostile key's."""
        hostile = self.key.trouble.strike_wire(APDUS)
        if hostile is not None:
            return hostile
        try:
            apdu = parse(raw)
            data, le = self._chain(apdu)
        except ApduError as error:
            self._parts = b""
            return error.sw.to_bytes(2, "big")
        except Unplugged:
            return SW.CONDITIONS.to_bytes(2, "big")
        return self._portion(data, le)

    def _forget(self) -> None:
        self._selected = False
        self._parts = b""
        """Data of a chained command so far."""
        self._rest = b""
        """What GET RESPONSE is still to fetch, final status word included."""
        self._running: queue.SimpleQueue[bytes | None] | None = None
        self._status = PROCESSING

    def _chain(self, apdu: Apdu) -> tuple[bytes, int]:
        """Return the whole response, status word included, and how much of it is asked for. Raises `ApduError`."""
        if apdu.ins == GET_RESPONSE and apdu.cla == 0:
            rest, self._rest = self._rest, b""
            if not rest:
                raise ApduError(SW.CONDITIONS)
            return rest, apdu.le
        self._rest = b""
        self._parts += apdu.data
        if len(self._parts) > MAX_MESSAGE:
            raise ApduError(SW.LENGTH)
        if apdu.chained:
            return SW.OK.to_bytes(2, "big"), apdu.le
        data, self._parts = self._parts, b""
        return self._carry_out(apdu, data), apdu.le

    def _portion(self, whole: bytes, le: int) -> bytes:
        """Return as much as fits; the rest waits for GET RESPONSE."""
        if len(whole) - 2 <= le:
            return whole
        self._rest = whole[le:]
        return whole[:le] + (SW.MORE_DATA + min(len(self._rest) - 2, 0xFF)).to_bytes(2, "big")

    def _carry_out(self, apdu: Apdu, data: bytes) -> bytes:
        if apdu.ins == SELECT:
            return self._select(apdu, data) + SW.OK.to_bytes(2, "big")
        if not self._selected:
            raise ApduError(SW.CONDITIONS if apdu.cla in (0x00, 0x80) else SW.CLASS)
        match apdu.cla, apdu.ins:
            case 0x80, 0x10:
                return self._message(apdu, data)
            case 0x80, 0x11:
                if apdu.p1 == CANCEL:
                    self.key.cancel()
                return self._look()
            case 0x80, 0x12:
                self._selected = False
                return SW.OK.to_bytes(2, "big")
            case 0x80, _:
                raise ApduError(SW.INSTRUCTION)
            case _:
                with self.key.lock:
                    return carry_out(self.key, Apdu(apdu.cla, apdu.ins, apdu.p1, apdu.p2, data)) + b"\x90\x00"

    def _select(self, apdu: Apdu, data: bytes) -> bytes:
        self._selected = data == AID
        if apdu.cla != 0 or apdu.p1 != 4 or not self._selected:
            raise ApduError(SW.NOT_FOUND)
        # CTAP 2.1, 11.3.3: a key that also speaks U2F answers with U2F's version.
        return b"U2F_V2" if self.key.profile.u2f and not self.key.memory.always_uv else b"FIDO_2_0"

    def _message(self, apdu: Apdu, data: bytes) -> bytes:
        if self._running is not None:
            self.key.cancel()
        running: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._running, self._status = running, PROCESSING
        threading.Thread(target=self._work, args=(data, running), name="ctapnfc", daemon=True).start()
        if apdu.p1 & SUPPORTS_UPDATES:
            return self._look()
        return self._look(GIVE_UP_S)

    def _work(self, data: bytes, running: queue.SimpleQueue[bytes | None]) -> None:
        try:
            running.put(self.key.call(data, lambda status: self._told(running, status)))
        except Unplugged:
            running.put(None)

    def _told(self, running: queue.SimpleQueue[bytes | None], status: int) -> None:
        if self._running is running:
            self._status = status

    def _look(self, patience_s: float = PATIENCE_S) -> bytes:
        """Return the answer, or the keep-alive that says to ask again. Raises `ApduError`, `Unplugged`."""
        running = self._running
        if running is None:
            raise ApduError(SW.CONDITIONS)
        try:
            answer = running.get(timeout=patience_s)
        except queue.Empty:
            return bytes([self._status]) + SW.UPDATE.to_bytes(2, "big")
        self._running = None
        if answer is None:
            raise Unplugged
        return answer + SW.OK.to_bytes(2, "big")
