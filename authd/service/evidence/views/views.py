"""Record views: an application reports each record before it shows it, and gets a receipt once the row is durable."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NoReturn

from authd.core.model import MILLISECOND, Entry, Grade, Instant, Kind, SeatId, Session, SessionId, Value
from authd.core.tlog import leaf_hash
from authd.service.evidence.ground import Ground, Part
from authd.service.evidence.records import RESIDENT, Pseudonyms, RecordId
from authd.service.evidence.views.bounds import (
    APPLICATION_BURST,
    EARLIEST_MS,
    OLDEST_MS,
    SESSION_BURST,
    Sitting,
    Tokens,
)
from authd.service.evidence.views.refusals import Refusals
from authd.service.evidence.views.said import Said, View, ViewRefused, Why

Before = Callable[[SeatId, Session, Said], None]
"""Asked before a view is written; raises (`bus.house.Refused`) where it is not to be."""
AUTHD: Final = "authd"
"""As the system of a view: authd's own ledger was asked."""
LOOKED_UP: Final = "authd/views"
"""What a person confirms who asks authd's own ledger or registry."""
OnView = Callable[[View], None]
"""Told of each view once it is durable, and before the application is."""


class Views(Part):
    """Record views of this host.

    before, on_view: hooks of the other parts. What a hook raises reaches the application, which then shows nothing.
    """

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self.before: list[Before] = []
        self.on_view: list[OnView] = []
        self._refusals = Refusals(ground.ledger, ground.clock)
        self._sittings: dict[SessionId, Sitting] = {}
        self._applications: dict[str, Tokens] = {}
        self._pseudonyms: Pseudonyms | None = None
        self._opened = 0

    async def begin(self) -> None:
        """Read the key of pseudonyms. Nothing else is remembered: sessions, and with them nonces, end with a daemon."""
        self._pseudonyms = Pseudonyms(self.ground.keys.record_key())

    def jobs(self) -> Sequence[Coroutine[Any, Any, None]]:
        """What counts the refused."""
        return (self._refusals.run(),)

    def state(self) -> Mapping[str, object]:
        """How many were opened since the start, and how many reports refused, by reason."""
        refused = {why.value: count for why, count in sorted(self._refusals.count.items())}
        return {"opened": self._opened, "refused": refused}

    def pseudonym(self, number: str, namespace: str = RESIDENT) -> RecordId:
        """Return what a record is known by in the ledger. Raises `BadNumber`."""
        assert self._pseudonyms is not None, "begin() comes first"
        return self._pseudonyms.record(number, namespace)

    def counted(self, session: SessionId) -> int:
        """Return how many records an active session has opened."""
        sitting = self._sittings.get(session)
        return 0 if sitting is None else sitting.opened

    async def report(self, said: Said, seats: Collection[SeatId]) -> View:
        """Take an application's report; `seats`: those that it is configured for.

        Returns once the row is durable. Raises `ViewRefused`, which is recorded, and `LedgerDown`.
        """
        seat, session = await self.admit(said, seats)
        return await self.open(seat, session, said)

    async def admit(self, said: Said, seats: Collection[SeatId]) -> tuple[SeatId, Session]:
        """Ask everything that a report can be refused for, and use up its nonce. Raises `ViewRefused`, `LedgerDown`."""
        found = self.ground.owner(said.session)
        why = self._why_not(said, found, seats)
        if why is not None or found is None:
            await self._refuse(why or Why.NO_SESSION, said, found)
        return found

    async def open(self, seat: SeatId, session: Session, said: Said) -> View:
        """Write down a view that was admitted, and see that its session is still there. Raises as `report`."""
        view = await self.note(seat, session, said)
        if self.ground.owner(said.session) is None:
            await self._refuse(Why.ENDED, said, (seat, session), view)
        return view

    async def note(self, seat: SeatId, session: Session, said: Said) -> View:
        """Write a view down, without asking when and how often; for parts of authd whose look-ups are views too.

        Returns once the row is durable. Raises `LedgerDown`, and what the hooks raise.
        """
        for ask in self.before:
            ask(seat, session, said)
        acted = self._acted(session)
        view = await self._write(
            _entry(seat, session, said, acted, self.ground.clock.now()), said, seat, session, acted
        )
        for tell in self.on_view:
            tell(view)
        return view

    async def looked(self, about: str, purpose: str, account: str, seat: SeatId | None) -> int:
        """Write down that somebody asks what the ledger knows of `about` (`record:rec_...`); returns the row's number.

        seat: where whoever asks says that they are logged in; it is that person's look-up after a fresh touch there.
        Without one nobody can say which person it was: a statement of an account, and of who is `claimed`.
        Raises `LedgerDown`, and `LookupError` where nobody is logged in at that seat.
        """
        owner = None if seat is None else self._logged_in(seat)
        kind, _, name = about.partition(":")
        data: dict[str, Value] = {"system": AUTHD, "screen": "views", "purpose": purpose, "account": account}
        data |= {"record": name} if kind == "record" else {"about": about}
        touched = None if seat is None or owner is None else await self._touched(seat, owner)
        at = self.ground.clock.now()
        if owner is None or touched is None:
            data |= {} if owner is None else {"claimed": owner.subject, "claimed_seat": seat}
            return await self.ground.ledger.append(Entry(Kind.VIEW_OPENED, at=at, grade=Grade.STATEMENT, data=data))
        data |= {**_act(owner, self._acted(owner)), "touched": self._wall(touched)}
        entry = Entry(
            Kind.VIEW_OPENED, seat, owner.epoch, owner.subject, owner.id, at, None, owner.evidence.grade, data
        )
        return await self.ground.ledger.append(entry)

    def _logged_in(self, seat: SeatId) -> Session:
        state = self.ground.pipeline.seats.get(seat)
        if state is None or state.owner is None:
            raise LookupError(seat)
        return state.owner

    async def _touched(self, seat: SeatId, owner: Session) -> Instant | None:
        """Ask whoever is logged in there for a touch: anybody at a terminal can name a seat. None: it did not come."""
        asked = await self.ground.pipeline.step_up(seat, owner.id, LOOKED_UP)
        return asked.auth_time if asked.granted and self.ground.owner(owner.id) is not None else None

    def _why_not(self, said: Said, found: tuple[SeatId, Session] | None, seats: Collection[SeatId]) -> Why | None:
        """The application's own rate comes first, and the session's last: others cannot use that up."""
        now = self.ground.clock.now()
        rate = self.ground.config.views_per_application
        application = self._applications.setdefault(said.system, Tokens(rate, APPLICATION_BURST, now))
        if not application.take(now):
            return Why.APPLICATION_RATE
        if found is None:
            return Why.NO_SESSION
        if found[0] not in seats:
            return Why.FOREIGN_SEAT
        if said.subject not in (None, found[1].subject):
            return Why.FOREIGN_SESSION
        if not (said.purpose.strip() or said.call):
            return Why.NO_PURPOSE
        return self._stale(said) or self._worn(said, self._sitting(said.session))

    def _stale(self, said: Said) -> Why | None:
        age = self.ground.clock.wall_ms() - said.at_ms
        if age < -EARLIEST_MS:
            return Why.FUTURE
        return Why.LATE if age > OLDEST_MS else None

    def _worn(self, said: Said, sitting: Sitting) -> Why | None:
        if sitting.full:
            return Why.TOO_MANY
        if sitting.knows(said.nonce):
            return Why.REPLAYED
        if not sitting.tokens.take(self.ground.clock.now()):
            return Why.SESSION_RATE
        sitting.remember(said.nonce)
        return None

    def _sitting(self, session: SessionId) -> Sitting:
        """What is remembered of an active session; of those that have ended, nothing is."""
        sitting = self._sittings.get(session)
        if sitting is None:
            self._sittings = {id_: each for id_, each in self._sittings.items() if self.ground.owner(id_)}
            sitting = self._sittings[session] = Sitting(
                Tokens(self.ground.config.views_per_session, SESSION_BURST, self.ground.clock.now())
            )
        return sitting

    def _acted(self, session: Session) -> int:
        return self._wall(session.evidence.captured_at)

    def _wall(self, at: Instant) -> int:
        clock = self.ground.clock
        return clock.wall_ms() - (clock.now() - at) // MILLISECOND

    async def _write(self, entry: Entry, said: Said, seat: SeatId, session: Session, acted: int) -> View:
        ledger = self.ground.ledger
        placed = await ledger.place(entry)
        row = await anext(ledger.follow(placed.seq - 1))
        sitting = self._sitting(session.id)
        sitting.opened += 1
        self._opened += 1
        return View(
            said, seat, session, acted, placed.seq, placed.leaf, leaf_hash(row.bytes), row.wall_ms, sitting.opened
        )

    async def _refuse(
        self, why: Why, said: Said, found: tuple[SeatId, Session] | None, view: View | None = None
    ) -> NoReturn:
        """Record the refusal and raise it. No person is named: that they did it is what could not be shown.

        view: the one whose row stands already: whoever finds it, by its person too, is to find that it came to nothing.
        """
        data: dict[str, Value] = {"why": why.value, "system": said.system, "record": said.record}
        data |= {"session": said.session, "nonce": said.nonce}
        seat = found[0] if found is not None else None
        entry = Entry(Kind.VIEW_REFUSED, seat, at=self.ground.clock.now(), data=data)
        if view is not None:
            session = view.session
            entry = replace(entry, epoch=session.epoch, subject=session.subject, session=session.id)
            entry = replace(entry, data={**data, "view": view.seq})
        await self._refusals.note(why, said.system, entry)
        raise ViewRefused(why)


def _entry(seat: SeatId, session: Session, said: Said, acted: int, now: Instant) -> Entry:
    data: dict[str, Value] = {
        "record": said.record,
        "system": said.system,
        "screen": said.screen,
        "purpose": said.purpose,
        "call": said.call,
        "nonce": said.nonce,
        **_act(session, acted),
        **({"guard": said.guard} if said.guard else {}),
        **({"run": said.run} if said.run else {}),
    }
    return Entry(
        Kind.VIEW_OPENED, seat, session.epoch, session.subject, session.id, now, grade=session.evidence.grade, data=data
    )


def _act(session: Session, acted: int) -> dict[str, Value]:
    """What the session rests on, in the row itself: whoever reads it need not find the session's start."""
    data: dict[str, Value] = {
        "factor": session.evidence.factor.value,
        "reader": session.evidence.reader,
        "acted": acted,
    }
    if session.helper is not None:
        data |= {"helper": session.helper.subject, "ladder": session.helper.rung.value}
    return data
