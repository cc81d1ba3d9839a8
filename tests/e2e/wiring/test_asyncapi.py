"""What really comes through the doors is what the AsyncAPI document says, read by a validator that is not ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from authd.client import connect
from authd.core.model import Factor, Grade, Kind
from authd_simulators.mock import MockDaemon

pytestmark = pytest.mark.real
DOCUMENT: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "docs" / "reference" / "asyncapi.json").read_text(encoding="utf-8")
)


def validator(message: str) -> Callable[[object], bool]:
    """Return what reads the payload of a message of the document."""
    payload = DOCUMENT["components"]["messages"][message]["payload"]
    return jsonschema_rs.Draft202012Validator({**payload, "components": DOCUMENT["components"]}).is_valid


async def test_every_event_that_is_told_is_one_of_the_document(mock_authd: MockDaemon) -> None:
    sato = mock_authd.person("1001", "佐藤 花子", section="resident")
    mock_authd.log_in("counter-1", sato, grade=Grade.SIGNED, factor=Factor.KEY)
    for kind in sorted(Kind):
        mock_authd.note("counter-1", kind, {"purpose": "resident/unmask", "count": 3, "found": True, "score": 0.5})
    mock_authd.lock("counter-1", "absence")
    head = len(mock_authd.rows)
    async with connect(mock_authd.local) as admin, aclosing(admin.follow(0, until=head)) as events, asyncio.timeout(30):
        told = [json.loads(event.raw) async for event in events]
    assert len({event["type"] for event in told}) > 40
    for event in told:
        kind = event["type"].removeprefix("jp.authd.")
        assert validator(kind)(event), event
        assert not validator(kind)({name: value for name, value in event.items() if name != "sig"})
        assert not validator("session.kept" if kind != "session.kept" else "session.ended")(event)


@pytest.mark.parametrize(
    ("message", "payload", "good"),
    [
        ("request.who", {"id": 1, "verb": "who", "seat": "counter-1"}, True),
        ("request.who", {"id": 1, "verb": "who", "seat": "../counter"}, False),
        ("request.who", {"id": -1, "verb": "who", "seat": "counter-1"}, False),
        ("request.who", {"id": 1, "verb": "watch", "seat": "counter-1"}, False),
        ("request.follow", {"id": 1, "verb": "follow"}, True),
        ("request.follow", {"id": 1, "verb": "follow", "since": 3}, False),
        ("beat", {"beat": 3, "head": 4}, True),
        ("lock", {"lock": {"session": "ses_1", "seat": "counter-1", "reason": "absence"}}, True),
        ("lock", {"lock": {"session": "ses_1", "seat": "counter-1", "reason": "bored"}}, False),
    ],
)
def test_requests_locks_and_beats_are_told_from_others(message: str, payload: object, good: bool) -> None:
    assert validator(message)(payload) is good
