"""What a key answers to what the reader asks it: `authd_drivers.fido2.ctap` and `dialogue`, over a device that lies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from fido2.ctap import STATUS, CtapDevice, CtapError
from fido2.hid import CAPABILITY

from authd.driver import DriverError, Enroll, Fault
from authd_drivers.fido2 import dialogue, office
from authd_drivers.fido2.ctap import Ctap, one_error, parse_ctap
from authd_drivers.fido2.messages import parse_response
from authd_simulators.fido_key import BIO, PLAIN, Finger, Key

NONCE = "0123456789abcdef" * 2
OFFICE = office.parse('rp_id = "seats.town.example"')
CREDENTIAL = bytes(64)
ENROL = Enroll(NONCE, "sub_1")


class Liar(CtapDevice):
    """Gives these answers one after the other, then none."""

    def __init__(self, answers: Sequence[bytes]) -> None:
        self._answers = iter(answers)

    @property
    def capabilities(self) -> int:
        """It speaks CTAP2."""
        return CAPABILITY.CBOR

    def call(
        self, cmd: int, data: bytes = b"", event: object = None, on_keepalive: Callable[[STATUS], None] | None = None
    ) -> bytes:
        """Answer."""
        return next(self._answers, b"\x30")

    def close(self) -> None:
        """Nothing is open."""

    @classmethod
    def list_devices(cls) -> Iterator[CtapDevice]:
        """Nothing is plugged in."""
        return iter(())


class Honest(Liar):
    """A simulated key, of which all answers are written down."""

    def __init__(self, key: Key) -> None:
        super().__init__(())
        self.key, self.said = key, list[bytes]()

    def call(
        self, cmd: int, data: bytes = b"", event: object = None, on_keepalive: Callable[[STATUS], None] | None = None
    ) -> bytes:
        """Answer as the key does."""
        self.said.append(self.key.call(data))
        return self.said[-1]


def _quiet(status: int) -> None:
    del status


def _make(ctap: Ctap, pin: str | None) -> bytes:
    return dialogue.make(ctap, OFFICE, ENROL, pin, _quiet)


WAYS: tuple[Callable[[Ctap], Any], ...] = (
    dialogue.survey,
    lambda ctap: dialogue.sign(ctap, OFFICE, NONCE, None, _quiet),
    lambda ctap: dialogue.sign(ctap, OFFICE, NONCE, "1234", _quiet),
    lambda ctap: dialogue.confirm(ctap, OFFICE, NONCE, CREDENTIAL),
    lambda ctap: _make(ctap, None),
    lambda ctap: _make(ctap, "1234"),
    lambda ctap: dialogue.set_pin(ctap, "1234"),
)


def one(data: bytes) -> None:
    """The first byte says what is asked (the last way: one answer by itself), the rest is what comes back."""
    if not data:
        return
    if data[0] % 8 == 7:
        parse_ctap(data[1:])
        return
    answers, rest = list[bytes](), data[1:]
    while rest:
        length = int.from_bytes(rest[:2], "big")
        answers.append(rest[2 : 2 + length])
        rest = rest[2 + length :]
    with one_error():
        said = WAYS[data[0] % 8](Ctap(Liar(answers)))
    if isinstance(said, bytes):
        parse_response(said)  # what the reader writes, the verifier can read, or it is the one error there


def declared(error: Exception) -> bool:
    """Whether this is the error that is meant; a key's own no is a status."""
    return isinstance(error, CtapError) or (isinstance(error, DriverError) and error.fault is Fault.PROTOCOL)


def seeds() -> Iterator[bytes]:
    """Yield what simulated keys answer in each way."""
    for profile, order in ((BIO, (0, 4, 1, 3)), (PLAIN, (6, 0, 5, 2))):
        key = Key(profile, seed=1)
        key.presence.hand.auto = True
        if profile.bio:
            key.memory.fingers.append(Finger(b"\1", 1))
        for way in order:
            device = Honest(key)
            with suppress(CtapError):
                WAYS[way](Ctap(device))
            yield bytes([way]) + b"".join(len(each).to_bytes(2, "big") + each for each in device.said)
            yield b"\7" + device.said[-1]
