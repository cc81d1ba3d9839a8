"""What all commands of the key share: its memory, its volatile state, and the person in front of it."""

from __future__ import annotations

import random
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from authd_simulators.fido_key.attestation import Attestation
from authd_simulators.fido_key.cbor import Fields
from authd_simulators.fido_key.credential import Credential, Facts, create, hash_of, open_id
from authd_simulators.fido_key.memory import UV_RETRIES, Memory, Resident
from authd_simulators.fido_key.presence import TOUCH_S, Approve, Presence, Want, now_ns
from authd_simulators.fido_key.profile import PLAIN, Profile
from authd_simulators.fido_key.status import Status, demand
from authd_simulators.fido_key.tokens import Tokens
from authd_simulators.fido_key.trouble import Trouble

RESET_S = 10
UP, UV, BE, BS, AT, ED = 1, 4, 8, 16, 64, 128


@dataclass(slots=True)
class Volatile:
    """What is lost with the power, and (all but the tokens) with any command that does not go on with it."""

    tokens: Tokens
    since_ns: int
    assertions: Iterator[dict[int, object]] | None = None
    rps: list[dict[int, object]] = field(default_factory=lambda: list[dict[int, object]]())
    credentials: list[dict[int, object]] = field(default_factory=lambda: list[dict[int, object]]())
    learning: tuple[bytes, int, int] | None = None
    """Template, finger, and touches still needed while the sensor learns a finger."""
    blob: tuple[int, bytes] | None = None
    """Announced length and what was written so far of a large blob array."""


class Device:
    """The key without its commands."""

    def __init__(
        self,
        profile: Profile = PLAIN,
        memory: Memory | None = None,
        *,
        seed: int | None = None,
        clock: Callable[[], int] = now_ns,
        touch_s: float = TOUCH_S,
    ) -> None:
        """Make a key and plug it in. `seed` makes all its secrets come again; `clock` in ns."""
        self.profile = profile
        self.random = secrets.token_bytes if seed is None else random.Random(seed).randbytes
        self.clock = clock
        self.memory = memory or Memory.new(profile.min_pin, self.random)
        self.presence = Presence(touch_s)
        self.trouble = Trouble()
        self.lock = threading.RLock()
        """Commands of several threads wait here for each other."""
        self.volatile = self._fresh()
        self.hidden_flags = 0
        """Bits that the key leaves out of its authenticator data though they are due: a key that lies."""

    @property
    def approve(self) -> Approve:
        """Who touches the key when it blinks; by default `presence.hand`."""
        return self.presence.approve

    @approve.setter
    def approve(self, approve: Approve) -> None:
        self.presence.approve = approve

    @property
    def tokens(self) -> Tokens:
        """PIN/UV state of this power cycle."""
        return self.volatile.tokens

    @property
    def attestation(self) -> Attestation:
        """What the maker put in; its `root` is the DER certificate for an allow-list."""
        return Attestation(self.memory.maker, self.profile.aaguid)

    @property
    def uv_ready(self) -> bool:
        """Whether the sensor knows a finger."""
        return self.profile.bio and bool(self.memory.fingers)

    @property
    def protected(self) -> bool:
        """Whether a PIN or a finger protects the key."""
        return self.memory.pin is not None or self.uv_ready

    def power(self, on: bool) -> None:
        """Take the power away, which ends a running command with `Unplugged`, or give it back."""
        self.presence.power(on)
        if on:
            self.volatile = self._fresh()

    def reset(self) -> None:
        """Forget everything. Raises `CtapError` later than 10 s after power-up, and without a touch."""
        demand(self.clock() - self.volatile.since_ns < RESET_S * 10**9, Status.NOT_ALLOWED)
        self.presence.wait(Want.TOUCH)
        counter = self.memory.counter
        self.memory = Memory.new(self.profile.min_pin, self.random, self.memory.maker)
        self.memory.counter = counter
        self.volatile = Volatile(Tokens(self.random, self.clock), self.volatile.since_ns)

    def touch(self) -> None:
        """Wait until somebody is there. Raises `CtapError`."""
        self.presence.wait(Want.TOUCH)

    def verify_finger(self) -> None:
        """Wait for a finger that the sensor knows. Raises `CtapError` UV_INVALID for another, UV_BLOCKED after five."""
        demand(self.memory.uv_retries > 0, Status.UV_BLOCKED)
        gesture = self.presence.wait(Want.FINGER)
        if any(each.finger == gesture.finger for each in self.memory.fingers):
            self.memory.uv_retries = UV_RETRIES
            return
        self.memory.uv_retries -= 1
        demand(self.memory.uv_retries > 0, Status.UV_BLOCKED)
        demand(False, Status.UV_INVALID)

    def find(self, rp_id: str, credential_id: bytes) -> Credential | None:
        """Return the credential of an id, unless it was deleted or is another's."""
        credential = open_id(self.memory.secret, hash_of(rp_id), credential_id)
        if credential is not None and credential.facts.resident and self.resident(credential_id) is None:
            return None
        return credential

    def resident(self, credential_id: bytes) -> Resident | None:
        """Return what is remembered of a discoverable credential."""
        return next((each for each in self.memory.residents if each.credential_id == credential_id), None)

    def open(self, resident: Resident) -> Credential:
        """Return the credential of one that is remembered."""
        credential = open_id(self.memory.secret, hash_of(resident.rp_id), resident.credential_id)
        assert credential is not None
        return credential

    def create(self, rp_hash: bytes, facts: Facts) -> Credential:
        """Make a credential."""
        return create(self.memory.secret, rp_hash, facts, self.random(16))

    def count(self) -> int:
        """Return the next value of the signature counter."""
        if self.profile.zero_counter:
            return 0
        self.memory.counter = min(self.memory.counter + 1, 0xFFFFFFFF)
        return self.memory.counter

    def auth_data(self, rp_hash: bytes, flags: int, attested: bytes = b"", extensions: bytes = b"") -> bytes:
        """Return authenticator data (WebAuthn, 6.1); `flags` beyond UP and UV follow from the rest."""
        flags |= BE * self.profile.backup_eligible | BS * self.profile.backed_up
        flags |= AT * bool(attested) | ED * bool(extensions)
        flags &= ~self.hidden_flags
        return rp_hash + bytes([flags]) + self.count().to_bytes(4, "big") + attested + extensions

    def _fresh(self) -> Volatile:
        return Volatile(Tokens(self.random, self.clock), self.clock())


Command = Callable[[Device, Fields], dict[int, object]]
