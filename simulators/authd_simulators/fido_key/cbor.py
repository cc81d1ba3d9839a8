"""CTAP2's canonical CBOR (CTAP 2.1, clause 8): the key's own codec, so that both ends of a test do not share a bug.

Only what CTAP uses: integers of 64 bits, byte and text strings, arrays, maps, booleans and null. Decoding is strict:
shortest forms, sorted keys, no duplicates, nothing left over, at most four levels deep.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

from authd_simulators.fido_key.status import CtapError, Status

DEEPEST = 4
_UINT, _NINT, _BYTES, _TEXT, _ARRAY, _MAP, _SIMPLE = 0, 1, 2, 3, 4, 5, 7
_SIMPLES = {20: False, 21: True, 22: None}
_EXTRA = {24: (1, 24), 25: (2, 1 << 8), 26: (4, 1 << 16), 27: (8, 1 << 32)}
T = TypeVar("T")


def encode(value: object) -> bytes:
    """Return the canonical encoding. Raises `TypeError` for what CTAP has no use for."""
    match value:
        case None | bool():
            return bytes([0xF6 if value is None else 0xF4 + value])
        case int():
            return _head(_UINT, value) if value >= 0 else _head(_NINT, -1 - value)
        case bytes():
            return _head(_BYTES, len(value)) + value
        case str():
            data = value.encode()
            return _head(_TEXT, len(data)) + data
        case Mapping():
            return _encode_map(cast("Mapping[object, object]", value))
        case Sequence():
            items = cast("Sequence[object]", value)
            return _head(_ARRAY, len(items)) + b"".join(encode(item) for item in items)
        case _:
            raise TypeError(f"no CBOR for {type(value).__name__}")


def _encode_map(table: Mapping[object, object]) -> bytes:
    pairs = sorted(((encode(key), encode(item)) for key, item in table.items()), key=lambda pair: _order(pair[0]))
    return _head(_MAP, len(pairs)) + b"".join(key + item for key, item in pairs)


def _order(key: bytes) -> tuple[int, int, bytes]:
    """Return what CTAP sorts keys by: major type, then length, then bytes."""
    return key[0] >> 5, len(key), key


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([major << 5 | number])
    for code, (size, _) in _EXTRA.items():
        if number < 1 << 8 * size:
            return bytes([major << 5 | code]) + number.to_bytes(size, "big")
    raise TypeError("the number has more than 64 bits")


def decode(data: bytes) -> object:
    """Return the one value that `data` holds. Raises `CtapError` INVALID_CBOR for anything else."""
    reader = _Reader(data)
    value = reader.value(0)
    if reader.at != len(data):
        raise CtapError(Status.INVALID_CBOR)
    return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, length: int) -> bytes:
        part = self.data[self.at : self.at + length]
        if len(part) != length:
            raise CtapError(Status.INVALID_CBOR)
        self.at += length
        return part

    def value(self, depth: int) -> object:
        initial = self.take(1)[0]
        major, number = initial >> 5, self._number(initial & 31)
        match major:
            case 0:
                return number
            case 1:
                return -1 - number
            case 2:
                return self.take(number)
            case 3:
                return self._text(number)
            case 4 | 5 if depth < DEEPEST:
                return self._array(number, depth) if major == _ARRAY else self._map(number, depth)
            case 7 if initial & 31 in _SIMPLES:
                return _SIMPLES[number]
            case _:
                raise CtapError(Status.INVALID_CBOR)

    def _number(self, code: int) -> int:
        if code < 24:
            return code
        if code not in _EXTRA:
            raise CtapError(Status.INVALID_CBOR)
        size, least = _EXTRA[code]
        number = int.from_bytes(self.take(size), "big")
        if number < least:
            raise CtapError(Status.INVALID_CBOR)
        return number

    def _text(self, length: int) -> str:
        try:
            return self.take(length).decode()
        except UnicodeDecodeError:
            raise CtapError(Status.INVALID_CBOR) from None

    def _array(self, length: int, depth: int) -> list[object]:
        self._fits(length)
        return [self.value(depth + 1) for _ in range(length)]

    def _map(self, length: int, depth: int) -> dict[object, object]:
        self._fits(length * 2)
        table: dict[object, object] = {}
        before: tuple[int, int, bytes] | None = None
        for _ in range(length):
            start = self.at
            key = self.value(DEEPEST)
            order = _order(self.data[start : self.at])
            if isinstance(key, bool) or key is None or (before is not None and order <= before):
                raise CtapError(Status.INVALID_CBOR)
            before = order
            table[key] = self.value(depth + 1)
        return table

    def _fits(self, items: int) -> None:
        if items > len(self.data) - self.at:  # each item takes a byte at least: nothing is set aside on its word
            raise CtapError(Status.INVALID_CBOR)


class Fields:
    """A decoded map, read with the types that the specification gives."""

    def __init__(self, table: Mapping[Any, object]) -> None:
        self.table: Mapping[Any, object] = table

    @classmethod
    def of(cls, value: object) -> Fields:
        """Return the fields of a decoded value that must be a map. Raises `CtapError`."""
        if not isinstance(value, dict):
            raise CtapError(Status.CBOR_UNEXPECTED_TYPE)
        return cls(cast("dict[object, object]", value))

    @property
    def raw(self) -> bytes:
        """The encoding as it was sent; canonical, so there is only one."""
        return encode(self.table)

    def get(self, key: object, kind: type[T]) -> T | None:
        """Return an optional field. Raises `CtapError` for another type."""
        value = self.table.get(key)
        if key not in self.table:
            return None
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise CtapError(Status.CBOR_UNEXPECTED_TYPE)
        return value

    def need(self, key: object, kind: type[T]) -> T:
        """Return a mandatory field. Raises `CtapError`."""
        value = self.get(key, kind)
        if value is None:
            raise CtapError(Status.MISSING_PARAMETER)
        return value

    def has(self, key: object) -> bool:
        """Say whether the field is there, of whatever type."""
        return key in self.table

    def needs(self, *keys: object) -> None:
        """Raise `CtapError` unless all of these fields are there."""
        if not all(key in self.table for key in keys):
            raise CtapError(Status.MISSING_PARAMETER)

    def map(self, key: object) -> Fields:
        """Return a map; an empty one if it is missing. Raises `CtapError`."""
        return Fields.of(self.table.get(key, {}))

    def array(self, key: object) -> list[object]:
        """Return an array; an empty one if it is missing. Raises `CtapError`."""
        return cast("list[object]", self.get(key, list) or [])
