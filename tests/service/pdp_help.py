"""A small town hall for tests of the policy: people, seats, systems, a clock, and a folder for a site's rules."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from authd.core.model import Action, Factor, Grade, Request, SeatId, SubjectId
from authd.service.pdp import (
    Bundle,
    Directory,
    LocalTime,
    Pdp,
    PersonAttrs,
    SeatAttrs,
    Source,
    SystemAttrs,
    installed,
    read,
)

NOON = LocalTime(minute=720, weekday=2, date="2026-11-24", trusted=True)
CLERK, OTHER, GONE = SubjectId("sub_clerk"), SubjectId("sub_other"), SubjectId("sub_gone")
COUNTER, OFFICE = SeatId("counter-1"), SeatId("office-1")
TOUCH = frozenset({Factor.VEIN, Factor.SEAT_KEY})
LOGIN = Request(Action.OPEN_SESSION, CLERK, COUNTER, TOUCH, False, Grade.MATCHED, 0.1)
STEP_UP = replace(LOGIN, action=Action.STEP_UP, resource="resident-record/address", owner=CLERK)


def hall() -> Directory:
    """A clerk, another one and a leaver; a counter with a presence sensor, an office without; one system."""
    found = Directory()
    found.set_people(
        [PersonAttrs(CLERK, "resident"), PersonAttrs(OTHER, "tax"), PersonAttrs(GONE, "resident", disabled=True)]
    )
    found.set_seats(
        [SeatAttrs(COUNTER, "counter", "resident", "h"), SeatAttrs(OFFICE, "office", "resident", "h", presence=False)]
    )
    found.set_systems([SystemAttrs("resident-record", frozenset({"resident"}))])
    return found


@cache
def shipped() -> Bundle:
    """The bundle that came with authd."""
    return read(Source(installed()))


def pdp(bundle: Bundle | None = None, time: LocalTime = NOON) -> Pdp:
    """A decision point for the hall."""
    return Pdp(bundle or shipped(), lambda: time, hall())


def site(folder: Path, rules: str = "", cases: object = None, settings: str | None = None) -> Source:
    """Write a site's own files into an empty folder."""
    (folder / "site").mkdir(parents=True, exist_ok=True)
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "site" / "own.cedar").write_text(rules, encoding="utf-8")
    if cases is not None:
        text = cases if isinstance(cases, str) else json.dumps(cases, indent=1)
        (folder / "tests" / "own.json").write_text(text, encoding="utf-8")
    if settings is not None:
        (folder / "settings.toml").write_text(settings, encoding="utf-8")
    return Source(folder)


def case(name: str, decision: str, reason: list[str], **context: object) -> Mapping[str, Any]:
    """A well-formed case: the clerk logs in at the counter, at noon."""
    seat = {"__entity": {"type": "Seat", "id": "counter-1"}}
    given = {"fingers": 1, "min_margin": 20, "shift_may_begin_with_one_factor": True}
    given |= {"untrusted_clock_may_open": False, "template_update": False}
    given |= {"seat_key_counts": True, "vouches_a_month": 3}
    plain = {
        "seat": seat, "factors": ["vein"], "fresh": ["vein"], "shift_open": True, "grade": "B", "margin": 100,
        "fingers": 1, "pad_level": "none", "purpose": "", "acr": "authd:one", "break_glass": False, "vouches": 0,
        "minute": 720, "weekday": 2, "holiday": False,
        "clock_trusted": True,
        "duty": {"open": True, "from": 420, "until": 1260}, "settings": given,
    }  # fmt: skip
    attrs: Mapping[str, object] = {
        "section": "resident",
        "sections": [],
        "seats": [],
        "officer": False,
        "disabled": False,
    }
    return {
        "name": name,
        "request": {
            "principal": 'Subject::"sub_clerk"',
            "action": 'Action::"open_session"',
            "resource": 'Seat::"counter-1"',
            "context": plain | context,
        },
        "entities": [
            {"uid": {"type": "Subject", "id": "sub_clerk"}, "attrs": attrs, "parents": []},
            {
                "uid": {"type": "Seat", "id": "counter-1"},
                "attrs": {"class": "counter", "section": "resident", "host": "h"},
                "parents": [],
            },
        ],
        "decision": decision,
        "reason": reason,
        "num_errors": 0,
    }
