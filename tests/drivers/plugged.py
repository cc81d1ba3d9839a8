"""A simulated key in a port that the real reader has open: a pty in place of hidraw."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from pathlib import Path

from authd.driver import Enroll, Reader, Reference
from authd_drivers.fido2 import READER, dialogue, office
from authd_drivers.fido2.checker import Fido2Checker
from authd_drivers.fido2.ctap import Ctap
from authd_simulators.fido_key import BIO, PLAIN, TOUCH, WRONG, Finger, Gesture, Key, Profile
from authd_simulators.fido_key.hidraw import HidrawPort
from tests.conformance.authenticator import Authenticator
from tests.drivers.softkey import ANN, NONCE, OFFICE
from tests.drivers.test_fido2_attestation import InProcess

PIN = "246810"
FINGER = Gesture(1)


def simulated(profile: Profile = PLAIN, *, pin: bool = True, touch_s: float = 600.0) -> Key:
    """Return a key that somebody has set up: with a finger, or with `PIN`."""
    key = Key(profile, touch_s=touch_s)
    if profile.bio:
        key.memory.fingers.append(Finger(b"1234", 1))
    elif pin:
        key.memory.pin, key.memory.pin_length = hashlib.sha256(PIN.encode()).digest()[:16], len(PIN)
    return key


def enrol(key: Key, checker: Fido2Checker, person: str = ANN, name: str = "tpl_1@1") -> bytes:
    """Make a credential on the key without its transport; return the record."""
    auto, key.presence.hand.auto = key.presence.hand.auto, True
    pin = None if key.profile.bio else PIN
    made = dialogue.make(Ctap(InProcess(key)), office.parse(OFFICE), Enroll(NONCE, person), pin, lambda _: None)
    key.presence.hand.auto = auto
    record = checker.admit(made, NONCE, person)
    checker.add([Reference(person, name, record)])
    return record


class Port(Authenticator):
    """One port, and the key that is in it. `pin` empty: its own sensor verifies."""

    def __init__(self, folder: Path, profile: Profile = PLAIN, **more: float) -> None:
        self.folder, self.path = folder, folder / "key"
        (folder / "office.toml").write_text(OFFICE)
        self.checker = Fido2Checker([OFFICE])
        self.pin = "" if profile.bio else PIN
        self.key = simulated(profile, **more)  # type: ignore[arg-type]  # touch_s
        enrol(self.key, self.checker)
        self.port = HidrawPort(self.key, self.path)
        self.port.insert()

    @property
    def settings(self) -> Mapping[str, str]:
        return {"office": str(self.folder / "office.toml"), "device": str(self.path)}

    @property
    def node(self) -> str:
        """The pty itself."""
        return str(self.path.readlink())

    def reader(self) -> Reader:
        return READER(self.settings)

    def swap(self, key: Key) -> None:
        """Put another key into the port."""
        self.port.remove()
        self.key, self.port = key, HidrawPort(key, self.path)
        self.port.insert()

    async def insert(self) -> None:
        await asyncio.to_thread(self.port.insert)

    async def remove(self) -> None:
        await asyncio.to_thread(self.port.remove)

    async def unplug(self) -> None:
        await self.remove()

    async def plug(self) -> None:
        await self.insert()

    async def touch(self) -> None:
        self.key.presence.hand.give(TOUCH if self.pin else FINGER)

    async def wrong_finger(self) -> None:
        if self.pin:
            await super().wrong_finger()
        self.key.presence.hand.give(WRONG)

    async def block(self) -> None:
        self.key.memory.pin_retries = self.key.memory.uv_retries = 0

    async def empty(self) -> None:
        await asyncio.to_thread(self.swap, simulated(self.key.profile))

    async def babble(self, data: bytes) -> None:
        self.key.call = lambda request, keepalive=None: data  # type: ignore[method-assign]  # a key that lies

    def credential(self) -> bytes:
        return self.checker.credential("tpl_1@1")


__all__ = ["BIO", "FINGER", "PIN", "PLAIN", "TOUCH", "WRONG", "Port", "enrol", "simulated"]
