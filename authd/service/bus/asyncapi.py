"""Writes docs/reference/asyncapi.json, the AsyncAPI 3.0 document of what may be asked and of what followers receive.

    python -m authd.service.bus.asyncapi > docs/reference/asyncapi.json

A test compares the file with what this writes, so a new kind of event, and a new verb, is a change of the document too.
"""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, Final

import msgspec

from authd.core.model import EVENT_KINDS, EndReason, Kind
from authd.service.bus.envelope import APPLICATION_KINDS, TYPE_PREFIX, CloudEvent
from authd.service.bus.table import VERBS
from authd.service.bus.wire import Call

SUMMARIES: Final = {
    Kind.SESSION_STARTED: "A person is at the seat: verified, permitted and durably recorded.",
    Kind.SESSION_FADING: "The seat will lock shortly; its owner can keep it with a touch.",
    Kind.SESSION_KEPT: "The owner kept the session during the fade.",
    Kind.SESSION_STEPPED_UP: "The owner confirmed with a fresh touch.",
    Kind.SESSION_ENDED: "The session is over, for the reason given. It never comes back.",
    Kind.ATTEMPT_REFUSED: "A recognised person was refused by the policy or by their delay.",
    Kind.ATTEMPT_NOT_RECOGNISED: "A touch that named nobody in the seat's scope.",
    Kind.READER_AVAILABLE: "A reader of the seat can be touched again.",
    Kind.READER_LOST: "A reader of the seat is unplugged, suspended, hung or crashed.",
    Kind.ENROLMENT_FOUNDED: "The first officers exist; from now on every enrolment needs an officer's touch.",
    Kind.ENROLMENT_CREATED: "A template was made; its digest is anchored here.",
    Kind.ENROLMENT_UPDATED: "A newer version of a template is anchored here, or what became of it.",
    Kind.ENROLMENT_DISABLED: "A person was disabled.",
    Kind.ENROLMENT_REVOKED: "One key, card or finger of a person was revoked; the person stays.",
    Kind.POLICY_LOADED: "A policy bundle is in force.",
    Kind.POLICY_REFUSED: "A policy bundle was refused; the one before goes on.",
    Kind.LEDGER_GAP: "Entries could not be recorded for a time, authd did not run, or the wall clock was set.",
    Kind.LEDGER_RETIRED: "Months older than they are kept were let go of.",
    Kind.VIEW_OPENED: "An application reports that a record was opened.",
    Kind.VIEW_REFUSED: "A report of a view, or a wish to see a record, was refused, for the reason given.",
    Kind.VIEW_ACKNOWLEDGED: "A protected record was opened with a fresh touch, a purpose and the checklist.",
    Kind.FLAG_REQUESTED: "A first person asks that a record be protected, or protected no more.",
    Kind.FLAG_SET: "Two persons have put a record under protection.",
    Kind.FLAG_RENEWED: "Two persons have renewed a protection.",
    Kind.FLAG_RELEASED: "Two persons have ended a protection.",
    Kind.FLAG_DROPPED: "A request about a protection came to nothing.",
    Kind.FLAG_HELD: "A linked system holds this version of the registry, or has fallen silent with it.",
    Kind.CARRYOUT_REQUESTED: "Somebody asks to carry data out: rows, purpose, destination, expiry.",
    Kind.CARRYOUT_GRANTED: "A second person allowed it with a fresh touch.",
    Kind.CARRYOUT_REFUSED: "It was not allowed.",
    Kind.CARRYOUT_USED: "The single-use capability was spent.",
    Kind.CARRYOUT_EXPORTED: "What left is known by its fingerprints and canary rows.",
    Kind.CARRYOUT_CLOSED: "What was carried out came back, or was erased.",
    Kind.CARRYOUT_BLOCKED: "Something would have left without a capability.",
    Kind.CARRYOUT_TRIPPED: "More records were opened than a person's work explains.",
    Kind.CARRYOUT_OVERDUE: "What was carried out is still out after its day.",
    Kind.CARRYOUT_BASELINE: "A data set that existed before is known by its fingerprints from now on.",
    Kind.PROCEDURE_STARTED: "A checklist was begun.",
    Kind.PROCEDURE_ANSWERED: "One step of a checklist was answered.",
    Kind.PROCEDURE_FINISHED: "A checklist ended, with its result and how long it took.",
    Kind.REVIEW_SIGNED: "A supervisor signed a month's review with a touch.",
    Kind.REVIEW_ESCALATED: "A review was not signed in time.",
    Kind.DISCIPLINE_NOTED: "A login or logout outside the roster, a seat left open, or an owner seen elsewhere.",
    Kind.COVER_LOST: "A seat's desktop could not be covered, or what covers it died.",
    Kind.CREDENTIAL_SEALED: "A password of an old system was handed over to authd.",
    Kind.CREDENTIAL_ROTATED: "A password of an old system was changed to one that nobody knows.",
    Kind.UNATTRIBUTED_FOUND: "Something is logged in to a wired system and belongs to no session.",
    Kind.UNATTRIBUTED_ENDED: "It was ended, as the rules say.",
    Kind.ROSTER_IMPORTED: "A roster of staff and shifts was imported.",
    Kind.SEAT_ENROLLED: "The seat's own key, public half, is anchored here.",
    Kind.BREAKGLASS_OPENED: "Two people opened a session outside the rules; a review is due.",
    Kind.BREAKGLASS_REVIEWED: "An officer has reviewed it.",
}


