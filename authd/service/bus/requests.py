"""Reading a request strictly: at most 64 kB, one of the known verbs, every member known and of its type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Union

import msgspec
from msgspec import Struct

from authd.service.bus.house import DoorError, Error
from authd.service.bus.table import VERBS
from authd.service.bus.wire import LONGEST, Call, Number

CALLS: Final[Mapping[str, type[Call]]] = {str(call.__struct_config__.tag): call for call in VERBS}
"""Verb -> the shape of its request."""


class _Head(Struct):
    id: Number
    verb: str


class Malformed(DoorError):
    """Not a request. `id` is what could be read of the peer's number."""

    def __init__(self, error: Error, detail: str, number: int | None = None) -> None:
        super().__init__(detail)
        self.error = error
        self.detail = detail
        self.id = number


_calls: msgspec.json.Decoder[Call] = msgspec.json.Decoder(Union[tuple(VERBS)])  # noqa: UP007 - the union of a table's keys
_heads = msgspec.json.Decoder(_Head)


def decode(frame: bytes) -> Call:
    """Read a request. Raises `Malformed`, and nothing else, for any bytes."""
    if len(frame) > LONGEST:
        raise Malformed(Error.BAD_REQUEST, "longer than 64 kB")
    try:
        return _calls.decode(frame)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _explain(frame, str(error)) from None


def _explain(frame: bytes, detail: str) -> Malformed:
    try:
        head = _heads.decode(frame)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Malformed(Error.BAD_REQUEST, "not a request: expected an object with id and verb")
    if head.verb not in CALLS:
        return Malformed(Error.UNKNOWN_VERB, "no such verb", head.id)
    return Malformed(Error.BAD_REQUEST, detail[:200], head.id)
