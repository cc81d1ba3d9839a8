"""A roster through a real daemon, readers and touches: who is transferred today is out of a seat of the old section."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import asdict
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest

from authd import client
from authd.client import Event
from authd.service.evidence.supervision.rows import parse
from authd_simulators.people import SECTIONS
from authd_simulators.stage import Stage, free_ports

pytestmark = pytest.mark.real
DESK, COUNTER = "counter-1", "counter-2"
PATIENCE_S = 30.0


async def next_of(events: Any, kind: str) -> Event:
    async with asyncio.timeout(PATIENCE_S):
        async for event in events:
            if event.kind == kind:
                found: Event = event
                return found
    raise AssertionError(kind)


async def test_a_roster_is_taken_in_by_touch_and_moves_people_at_once() -> None:
    async with Stage(free_ports(), people=4) as stage, stage.door() as door:
        officer, clerk = stage.people[0], stage.clerks[0]
        other = next(each.id for each in SECTIONS if each.id != clerk.section)
        now = datetime.now().astimezone()
        text = f"staff_number,name,section,from\n{clerk.staff_number},{clerk.name},{other},{now.date()}\n"
        parsed = parse(text.encode("cp932"), {other: other}.get)
        assert parsed.faults == []
        rows = [
            {"line": line, **asdict(term), "since": str(term.since), "reports_to": None} for line, term in parsed.rows
        ]
        digest = sha256(text.encode("cp932")).hexdigest()
        await stage.log_in(door, COUNTER, clerk)
        await stage.log_in(door, DESK, officer)
        async with aclosing(door.follow(after=0)) as events, asyncio.TaskGroup() as hands:
            first = hands.create_task(next_of(events, "discipline.noted"))
            seen = {"staff_number": clerk.staff_number, "place": "gate"}
            at = now + timedelta(minutes=2)
            assert (await door.seen([{**seen, "at": at.isoformat()}])).noted == 1
            assert (await first).detail["place"] == "gate"
            report = await door.import_roster(digest, rows)
            assert [(each.what, each.enrolled) for each in report.changes] == [("new", True)]
            assert not report.done.applied
            taken = hands.create_task(door.import_roster(digest, rows, DESK))
            while not (await asyncio.wait({taken}, timeout=1.0))[0]:
                await stage.press(DESK, officer)
            assert taken.result().done.applied
            ended = await next_of(events, "session.ended")
            assert (ended.seat, ended.reason) == (COUNTER, "policy")
        moved = next(each for each in await door.people() if each.staff_number == clerk.staff_number)
        assert moved.section == other
        status: Any = (await door.status())["evidence"]
        assert (status["supervision"]["roster_people"], len(status["supervision"]["elsewhere"])) == (1, 1)
        async with stage.screen(DESK) as screen:
            alerts = await screen.review_alerts(DESK)
            assert (alerts.supervisor, [each.place for each in alerts.alerts]) == (True, ["gate"])
            assert await screen.reviews(DESK) == []
            with pytest.raises(client.DoorError, match="not_permitted"):
                await screen.reviews()
