"""Writes docs/reference/asyncapi.json, the AsyncAPI 3.0 document of what followers receive.

    python -m authd.service.bus.asyncapi > docs/reference/asyncapi.json

A test compares the file with what this writes, so a new kind of event is a change of the document too.
"""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, Final

import msgspec

from authd.core.model import EVENT_KINDS, EndReason, Kind
from authd.service.bus.envelope import APPLICATION_KINDS, TYPE_PREFIX, CloudEvent

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
    Kind.POLICY_LOADED: "A policy bundle is in force.",
    Kind.POLICY_REFUSED: "A policy bundle was refused; the one before goes on.",
    Kind.LEDGER_GAP: "Entries could not be recorded for a time.",
    Kind.VIEW_OPENED: "An application reports that a record was opened.",
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
        [SignedEvent, LockItem, BeatItem], ref_template="#/components/schemas/{name}"
    )
    kinds = sorted(EVENT_KINDS, key=lambda kind: kind.value)
    messages = {kind.value: _event(kind) for kind in kinds}
    messages["lock"] = _item("LockItem", "A session is over, told ahead of its row.")
    messages["beat"] = _item("BeatItem", "authd is alive; the place reached in the ledger.")
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "authd session events",
            "version": "1.0.0",
            "description": "What `follow` and the tap deliver; how to ask for it is in door.md.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            "follow": _channel("Every event after a number, once, in order.", messages),
            "tap": _channel("The same, live, and it may lose.", messages),
        },
        "operations": {
            f"{name}Events": {"action": "send", "channel": {"$ref": f"#/channels/{name}"}} for name in ("follow", "tap")
        },
        "components": {"messages": messages, "schemas": schemas},
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


def _item(schema: str, summary: str) -> dict[str, Any]:
    return {"summary": summary, "payload": {"$ref": f"#/components/schemas/{schema}"}}


def text() -> str:
    """Return the document as it stands in the file."""
    return json.dumps(document(), ensure_ascii=False, indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
