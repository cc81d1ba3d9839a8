"""authenticatorLargeBlobs (CTAP 2.1, 6.10): one array that all relying parties share, read and written in parts."""

from __future__ import annotations

import hashlib

from authd_simulators.fido_key.cbor import Fields
from authd_simulators.fido_key.device import Device
from authd_simulators.fido_key.profile import MAX_MESSAGE
from authd_simulators.fido_key.status import CtapError, Status, demand
from authd_simulators.fido_key.tokens import Permission

KEYS = (6, 5)
FRAGMENT = MAX_MESSAGE - 64
CHECK = 16
Answer = dict[int, object]


def large_blobs(key: Device, request: Fields) -> Answer:
    """Read or write a part. Raises `CtapError`."""
    offset = request.need(3, int)
    demand(offset >= 0, Status.INVALID_PARAMETER)
    demand(request.has(1) != request.has(2), Status.INVALID_PARAMETER)
    if request.has(1):
        return _read(key, request, offset)
    return _write(key, request, offset, request.need(2, bytes))


def _read(key: Device, request: Fields, offset: int) -> Answer:
    length = request.need(1, int)
    demand(not request.has(4) and not request.has(5) and not request.has(6), Status.INVALID_PARAMETER)
    demand(0 <= length <= FRAGMENT, Status.INVALID_LENGTH)
    demand(offset <= len(key.memory.large_blob), Status.INVALID_PARAMETER)
    return {1: key.memory.large_blob[offset : offset + length]}


def _write(key: Device, request: Fields, offset: int, part: bytes) -> Answer:
    demand(len(part) <= FRAGMENT, Status.INVALID_LENGTH)
    length = _announced(key, request, offset)
    before = key.volatile.blob[1] if offset and key.volatile.blob is not None else b""
    if key.protected or key.memory.always_uv:
        demand(request.has(KEYS[1]), Status.PUAT_REQUIRED)
        message = b"\xff" * 32 + b"\x0c\x00" + offset.to_bytes(4, "little") + hashlib.sha256(part).digest()
        key.tokens.check(request, KEYS, message, Permission.WRITE_LARGE_BLOBS)
    whole = before + part
    demand(len(whole) <= length, Status.INVALID_PARAMETER)
    key.volatile.blob = (length, whole)
    if len(whole) == length:
        _finish(key, whole)
    return {}


def _announced(key: Device, request: Fields, offset: int) -> int:
    """Return how long the whole array is to be. Raises `CtapError`."""
    if offset == 0:
        length = request.need(4, int)
        demand(length <= key.profile.large_blob, Status.LARGE_BLOB_STORAGE_FULL)
        demand(length > CHECK, Status.INVALID_PARAMETER)
        return length
    demand(not request.has(4), Status.INVALID_PARAMETER)
    blob = key.volatile.blob
    if blob is None or len(blob[1]) != offset:
        raise CtapError(Status.INVALID_SEQ)
    return blob[0]


def _finish(key: Device, whole: bytes) -> None:
    key.volatile.blob = None
    array, check = whole[:-CHECK], whole[-CHECK:]
    demand(hashlib.sha256(array).digest()[:CHECK] == check, Status.INTEGRITY_FAILURE)
    key.memory.large_blob = whole
