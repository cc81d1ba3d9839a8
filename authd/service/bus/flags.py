"""Verbs about protected records: the registry of flags, the guard in front of a record, linked systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from authd.core.model import SeatId, SessionId, SubjectId, Value
from authd.service.bus import wire
from authd.service.bus.envelope import TYPE_PREFIX, CloudEvent, EventData, iso
from authd.service.bus.house import Error, Peer, Refused
from authd.service.bus.verbs import ADMIN, APPLICATION, SCREEN, Desk, Fields, Talk, Verb, moment
from authd.service.bus.views import ERRORS, CallName, RecordNumber, ViewCall, receipt
from authd.service.evidence.flags import By, Change, Flag, Flags, Look, Wish
from authd.service.evidence.procedures import Checklist
from authd.service.evidence.records import RESIDENT, BadNumber, RecordId
from authd.service.evidence.views import Said, ViewRefused

MOST_NUMBERS: Final = 200
"""Record numbers of one `flag_match`."""
Day = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(?![\s\S])")]
Also = Annotated[tuple[tuple[wire.Name, RecordNumber], ...], Meta(max_length=7)]
Purpose = Annotated[str, Meta(max_length=80, pattern=r"^[^\x00-\x1f\x7f\x85\u2028-\u202e\u2066-\u2069]*(?![\s\S])")]


class FlagRequest(wire.Call, frozen=True, tag="flag_request"):
    """The first person asks for a change, with a touch at the seat. `also`: namespace and number of the same person."""

    seat: wire.Name
    change: Change
    record: RecordNumber
    namespace: wire.Name = RESIDENT
    also: Also = ()
    until: Day | None = None
    case: CallName = ""


class FlagApprove(wire.Call, frozen=True, tag="flag_approve"):
    """The second person approves it, or refuses, with a touch at the seat."""

    request: wire.Name
    seat: wire.Name
    refuse: bool = False


class FlagsCall(wire.Call, frozen=True, tag="flags"):
    """Ask what waits for a second person, and what is protected, by pseudonym."""


class FlagAsk(wire.Call, frozen=True, tag="flag_ask"):
    """Look one record's flag up: a view of whoever is logged in at the seat."""

    seat: wire.Name
    record: RecordNumber
    purpose: Purpose
    namespace: wire.Name = RESIDENT


class FlagCoverage(wire.Call, frozen=True, tag="flag_coverage"):
    """Ask which system holds which version, and which are silent."""


class FlagMatch(wire.Call, frozen=True, tag="flag_match"):
    """A linked system asks what its own records will be called in `flag_follow`."""

    records: Annotated[tuple[RecordNumber, ...], Meta(min_length=1, max_length=MOST_NUMBERS)]
    namespace: wire.Name = RESIDENT


class FlagFollow(wire.Call, frozen=True, tag="flag_follow"):
    """Stream every protection that has changed behind a version, to a linked system."""

    after: wire.Number


class FlagHeld(wire.Call, frozen=True, tag="flag_held"):
    """A linked system says, every second, that it is there and which version it holds."""

    version: wire.Number


class LookCall(ViewCall, frozen=True, tag="look"):
    """Ask before a record is shown: open, or masked. The view is recorded, as by `view`."""

    by: By = By.COUNTER


class Unmask(wire.Call, frozen=True, tag="unmask"):
    """Show what is masked: a purpose, the checklist's answers, the notice as it was shown, and then a fresh touch."""

    look: wire.Name
    purpose: Purpose
    shown: Annotated[str, Meta(max_length=16_000)]
    answers: Annotated[dict[wire.Name, wire.Name], Meta(max_length=64)]


async def request(desk: Desk, peer: Peer, call: FlagRequest) -> Fields:
    """Ask for a change."""
    flags = desk.house.evidence.flags
    numbers = [(call.namespace, call.record), *call.also]
    records = [_record(flags, number, namespace) for namespace, number in numbers]
    wish = await flags.request(SeatId(call.seat), call.change, records, call.until or "", call.case)
    return {"request": wish.request, "record": wish.records[0]}


async def approve(desk: Desk, peer: Peer, call: FlagApprove) -> Fields:
    """Approve it, or refuse."""
    wish, version = await desk.house.evidence.flags.approve(call.request, SeatId(call.seat), refuse=call.refuse)
    return {"change": wish.change, "record": wish.records[0], "version": version}


async def listed(desk: Desk, talk: Talk, call: FlagsCall) -> None:
    """Stream what waits, then what is protected."""
    book = desk.house.evidence.flags.book
    for wish in book.waiting:
        await talk.item({"item": _wish(wish)})
    for flag in book.after(0):
        if flag.protected:
            await talk.item({"item": _flag(flag)})


async def ask(desk: Desk, peer: Peer, call: FlagAsk) -> Fields:
    """Look a flag up."""
    flags = desk.house.evidence.flags
    record = _record(flags, call.record, call.namespace)
    flag = await flags.ask(SeatId(call.seat), record, call.purpose)
    if flag is None or not flag.protected:
        return {"record": record, "protected": False, "version": 0, "until": ""}
    return {"record": record, "protected": True, "version": flag.version, "until": flag.until}


def coverage(desk: Desk, peer: Peer, call: FlagCoverage) -> Fields:
    """Say how far each system has come. Nothing of a record is in it: any screen of the house may show it."""
    flags = desk.house.evidence.flags
    return {"version": flags.version, "systems": [msgspec.to_builtins(each) for each in flags.coverage()]}


