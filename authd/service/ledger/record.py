"""What stands in a ledger row: the exact bytes, how they are made from an `Entry`, and what a reader gets back.

The bytes are JSON in a fixed order, so that a person with any tool can read them in twenty years; they are hashed as
they are stored, so nothing is ever canonicalised. The number of the row and the wall-clock time are inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256

import msgspec

from authd.core.model import EndReason, Entry, Epoch, Grade, Instant, Kind, SeatId, SessionId, SubjectId, Value

ROW_LIMIT = 65_535
"""Largest row, bytes: what C2SP's bundles of entries can hold."""


class Row(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The JSON object of one row. Its fields may grow, each with a default; none is ever renamed."""

    seq: int
    """Number of the row, from 1; ascending, and without a hole but where a `ledger.gap` row says so."""
    wall: int
    """Milliseconds since 1970 by the wall clock; for people, never for a deadline."""
    boot: str
    """Kernel's boot id, under which `at` was taken."""
    at: int
    """Nanoseconds of CLOCK_BOOTTIME."""
    kind: Kind
    seat: str | None = None
    epoch: int = 0
    subject: str | None = None
    session: str | None = None
    reason: EndReason | None = None
    grade: Grade | None = None
    data: Mapping[str, Value] = {}


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """An entry with its place in the ledger."""

    seq: int
    wall_ms: int
    entry: Entry
    bytes: bytes
    """Exactly what is stored and hashed."""
    boot: str = ""


_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(Row).decode


class Placed(msgspec.Struct, frozen=True, gc=False):
    """Where an entry durably stands."""

    seq: int
    """Its number."""
    leaf: int
    """Its index in the tree; below `seq` by one and by the numbers that gaps passed over."""
    size: int
    """Leaves in the tree when it was told, this one among them."""


class BadRow(ValueError):
    """The bytes of a row are not a row."""


class Unstorable(ValueError):
    """An entry that cannot become a row: too large, or with data that JSON does not know."""


def encode(seq: int, wall_ms: int, boot: str, entry: Entry) -> bytes:
    """Return the bytes to store and hash. Raises `Unstorable`."""
    row = Row(
        seq,
        wall_ms,
        boot,
        entry.at,
        entry.kind,
        entry.seat,
        entry.epoch,
        entry.subject,
        entry.session,
        entry.reason,
        entry.grade,
        entry.data,
    )
    try:
        raw = _encode(row)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise Unstorable(str(error)) from error
    if len(raw) > ROW_LIMIT:
        raise Unstorable(f"{len(raw)} bytes")
    return raw


def storable(entry: Entry) -> bool:
    """Whether the entry can become a row at all."""
    try:
        return len(encode(0, 0, "", entry)) <= ROW_LIMIT - 256
    except Unstorable:
        return False


def stripped(entry: Entry) -> Entry:
    """Return the entry without its data, and with a word that something is missing."""
    return replace(entry, data={"unstorable": True})


def decode(raw: bytes) -> Recorded:
    """Read a row back. Raises `BadRow`."""
    try:
        row = _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadRow(str(error)) from error
    return Recorded(row.seq, row.wall, _entry(row), raw, row.boot)


def _entry(row: Row) -> Entry:
    return Entry(
        kind=row.kind,
        seat=None if row.seat is None else SeatId(row.seat),
        epoch=Epoch(row.epoch),
        subject=None if row.subject is None else SubjectId(row.subject),
        session=None if row.session is None else SessionId(row.session),
        at=Instant(row.at),
        reason=row.reason,
        grade=row.grade,
        data=row.data,
    )


def place(of: str) -> int:
    """Return what the narrow index knows a seat, subject, record or kind by (`seat:counter-1`): 64 bits of SHA-256."""
    return int.from_bytes(sha256(of.encode()).digest()[:8], signed=True)


_BUSY = ("session.", "attempt.", "grant", "void", "shift.", "view.")
SITTING = {id(kind) for kind in Kind if kind.startswith("session.")}
"""Kinds of the rows that say who sat at a seat: few among its views, and found without them."""
RARE = {id(kind) for kind in Kind if not kind.startswith(_BUSY)}
"""Kinds with very many rows are found by seat, subject or record, not by kind. By identity: an enum's hash is slow."""


def lasting(entry: Entry, *, told: bool = True) -> list[int]:
    """Return the places that are in the narrow index for good: its seat, and its kind if that is rare.

    told: whether the index tells a seat's sessions from its other rows.
    """
    found = [] if entry.seat is None else [_place("seat", entry.seat)]
    if told and entry.seat is not None and id(entry.kind) in SITTING:
        found.append(_place("sitting", entry.seat))
    if id(entry.kind) in RARE:
        found.append(_place("kind", entry.kind))
    return found


def passing(entry: Entry) -> list[int]:
    """Return the places that are in the narrow index until a span is sealed over them: its subject and its record."""
    found = [] if entry.subject is None else [_place("subject", entry.subject)]
    if entry.data and (record := record_of(entry)) is not None:
        found.append(place(f"record:{record}"))
    return found


def places(entry: Entry) -> list[int]:
    """Return every place under which the entry is found."""
    return lasting(entry) + passing(entry)


def record_of(entry: Entry) -> str | None:
    """Return the pseudonym of the record that an entry is about, if it is about one."""
    record = entry.data.get("record")
    return record if isinstance(record, str) else None


@lru_cache(maxsize=65_536)
def _place(name: str, value: str) -> int:
    return place(f"{name}:{value}")