class SignedEvent(CloudEvent, frozen=True, kw_only=True):
    """A CloudEvent with its signature: Ed25519 over `<audience>|<the event's bytes without the sig member>`."""

    sig: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{86}$", description="base64url, without padding")]


class LockNotice(msgspec.Struct):
    """A session that is over."""

    session: str
    seat: str
    reason: EndReason


class LockItem(msgspec.Struct):
    """Pushed at once, ahead of everything that waits and of the durable `session.ended`. Not signed: it only locks."""

    lock: LockNotice


class BeatItem(msgspec.Struct):
    """Every 0.5 s. `beat`: number of the last row this follower is past; `head`: of the ledger's last row."""

    beat: int
    head: int


def document() -> dict[str, Any]:
    """Return the document."""
    _, schemas = msgspec.json.schema_components(
        [SignedEvent, LockItem, BeatItem, *VERBS], ref_template="#/components/schemas/{name}"
    )
    requests = {f"request.{_verb(call)}": _request(call) for call in sorted(VERBS, key=_verb)}
    kinds = sorted(EVENT_KINDS, key=lambda kind: kind.value)
    messages = {kind.value: _event(kind) for kind in kinds}
    messages["lock"] = _item("LockItem", "A session is over, told ahead of its row.")
    messages["beat"] = _item("BeatItem", "authd is alive; the place reached in the ledger.")
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "authd doors and session events",
            "version": "1.0.0",
            "description": "What the doors are asked, and what `follow` and the tap deliver. The rest is in door.md.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            "follow": _channel("Every event after a number, once, in order.", messages),
            "tap": _channel("The same, live, and it may lose.", messages),
            "door": _channel("Requests: one JSON object each, on a line or in a frame.", requests),
        },
        "operations": {
            "ask": {"action": "receive", "channel": {"$ref": "#/channels/door"}},
            **{
                f"{name}Events": {"action": "send", "channel": {"$ref": f"#/channels/{name}"}}
                for name in ("follow", "tap")
            },
        },
        "components": {"messages": messages | requests, "schemas": schemas},
    }


def _channel(description: str, messages: dict[str, Any]) -> dict[str, Any]:
    references = {name: {"$ref": f"#/components/messages/{name}"} for name in messages}
    return {"description": description, "messages": references}


def _event(kind: Kind) -> dict[str, Any]:
    told = ["application", "admin"] if kind in APPLICATION_KINDS else ["admin"]
    type_ = {"properties": {"type": {"const": TYPE_PREFIX + kind.value}}}
    return {
        "name": kind.value,
        "summary": SUMMARIES[kind],
        "contentType": "application/cloudevents+json",
        "payload": {"allOf": [{"$ref": "#/components/schemas/SignedEvent"}, type_]},
        "x-authd-told": told,
    }


def _request(call: type[Call]) -> dict[str, Any]:
    verb = VERBS[call]
    return {
        "name": _verb(call),
        "summary": (call.__doc__ or "").strip().splitlines()[0],
        "payload": {"$ref": f"#/components/schemas/{call.__name__}"},
        "x-authd-asked-by": sorted(role.value for role in verb.roles),
        "x-authd-answered": "stream" if verb.stream is not None else "once",
    }


def _verb(call: type[Call]) -> str:
    return str(call.__struct_config__.tag)


def _item(schema: str, summary: str) -> dict[str, Any]:
    return {"summary": summary, "payload": {"$ref": f"#/components/schemas/{schema}"}}


def text() -> str:
    """Return the document as it stands in the file."""
    return json.dumps(document(), ensure_ascii=False, indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