def match(desk: Desk, peer: Peer, call: FlagMatch) -> Fields:
    """Say what a system's own records will be called; nothing of whether they are protected."""
    flags = desk.house.evidence.flags
    records = [_record(flags, number, call.namespace) for number in call.records]
    return {"marks": flags.marks(peer.name, records)}


async def follow(desk: Desk, talk: Talk, call: FlagFollow) -> None:
    """Stream the registry: what has changed behind a version first, then each change as it is made."""
    flags, system = desk.house.evidence.flags, talk.peer().name
    await flags.held(system, call.after)
    talk.begin({"after": call.after, "version": flags.version})
    async with aclosing(flags.changes(call.after)) as changes:
        with talk.beating(lambda: {"beat": flags.version}):
            async for version, changed in changes:
                peer = talk.peer()
                for flag in changed:
                    last = flag is changed[-1]
                    event = _event(desk, flag, flags.mark(peer.name, flag.record), version, last=last)
                    await talk.event(desk.signer.sign(event, peer.name))


async def held(desk: Desk, peer: Peer, call: FlagHeld) -> Fields:
    """Take an acknowledgement."""
    flags = desk.house.evidence.flags
    await flags.held(peer.name, call.version)
    return {"version": flags.version}


async def look(desk: Desk, peer: Peer, call: LookCall) -> Fields:
    """Answer before a record is shown."""
    flags = desk.house.evidence.flags
    flags.linked(peer.name)
    subject = None if call.subject is None else SubjectId(call.subject)
    words = (call.screen, call.purpose, call.call, call.nonce, moment(call.at), subject)
    said = Said(peer.name, SessionId(call.session), _record(flags, call.record, call.namespace), *words)
    try:
        seen = await flags.look(said, peer.seats, call.by)
    except ViewRefused as error:
        raise Refused(ERRORS.get(error.why, Error.REFUSED), error.told) from None
    signed = msgspec.Raw(desk.signer.sign(receipt(seen.view, peer, desk), peer.name))
    return {"receipt": signed, **_masked(seen)}


async def unmask(desk: Desk, peer: Peer, call: Unmask) -> Fields:
    """Answer once the person has touched."""
    flags = desk.house.evidence.flags
    flags.linked(peer.name)
    seen, opened = await flags.guard.unmask(call.look, peer.name, call.purpose, call.shown, call.answers)
    return {"seq": opened.seq, "session": opened.session, "record": seen.view.said.record}


def _masked(seen: Look) -> Fields:
    """What an application needs to show, and to ask. Which answers go on is not told: nobody shall look for them."""
    if not seen.masked or seen.checklist is None:
        return {"answer": "open", "look": seen.id}
    notices = {language: seen.notice(language) for language in ("ja", "en")}
    return {"answer": "masked", "look": seen.id, "notice": notices, "checklist": _checklist(seen.checklist)}


def _checklist(checklist: Checklist) -> Fields:
    steps: Sequence[Fields] = [
        {
            "id": step.id,
            "words": step.words,
            "answers": [{"id": each.id, "words": each.words} for each in step.answers],
        }
        for step in checklist.steps
    ]
    return {"id": checklist.id, "version": checklist.version, "steps": steps}


def _event(desk: Desk, flag: Flag, mark: str, version: int, *, last: bool) -> bytes:
    """Write what a linked system is told: its own mark for the record, and who changed it never."""
    detail: dict[str, Value] = {"mark": mark, "protected": flag.protected, "until": flag.until, "last": last}
    event = CloudEvent(
        specversion="1.0",
        id=f"{version}.{mark}",
        source=f"authd://{desk.house.name}/",
        type=TYPE_PREFIX + ("flag.set" if flag.protected else "flag.released"),
        time=iso(flag.wall_ms),
        datacontenttype="application/json",
        data=EventData(seq=version, detail=detail),
    )
    return msgspec.json.encode(event)


def _wish(wish: Wish) -> Fields:
    times = {"asked": iso(wish.wall_ms), "until": wish.until}
    what = {"request": wish.request, "change": wish.change, "record": wish.records[0], "case": wish.case}
    return {"waits": True, "by": wish.by, "version": 0, **what, **times}


def _flag(flag: Flag) -> Fields:
    times = {"asked": iso(flag.wall_ms), "until": flag.until}
    what = {"request": "", "change": Change.SET, "record": flag.record, "case": flag.case}
    return {"waits": False, "by": "", "version": flag.version, **what, **times}


def _record(flags: Flags, number: str, namespace: str) -> RecordId:
    try:
        return flags.record(number, namespace)
    except BadNumber as error:
        raise Refused(Error.BAD_REQUEST, str(error)) from None


VERBS: Final[Mapping[type[wire.Call], Verb]] = {
    FlagRequest: Verb(ADMIN, waiting=request),
    FlagApprove: Verb(ADMIN, waiting=approve),
    FlagsCall: Verb(ADMIN, stream=listed),
    FlagAsk: Verb(ADMIN, waiting=ask),
    FlagCoverage: Verb(ADMIN | SCREEN, instant=coverage),
    FlagMatch: Verb(APPLICATION, instant=match),
    FlagFollow: Verb(APPLICATION, stream=follow),
    FlagHeld: Verb(APPLICATION, waiting=held),
    LookCall: Verb(APPLICATION, waiting=look),
    Unmask: Verb(APPLICATION, waiting=unmask),
}
