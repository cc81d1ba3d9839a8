"""authenticatorConfig (CTAP 2.1, 6.11): enterprise attestation, alwaysUv, the shortest PIN."""

from __future__ import annotations

from authd_simulators.fido_key.cbor import Fields
from authd_simulators.fido_key.device import Device
from authd_simulators.fido_key.info import MAX_PIN_RP_IDS
from authd_simulators.fido_key.memory import Memory
from authd_simulators.fido_key.status import CtapError, Status, demand
from authd_simulators.fido_key.tokens import Permission

KEYS = (3, 4)
LONGEST_PIN = 63


def configure(key: Device, request: Fields) -> dict[int, object]:
    """Carry out one subcommand. Raises `CtapError`."""
    number, params = request.need(1, int), request.map(2)
    demand(number in (1, 2, 3), Status.INVALID_SUBCOMMAND)
    if key.protected or (key.memory.always_uv and number != 2):
        demand(request.has(KEYS[1]), Status.PUAT_REQUIRED)
        body = params.raw if request.has(2) else b""
        message = b"\xff" * 32 + bytes([0x0D, number]) + body
        key.tokens.check(request, KEYS, message, Permission.CONFIGURE)
    match number:
        case 1:
            key.memory.enterprise = True
        case 2:
            key.memory.always_uv = not key.memory.always_uv
        case _:
            _shortest_pin(key.memory, params)
    if key.memory.force_pin_change:
        key.tokens.token = None
    return {}


def _shortest_pin(memory: Memory, params: Fields) -> None:
    shortest = params.get(1, int)
    shortest = memory.min_pin if shortest is None else shortest
    demand(memory.min_pin <= shortest <= LONGEST_PIN, Status.PIN_POLICY_VIOLATION)
    rp_ids = params.array(2)
    demand(len(rp_ids) <= MAX_PIN_RP_IDS, Status.KEY_STORE_FULL)
    names = [each for each in rp_ids if isinstance(each, str)]
    demand(len(names) == len(rp_ids), Status.CBOR_UNEXPECTED_TYPE)
    force = params.get(3, bool) is True
    if force and memory.pin is None:
        raise CtapError(Status.PIN_NOT_SET)
    memory.min_pin = shortest
    memory.min_pin_rp_ids = names or memory.min_pin_rp_ids
    if memory.pin is not None and (force or memory.pin_length < shortest):
        memory.force_pin_change = True
