"""authenticatorBioEnrollment (CTAP 2.1, 6.7): the sensor learns, names and forgets fingers."""

from __future__ import annotations

from authd_simulators.fido_key.cbor import Fields
from authd_simulators.fido_key.device import Device
from authd_simulators.fido_key.memory import Finger
from authd_simulators.fido_key.presence import Want
from authd_simulators.fido_key.status import CtapError, Status, demand
from authd_simulators.fido_key.tokens import Permission

KEYS = (4, 5)
FINGERPRINT, TOUCH_SENSOR = 1, 1
NAME = 64
GOOD, EXISTS, NOBODY = 0, 0x0B, 0x0D
BEGIN, CAPTURE, CANCEL, LIST, RENAME, REMOVE, SENSOR = range(1, 8)
MOST_MS = 60_000
Answer = dict[int, object]


def enrol_finger(key: Device, request: Fields) -> Answer:
    """Carry out one subcommand. Raises `CtapError`."""
    demand(key.profile.bio, Status.INVALID_COMMAND)
    if request.get(6, bool):
        return {1: FINGERPRINT}
    demand(request.need(1, int) == FINGERPRINT, Status.INVALID_PARAMETER)
    number, params = request.need(2, int), request.map(3)
    if number == SENSOR:
        return {2: TOUCH_SENSOR, 3: key.profile.samples, 8: NAME}
    if number == CANCEL:
        key.volatile.learning = None
        return {}
    demand(BEGIN <= number <= REMOVE, Status.INVALID_SUBCOMMAND)
    _allowed(key, request, number)
    match number:
        case 1:
            return _begin(key, params)
        case 2:
            return _capture(key, params)
        case 4:
            return _list(key)
        case 5:
            return _rename(key, params)
        case _:
            key.memory.fingers.remove(_named(key, params))
            return {}


def _allowed(key: Device, request: Fields, number: int) -> None:
    demand(request.has(KEYS[1]), Status.PUAT_REQUIRED)
    message = bytes([FINGERPRINT, number]) + (request.map(3).raw if request.has(3) else b"")
    key.tokens.check(request, KEYS, message, Permission.ENROL_FINGERS)


def _begin(key: Device, params: Fields) -> Answer:
    demand(len(key.memory.fingers) < key.profile.max_fingers, Status.FP_DATABASE_FULL)
    key.volatile.learning = (key.random(4), 0, key.profile.samples)
    answer = _sample(key, params)
    assert key.volatile.learning is not None
    return {4: key.volatile.learning[0]} | answer


def _capture(key: Device, params: Fields) -> Answer:
    learning = key.volatile.learning
    demand(learning is not None, Status.NOT_ALLOWED)
    assert learning is not None
    demand(params.need(1, bytes) == learning[0], Status.INVALID_OPTION)
    return _sample(key, params)


def _sample(key: Device, params: Fields) -> Answer:
    """Take one touch of the finger that is learned; the first good one says which finger it is."""
    assert key.volatile.learning is not None
    template, finger, needed = key.volatile.learning
    touched, feedback = _touch(key, params)
    if feedback == GOOD and any(each.finger == touched for each in key.memory.fingers):
        feedback = EXISTS
    elif feedback == GOOD and finger not in (0, touched):
        feedback = 0x0A  # FP_MERGE_FAILURE: another finger than before
    if feedback == GOOD:
        needed -= 1
        key.volatile.learning = (template, touched, needed)
    if needed == 0:
        key.memory.fingers.append(Finger(template, touched))
        key.volatile.learning = (template, touched, 0)
    return {5: feedback, 6: needed}


def _touch(key: Device, params: Fields) -> tuple[int, int]:
    """Return the finger that came within the time and what the sensor says of it. Raises `CtapError`."""
    limit_ms = params.get(3, int)
    try:
        gesture = key.presence.wait(Want.FINGER, min(limit_ms, MOST_MS) / 1000 if limit_ms else None)
    except CtapError as error:
        if error.status is Status.USER_ACTION_TIMEOUT:
            return 0, NOBODY
        raise
    return gesture.finger or 0, gesture.feedback


def _list(key: Device) -> Answer:
    demand(bool(key.memory.fingers), Status.INVALID_OPTION)
    return {7: [{1: each.template, 2: each.name} for each in key.memory.fingers]}


def _named(key: Device, params: Fields) -> Finger:
    template = params.need(1, bytes)
    finger = next((each for each in key.memory.fingers if each.template == template), None)
    if finger is None:
        raise CtapError(Status.INVALID_OPTION)
    return finger


def _rename(key: Device, params: Fields) -> Answer:
    finger, name = _named(key, params), params.need(2, str)
    demand(len(name.encode()) <= NAME, Status.INVALID_LENGTH)
    finger.name = name
    return {}
