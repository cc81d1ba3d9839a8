"""Verbs for whoever compares what a wired system sees with the sessions here: terms, sessions, what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Final, Literal

from msgspec import Meta

from authd.service.bus import wire
from authd.service.bus.envelope import iso
from authd.service.bus.house import Error, Peer, Refused, Role
from authd.service.bus.verbs import FOLLOWERS, Desk, Fields, Talk, Verb, moment
from authd.service.evidence.unattributed import Access, How, Span, Unattributed, Why

Source = Literal["postgresql", "weblog"]
Short = Annotated[str, Meta(max_length=100, pattern="^[^\x00-\x1f\x7f\x85\u2028-\u202e\u2066-\u2069]*(?![\\s\\S])")]


class UnattributedLook(wire.Call, frozen=True, tag="unattributed_look"):
    """Say that a system is compared now, and ask what the policy says; an application compares itself."""

    source: Source
    system: wire.Name | None = None
    seen: wire.Number = 0


class UnattributedSessions(wire.Call, frozen=True, tag="unattributed_sessions", rename={"start": "from", "end": "to"}):
    """Stream the sessions of the system's seats in an interval, with what the system calls each person."""

    start: wire.Moment
    end: wire.Moment
    system: wire.Name | None = None


class UnattributedFound(wire.Call, frozen=True, tag="unattributed_found"):
    """Record an access that belongs to no session."""

    source: Source
    why: Why
    account: Short
    address: Short
    since: wire.Moment
    place: Short = ""
    count: wire.Number = 1
    system: wire.Name | None = None


class UnattributedEnded(wire.Call, frozen=True, tag="unattributed_ended"):
    """Record that it is there no more."""

    found: wire.Number
    how: How
    count: wire.Number = 1
    system: wire.Name | None = None


def look(desk: Desk, peer: Peer, call: UnattributedLook) -> Fields:
    """Say what the policy says, and what is open."""
    terms = _part(desk).look(_system(desk, peer, call.system), call.source, call.seen)
    open_ = [{"found": seq, **asdict(each)} for seq, each in terms.open]
    return {"end": terms.end, "grace_s": terms.grace_s, "pattern": terms.pattern, "open": open_}


async def sessions(desk: Desk, talk: Talk, call: UnattributedSessions) -> None:
    """Stream every session of the interval."""
    system, start, end = _system(desk, talk.peer(), call.system), moment(call.start), moment(call.end)
    for span in await _part(desk).sessions(system, start, end):
        talk.peer()
        await talk.item({"item": _span(span)})


async def found(desk: Desk, peer: Peer, call: UnattributedFound) -> Fields:
    """Record it; say whether the policy ends it."""
    system = _system(desk, peer, call.system)
    access = Access(system, call.source, call.why, call.account, call.address, call.place)
    seq, ends = await _part(desk).found(access, since_ms=moment(call.since), count=call.count)
    return {"found": seq, "end": ends}


async def ended(desk: Desk, peer: Peer, call: UnattributedEnded) -> Fields:
    """Record that it is over."""
    return {"seq": await _part(desk).ended(_system(desk, peer, call.system), call.found, call.how, call.count)}


def _part(desk: Desk) -> Unattributed:
    return desk.house.evidence.unattributed


def _system(desk: Desk, peer: Peer, named: str | None) -> str:
    """An application speaks of itself; an administrator names the system."""
    if peer.role is Role.APPLICATION:
        if named not in (None, peer.name):
            raise Refused(Error.NOT_PERMITTED, "an application compares its own system only")
        return peer.name
    if named is None or named not in _part(desk).ground.config.applications:
        raise Refused(Error.NOT_FOUND, "name the system, as [application.NAME] in authd.toml has it")
    return named


def _span(span: Span) -> Mapping[str, object]:
    return {
        "session": span.session,
        "subject": span.subject,
        "seat": span.seat,
        "account": span.account,
        "start": iso(span.start_ms),
        "end": iso(span.end_ms) if span.end_ms is not None else None,
    }


VERBS: Final[Mapping[type[wire.Call], Verb]] = {
    UnattributedLook: Verb(FOLLOWERS, instant=look),
    UnattributedSessions: Verb(FOLLOWERS, stream=sessions),
    UnattributedFound: Verb(FOLLOWERS, waiting=found),
    UnattributedEnded: Verb(FOLLOWERS, waiting=ended),
}
