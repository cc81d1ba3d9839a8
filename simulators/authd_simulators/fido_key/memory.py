"""What a key remembers without power, and how it is written to a file: a clone is a copy of that file."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any, cast

from authd_simulators.fido_key import cbor
from authd_simulators.fido_key.status import CtapError

PIN_RETRIES, UV_RETRIES = 8, 5
EMPTY_BLOB = b"\x80" + hashlib.sha256(b"\x80").digest()[:16]
MAX_FILE = 1 << 20
MAKER = hashlib.sha256(b"the maker of simulated keys").digest()
"""From it follow the attestation root and keys: public, so nothing that trusts them is worth anything."""


@dataclass(slots=True)
class Resident:
    """A discoverable credential: what `Credential` does not derive from its id."""

    credential_id: bytes
    rp_id: str
    rp_name: str | None
    user_id: bytes
    user_name: str | None
    display_name: str | None
    blob: bytes | None = None
    large_blob_key: bytes | None = None
    payment: bool = False

    def user(self, *, whole: bool) -> dict[str, object]:
        """Return the user entity; names only if `whole`."""
        names = {"name": self.user_name, "displayName": self.display_name} if whole else {}
        user: dict[str, object] = {"id": self.user_id}
        return user | {key: name for key, name in names.items() if name is not None}


@dataclass(slots=True)
class Finger:
    """A finger that the sensor knows."""

    template: bytes
    finger: int
    name: str = ""


@dataclass(slots=True)
class Memory:
    """Everything that outlives the power. A reset makes a new one, but for what the maker put in."""

    secret: bytes
    maker: bytes
    pin: bytes | None = None
    """First half of the SHA-256 of the PIN."""
    pin_length: int = 0
    pin_retries: int = PIN_RETRIES
    uv_retries: int = UV_RETRIES
    counter: int = 0
    residents: list[Resident] = field(default_factory=lambda: list[Resident]())
    fingers: list[Finger] = field(default_factory=lambda: list[Finger]())
    min_pin: int = 4
    min_pin_rp_ids: list[str] = field(default_factory=lambda: list[str]())
    force_pin_change: bool = False
    always_uv: bool = False
    enterprise: bool = False
    large_blob: bytes = EMPTY_BLOB

    @classmethod
    def new(cls, min_pin: int, random: Callable[[int], bytes] = secrets.token_bytes, maker: bytes = MAKER) -> Memory:
        """Return the memory of a key fresh from its maker, or fresh from a reset."""
        return cls(secret=random(32), maker=maker, min_pin=min_pin)

    def pack(self) -> bytes:
        """Return the bytes of a file from which `unpack` makes the same key."""
        return cbor.encode(asdict(self))

    @classmethod
    def unpack(cls, data: bytes) -> Memory:
        """Read what `pack` wrote. Raises `ValueError`."""
        try:
            table = cast("dict[str, Any]", cbor.decode(data[:MAX_FILE]))
            table["residents"] = [Resident(**each) for each in table["residents"]]
            table["fingers"] = [Finger(**each) for each in table["fingers"]]
            memory = cls(**table)
        except (CtapError, TypeError, KeyError, AttributeError):
            raise ValueError("this is no file of a simulated key") from None
        if set(table) != {each.name for each in fields(cls)}:
            raise ValueError("this file is of another version of the simulated key")
        return memory
