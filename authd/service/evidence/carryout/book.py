"""Every carry-out that is not over, as the ledger tells it: read once at the start, then kept beside it.

Pure: rows in, values out. What the book forgets (closed, refused, expired unused) the ledger still has.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from authd.core.model import Entry, Grade, Instant, Kind, SubjectId, Value
from authd.service.evidence.carryout.said import Carryout, Leaving, Order, Shown, Stage
from authd.service.ledger import Recorded

MOST: Final = 10_000
"""Carry-outs that wait or are out. Who has so many has no use for a gate."""
KINDS: Final = (
    Kind.CARRYOUT_REQUESTED,
    Kind.CARRYOUT_GRANTED,
    Kind.CARRYOUT_EXPORTED,
    Kind.CARRYOUT_OVERDUE,
)
"""What is read only as far back as something may still be open."""
GONE: Final = Instant(0)
"""A deadline that is over: taken under another boot's clock."""


class Book:
    """What waits, is allowed, or is out."""

    def __init__(self) -> None:
        self._by_id: dict[str, Carryout] = {}
        self._by_digest: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def read(self, rows: Iterable[Recorded], boot: str) -> None:
        """Begin anew with these rows."""
        for row in sorted(rows, key=lambda row: row.seq):
            self.apply(row.entry, row.wall_ms, same_boot=row.boot == boot)

    def apply(self, entry: Entry, wall_ms: int, *, same_boot: bool = True) -> None:
        """Take in one durable row; one that follows from nothing changes nothing."""
        id_ = str(entry.data.get("carryout", ""))
        if entry.kind is Kind.CARRYOUT_REQUESTED:
            made = _requested(id_, entry, same_boot=same_boot)
            if made is not None:
                self.put(made)
        elif id_ in self._by_id:
            self._step(self._by_id[id_], entry, wall_ms)

    def put(self, changed: Carryout) -> None:
        """Add or replace one."""
        self._by_id[changed.id] = changed
        self._by_digest[changed.digest] = changed.id

    def get(self, id_: str) -> Carryout | None:
        """Return the one of this name."""
        return self._by_id.get(id_)

    def of_token(self, digest: str) -> Carryout | None:
        """Return the one whose capability has this digest."""
        return self._by_id.get(self._by_digest.get(digest, ""))

    def matching(self, shown: Shown, now: Instant) -> Carryout | None:
        """Return the oldest that is allowed and is for this very document or drive; a print must have named its title.

        Where none is, the first that would be but for its stage: it says best why not.
        """
        found = [each for each in self._by_id.values() if _fits(each.order, shown)]
        good = (each for each in found if each.stage is Stage.GRANTED and now < each.expires)
        return next(good, next(iter(found), None))

    def all(self) -> list[Carryout]:
        """Return them, the oldest first."""
        return list(self._by_id.values())

    def out(self) -> list[Carryout]:
        """Return what has left and is not back."""
        return [each for each in self._by_id.values() if each.out]

    def forget(self, now: Instant) -> None:
        """Drop what nobody has used in time."""
        for each in list(self._by_id.values()):
            if not each.out and now >= each.expires:
                self.drop(each)

    def drop(self, each: Carryout) -> None:
        """Drop one."""
        self._by_id.pop(each.id, None)
        self._by_digest.pop(each.digest, None)

    def _step(self, found: Carryout, entry: Entry, wall_ms: int) -> None:
        match entry.kind:
            case Kind.CARRYOUT_GRANTED:
                self.put(replace(found, stage=Stage.GRANTED, approver=entry.subject))
            case Kind.CARRYOUT_USED:
                self.put(replace(found, stage=Stage.USED, used_ms=wall_ms))
            case Kind.CARRYOUT_EXPORTED:
                self.put(replace(found, exported=True))
            case Kind.CARRYOUT_OVERDUE:
                self.put(replace(found, overdue=True))
            case Kind.CARRYOUT_CLOSED:
                self.drop(found)
            case _:
                pass


def told(order: Order) -> dict[str, Value]:
    """Return what a row says of what is asked for."""
    data: dict[str, Value] = {"kind": order.kind.value, "system": order.system, "rows": order.rows}
    data |= {"purpose": order.purpose, "destination": order.destination}
    return data | ({"title": order.title} if order.title else {})


def _fits(order: Order, shown: Shown) -> bool:
    if order.kind is not shown.kind or order.destination != shown.destination:
        return False
    return shown.kind is Leaving.USB or (bool(order.title) and order.title == shown.title)


def _requested(id_: str, entry: Entry, *, same_boot: bool) -> Carryout | None:
    data = entry.data
    if not id_ or entry.subject is None or entry.seat is None or entry.session is None or entry.grade is None:
        return None
    order = Order(
        Leaving(str(data["kind"])),
        str(data["system"]),
        _whole(data["rows"]),
        str(data["purpose"]),
        str(data["destination"]),
        float(data["expires_h"] or 0),
        _whole(data["return_days"]),
        str(data.get("title", "")),
    )
    return Carryout(
        id_,
        order,
        str(data["capability"]),
        SubjectId(entry.subject),
        entry.seat,
        entry.session,
        Grade(entry.grade),
        str(data["factors"]),
        float(data["margin"] or 0),
        Instant(_whole(data["expires"])) if same_boot else GONE,
        _whole(data["expires_ms"]),
        _whole(data["due_ms"]),
    )


def _whole(value: Value) -> int:
    return int(value or 0)
