"""Who is there and how that is proven, for credentials and assertions alike (CTAP 2.1, 6.1.2 and 6.2.2)."""

from __future__ import annotations

from dataclasses import dataclass

from authd_simulators.fido_key.cbor import Fields
from authd_simulators.fido_key.device import UP, UV, Device
from authd_simulators.fido_key.status import CtapError, Status, demand
from authd_simulators.fido_key.tokens import Permission


@dataclass(frozen=True, slots=True)
class Places:
    """Which fields of a request hold what both kinds of request have."""

    options: int
    protocol: int
    param: int


@dataclass(slots=True)
class Consent:
    """What is known of the person so far."""

    up: bool
    uv: bool
    present: bool = False
    """The finger that verified was a touch as well."""

    @property
    def flags(self) -> int:
        """The bits of authenticator data."""
        return UP * self.up | UV * self.uv


def selection_by_empty_param(key: Device, request: Fields, places: Places) -> None:
    """Platforms of CTAP 2.0 send an empty pinUvAuthParam to find the key that is touched. Raises `CtapError`."""
    if request.get(places.param, bytes) == b"":
        key.touch()
        raise CtapError(Status.PIN_NOT_SET if key.memory.pin is None else Status.PIN_INVALID)


def verify(
    key: Device, request: Fields, places: Places, client_data: bytes, permission: Permission, rp_id: str
) -> tuple[bool, bool]:
    """Return whether the person is verified, and whether that was a touch as well. Raises `CtapError`."""
    if request.get(places.param, bytes) is not None:
        token = key.tokens.check(request, (places.protocol, places.param), client_data, permission)
        demand(token.rp_id in (None, rp_id), Status.PIN_AUTH_INVALID)
        token.rp_id = rp_id
        return token.verified, token.present
    if option(request, places, "uv"):
        demand(key.uv_ready, Status.INVALID_OPTION)
        key.verify_finger()
        return True, True
    return False, False


def option(request: Fields, places: Places, name: str, default: bool = False) -> bool:
    """Return one of the request's options. Raises `CtapError`."""
    value = request.map(places.options).get(name, bool)
    return default if value is None else value


def ids(items: list[object]) -> list[bytes]:
    """Return the ids of a list of credential descriptors; of other types than public-key none. Raises `CtapError`."""
    found: list[bytes] = []
    for item in items:
        each = Fields.of(item)
        if each.need("type", str) == "public-key":
            found.append(each.need("id", bytes))
    return found
