"""The guard: an application asks before it shows a record. Open, or masked until a touch, a purpose and the checklist.

Whether a protection exists is nobody's business who is refused. So every reason for a refusal is looked at before the
registry is, or takes the registry's answer into account only where the words are the same without it; the same work is
done either way; and a refusal leaves on the next beat of a slow clock that began to count when the question came in.
"""

from __future__ import annotations

import asyncio
import secrets
import tomllib
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Final, NoReturn

from authd.core.model import MILLISECOND, SECOND, Entry, Instant, Kind, SeatId, Session, SessionId, Value
from authd.core.ports import LedgerDown
from authd.service.bus.house import Error, Refused
from authd.service.evidence.flags.refusals import Refusals
from authd.service.evidence.ground import Ground
from authd.service.evidence.procedures import Checklist, Procedures
from authd.service.evidence.records import RecordId
from authd.service.evidence.views import Said, View, ViewRefused, Views

LANGUAGES: Final = ("ja", "en")
BEAT: Final = 20 * MILLISECOND
"""Refusals leave on it, counted from when the question came in."""
LOOKS: Final = 4_096
"""Of one application, that can still be unmasked; the oldest makes room, of those that are open first."""
LOOK_FOR: Final = 600 * SECOND
"""How long a masked record waits for its touch."""
LEAST_PURPOSE: Final = 2
"""Characters."""


class By(StrEnum):
    """How the person comes who wants to know; the procedure pack of this name holds."""

    COUNTER = "counter"
    PHONE = "phone"
    LETTER = "letter"


AT_A_DISTANCE: Final = frozenset({By.PHONE, By.LETTER})
"""Nobody is there to be looked at: nothing is told before the procedure was passed, and of a protected record never."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a record, and what is needed to see more of it."""

    id: str
    masked: bool
    view: View
    checklist: Checklist | None
    """None: nothing is masked."""
    at: Instant

    def notice(self, language: str) -> str:
        """Return the words that the person must have in front of them, line by line."""
        assert self.checklist is not None
        steps = [f"- {step.words[language]}" for step in self.checklist.steps]
        return "\n".join([_notices()[language], *steps])


@dataclass(frozen=True, slots=True)
class Unmasked:
    """The acknowledgement, durable. What was masked may be shown now, to this session."""

    seq: int
    session: SessionId
    record: RecordId


