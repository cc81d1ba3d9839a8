"""Verbs about record views: an application reports what was opened, and gets a signed receipt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from authd.core.model import Grade, SeatId, SessionId, SubjectId
from authd.service.bus import wire
from authd.service.bus.envelope import TYPE_PREFIX, attributes, iso
from authd.service.bus.house import Error, Peer, Refused
from authd.service.bus.verbs import ADMIN, APPLICATION, Desk, Fields, Verb, moment
from authd.service.evidence.records import RESIDENT, BadNumber
from authd.service.evidence.views import Said, View, ViewRefused, Why

RECEIPT: Final = TYPE_PREFIX + "view.receipt"
ERRORS: Final[Mapping[Why, Error]] = {
    Why.NO_SESSION: Error.NOT_FOUND,
    Why.FOREIGN_SEAT: Error.NOT_FOUND,
    Why.FOREIGN_SESSION: Error.NOT_FOUND,
    Why.ENDED: Error.NOT_FOUND,
    Why.LATE: Error.EXPIRED,
    Why.SESSION_RATE: Error.BUSY,
    Why.APPLICATION_RATE: Error.BUSY,
}
"""What is not here is `refused`."""

RecordNumber = Annotated[str, Meta(min_length=1, max_length=64)]
Word = Annotated[str, Meta(max_length=80, pattern=r"^[^\x00-\x1f\x7f\x85\u2028-\u202e\u2066-\u2069]*(?![\s\S])")]
"""One line that names a kind of business or a screen; never a person."""
CallName = Annotated[str, Meta(max_length=64, pattern=r"^[A-Za-z0-9_.:-]*(?![\s\S])")]
Nonce = Annotated[str, Meta(min_length=16, max_length=64, pattern=r"^[A-Za-z0-9_.:-]*(?![\s\S])")]


class ViewCall(wire.Call, frozen=True, tag="view"):
    """Report that a record is being opened; what it is shown with, comes with the receipt."""

    session: wire.Name
    record: RecordNumber
    nonce: Nonce
    at: wire.Moment
    namespace: wire.Name = RESIDENT
    screen: Word = ""
    purpose: Word = ""
    call: CallName = ""
    subject: wire.Name | None = None


About = Annotated[str, Meta(max_length=80, pattern=r"^(record|subject|seat):[A-Za-z0-9_.:-]+(?![\s\S])")]


class LookUp(wire.Call, frozen=True, tag="look_up"):
    """Say, before it is read, what the ledger is asked about; `at_seat`: where whoever asks is to touch."""

    about: About
    purpose: Word = ""
    account: CallName = ""
    at_seat: wire.Name | None = None


class Evidence(Struct, frozen=True):
    """What the session rests on."""

    grade: Grade
    factor: str
    reader: str
    acted: str
    """When the person acted who opened the session; RFC 3339, of the host's wall clock."""
    helper: str | None = None
    """Another person without whom it would not have been opened."""


class ReceiptData(Struct, frozen=True, kw_only=True):
    """What the receipt vouches for."""

    seq: int
    leaf: int
    row: str
    """Hex of the row's leaf hash (RFC 9162, 2.1.1): where its proof of inclusion begins."""
    seat: str
    session: str
    person: dict[str, str]
    evidence: Evidence
    record: str
    screen: str
    purpose: str
    call: str
    nonce: str


class Receipt(Struct, frozen=True, kw_only=True):
    """An envelope like that of an event, in the order in which it is written; `sig` is added behind it."""

    specversion: str = "1.0"
    id: str
    source: str
    type: str = RECEIPT
    time: str
    subject: str
    datacontenttype: str = "application/json"
    data: ReceiptData


_encoder = msgspec.json.Encoder()


async def view(desk: Desk, peer: Peer, call: ViewCall) -> Fields:
    """Take a report, and answer with the receipt once it is durable."""
    views = desk.house.evidence.views
    try:
        said = Said(
            peer.name,
            SessionId(call.session),
            views.pseudonym(call.record, call.namespace),
            call.screen,
            call.purpose,
            call.call,
            call.nonce,
            moment(call.at),
            None if call.subject is None else SubjectId(call.subject),
        )
        seen = await views.report(said, peer.seats)
    except BadNumber as error:
        raise Refused(Error.BAD_REQUEST, str(error)) from None
    except ViewRefused as error:
        raise Refused(ERRORS.get(error.why, Error.REFUSED), error.told) from None
    return {"receipt": msgspec.Raw(desk.signer.sign(receipt(seen, peer, desk), peer.name))}


async def look_up(desk: Desk, peer: Peer, call: LookUp) -> Fields:
    """Write down that the ledger is asked."""
    seat = None if call.at_seat is None else SeatId(call.at_seat)
    try:
        return {"seq": await desk.house.evidence.views.looked(call.about, call.purpose, call.account, seat)}
    except LookupError:
        raise Refused(Error.REFUSED, "nobody is logged in at that seat: log in there, and ask again") from None


def receipt(seen: View, peer: Peer, desk: Desk) -> bytes:
    """Write the receipt as this peer may see it, unsigned."""
    session, said, helper = seen.session, seen.said, seen.session.helper
    evidence = Evidence(
        session.evidence.grade,
        session.evidence.factor.value,
        session.evidence.reader,
        iso(seen.acted_ms),
        None if helper is None else helper.subject,
    )
    data = ReceiptData(
        seq=seen.seq,
        leaf=seen.leaf,
        row=seen.row.hex(),
        seat=seen.seat,
        session=session.id,
        person=attributes(desk.house.person(session.subject), peer),
        evidence=evidence,
        record=said.record,
        screen=said.screen,
        purpose=said.purpose,
        call=said.call,
        nonce=said.nonce,
    )
    source = f"authd://{desk.house.name}/{seen.seat}"
    made = Receipt(id=str(seen.seq), source=source, time=iso(seen.wall_ms), subject=session.subject, data=data)
    return _encoder.encode(made)


VERBS: Final[Mapping[type[wire.Call], Verb]] = {
    ViewCall: Verb(APPLICATION, waiting=view),
    LookUp: Verb(ADMIN, waiting=look_up),
}