class Guard:
    """See the module. `protected`: the registry's word on a record, one look-up either way."""

    def __init__(
        self, ground: Ground, views: Views, procedures: Procedures, protected: Callable[[RecordId], bool]
    ) -> None:
        self._ground, self._views, self._procedures, self._protected = ground, views, procedures, protected
        self._looks: dict[tuple[str, bool], OrderedDict[str, Look]] = {}
        """By application, and whether they are masked."""
        self.refusals = Refusals(ground.ledger, ground.clock)

    async def look(self, said: Said, seats: Collection[SeatId], by: By) -> Look:
        """An application is about to show a record. The view is durable when this returns.

        Raises `Refused` and `ViewRefused`, on the beat, and `LedgerDown`.
        """
        began = self._ground.clock.now()
        try:
            return await self._look(said, seats, by)
        except (Refused, ViewRefused, LedgerDown):
            await self._beat(began)
            raise

    async def unmask(
        self, look: str, system: str, purpose: str, shown: str, answers: Mapping[str, str]
    ) -> tuple[Look, Unmasked]:
        """After a fresh touch: what is masked may be shown. `shown`: the notice, word for word as it was shown.

        Nothing here asks the registry: a record that is not protected is refused, and opened, in the same words.
        Raises `Refused`, on the beat, and `LedgerDown`.
        """
        began = self._ground.clock.now()
        try:
            found, seat, session, language = self._ready(look, system, purpose, shown, answers)
            asked = await self._ground.pipeline.step_up(seat, session.id, f"{system}/unmask")
        except Refused:
            await self._beat(began)
            raise
        if not asked.granted:
            await self._beat(began)
            raise Refused(Error.REFUSED, "the touch did not come, or was not this person's: it stays masked")
        opened = await self._acknowledge(found, seat, session, purpose, language, answers, asked.auth_time)
        return found, opened

    # Pieces.

    async def _look(self, said: Said, seats: Collection[SeatId], by: By) -> Look:
        found = self._ground.owner(said.session)
        if found is None or found[0] not in seats:
            raise Refused(Error.NOT_FOUND, "no such session at a seat of this application: show nothing")
        checklist = self._procedures.checklist(by.value, self._section(found[0]))
        found = await self._views.admit(said, seats)  # what it refuses is refused for every resident
        passed = self._procedures.use(said.session, by.value, said.record) if by in AT_A_DISTANCE else None
        protected = self._protected(said.record)
        if by in AT_A_DISTANCE and (protected or passed is None):
            await self._refuse(said, found, by)
            raise _standard(checklist)
        marked = replace(said, guard="masked" if protected else "open", run="" if passed is None else passed.run)
        view = await self._views.open(*found, marked)
        if not protected and self._protected(said.record):
            await self._overtaken(said, found, by, checklist, view)
        look = Look("look_" + secrets.token_hex(16), protected, view, checklist, self._ground.clock.now())
        self._keep(look)
        return look

    async def _overtaken(
        self, said: Said, found: tuple[SeatId, Session], by: By, checklist: Checklist, view: View
    ) -> NoReturn:
        """It was protected while the view became durable: whoever is told `open` now is told it behind that row."""
        if by in AT_A_DISTANCE:
            await self._refuse(said, found, by, view=view.seq)
            raise _standard(checklist)
        await self._refuse(said, found, by, "overtaken", view=view.seq)
        raise Refused(Error.REFUSED, "the registry changed meanwhile: show nothing, and look anew, with a new nonce")

    def _ready(
        self, look: str, system: str, purpose: str, shown: str, answers: Mapping[str, str]
    ) -> tuple[Look, SeatId, Session, str]:
        found = next((kept[look] for kept in self._of(system) if look in kept), None)
        if found is None or self._ground.clock.now() - found.at > LOOK_FOR:
            raise Refused(Error.NOT_FOUND, "no such look (any more): ask anew before the record is shown")
        owner = self._ground.owner(found.view.said.session)
        if owner is None:
            raise Refused(Error.NOT_FOUND, "the session of this look has ended: ask anew before the record is shown")
        if len(purpose.strip()) < LEAST_PURPOSE:
            raise Refused(Error.REFUSED, "unmasking needs a purpose: ask the person what it is for")
        language = next((each for each in LANGUAGES if found.notice(each) == shown), None)
        if language is None:
            raise Refused(Error.REFUSED, "show the notice word for word, and say what was shown")
        if found.checklist is None or not self._procedures.check(found.checklist, answers):
            raise Refused(
                Error.REFUSED, "the checklist is not answered, or an answer of it says to stop: it stays masked"
            )
        return found, *owner, language

    async def _acknowledge(
        self,
        look: Look,
        seat: SeatId,
        session: Session,
        purpose: str,
        language: str,
        answers: Mapping[str, str],
        touched: Instant,
    ) -> Unmasked:
        """Make it durable, and see that the person is still there. `touched`: when, for this."""
        said, checklist = look.view.said, look.checklist
        assert checklist is not None
        data: dict[str, Value] = {
            "record": said.record,
            "system": said.system,
            "screen": said.screen,
            "purpose": purpose.strip(),
            "call": said.call,
            "nonce": said.nonce,
            "view": look.view.seq,
            "checklist": f"{checklist.id}@{checklist.version}",
            "digest": checklist.digest,
            "answers": " ".join(f"{step.id}={answers[step.id]}" for step in checklist.steps),
            "language": language,
            "text": look.notice(language),
            "touched": self._ground.clock.wall_ms() - (self._ground.clock.now() - touched) // MILLISECOND,
            "acted": look.view.acted_ms,
            "factor": session.evidence.factor.value,
            "reader": session.evidence.reader,
        }
        if session.helper is not None:
            data |= {"helper": session.helper.subject, "ladder": session.helper.rung.value}
        now = self._ground.clock.now()
        who = (session.epoch, session.subject, session.id)
        entry = Entry(Kind.VIEW_ACKNOWLEDGED, seat, *who, at=now, grade=session.evidence.grade, data=data)
        seq = await self._ground.ledger.append(entry)
        if self._ground.owner(session.id) is None:
            raise Refused(Error.NOT_FOUND, "the session has ended meanwhile: show nothing")
        for kept in self._of(said.system):
            kept.pop(look.id, None)
        return Unmasked(seq, session.id, said.record)

    async def _refuse(
        self, said: Said, found: tuple[SeatId, Session], by: By, why: str = "not_answered", view: int | None = None
    ) -> None:
        """The row of a refusal says nothing of a protection. `view`: the row of a view that was not shown after all."""
        seat, session = found
        data: dict[str, Value] = {"why": why, "by": by.value, "system": said.system, "record": said.record}
        data |= {} if view is None else {"view": view}
        data |= {"screen": said.screen, "call": said.call, "nonce": said.nonce}
        who = (session.epoch, session.subject, session.id)
        now = self._ground.clock.now()
        entry = Entry(Kind.VIEW_REFUSED, seat, *who, at=now, grade=session.evidence.grade, data=data)
        await self.refusals.note(said.system, entry)

    def _section(self, seat: SeatId) -> str:
        return self._ground.config.seats[seat].section

    def _of(self, system: str) -> Sequence[OrderedDict[str, Look]]:
        """An application's looks: the open ones, which it has no use for, then the masked ones."""
        return [self._looks.setdefault((system, masked), OrderedDict()) for masked in (False, True)]

    def _keep(self, look: Look) -> None:
        """What one application asks pushes out nothing of another's."""
        looks = self._of(look.view.said.system)
        looks[look.masked][look.id] = look
        while sum(map(len, looks)) > LOOKS:
            next(kept for kept in looks if kept).popitem(last=False)

    async def _beat(self, began: Instant) -> None:
        """Wait for the next beat since the question came in."""
        gone = self._ground.clock.now() - began
        await asyncio.sleep((BEAT - gone % BEAT) / SECOND)


def _standard(checklist: Checklist) -> Refused:
    """The words for every resident."""
    return Refused(Error.REFUSED, " / ".join(checklist.refusal[language] for language in LANGUAGES))


@cache
def _notices() -> Mapping[str, str]:
    """Words for people are data: `notice.toml`, by language."""
    return tomllib.loads(files(__package__ or "").joinpath("notice.toml").read_text("utf-8"))
