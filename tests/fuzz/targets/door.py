"""What a hostile peer says at a door, line after line: `authd.service.bus` from the line's bytes to the answer's.

The first byte says who the peer is (application, screen, administrator, a revoked key) and whether somebody is at the
seat. Behind the doors is the mock daemon's house: everything that is asked for is carried out, nothing is durable.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import logging
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from authd.core.model import EndReason, Factor, Grade, SeatId, SubjectId
from authd.service.bus import requests
from authd.service.bus.door import Conversation
from authd.service.bus.envelope import Signer
from authd.service.bus.house import Attribute, Error, Peer, Role
from authd.service.bus.outlet import Outlet
from authd.service.bus.peers import ADMIN, screen
from authd.service.bus.requests import CALLS, Malformed
from authd.service.bus.verbs import Desk
from authd.service.clock import BootClock
from authd.service.keys import Keys
from authd_simulators.mock.house import MockHouse, MockPerson, MockSeat
from authd_simulators.mock.rows import MockLedger

ONE, TWO = SeatId("counter-1"), SeatId("counter-2")
SATO = MockPerson(SubjectId("sub_1001"), "1001", "佐藤 花子", "サトウ ハナコ", "juminka")
RESIDENT = Peer(Role.APPLICATION, "resident", frozenset({ONE}), frozenset({Attribute.SECTION}), "staff_{staff_number}")
PEERS = (RESIDENT, screen(ONE), ADMIN, None)
SECRETS = ("佐藤", "花子", "サトウ", "tpl_mock", "Traceback", ".py")
"""What no refusal says."""
MOST_LINES = 20
TURNS = 6
"""Of the loop, behind each line: what answers at all without a device, answers within them."""


class _World:
    """The house, once a process."""

    def __init__(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="az"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        keys, outlet, clock, self.ledger = Keys(folder), Outlet(), BootClock(), MockLedger()
        keys.create()
        self.house = MockHouse(
            self.ledger, outlet, clock, keys, {ONE: MockSeat(), TWO: MockSeat()}, "https://a.example"
        )
        self.house.known = {SATO.subject: SATO}
        self.desk = Desk(self.house, self.ledger, outlet, clock, Signer(keys.event_key()))
        self.loop = asyncio.new_event_loop()
        atexit.register(self.loop.close)
        self.loop.run_until_complete(self.house.begin())

    def anew(self, *, somebody: bool) -> None:
        """Forget what the input before it did."""
        for seat in (ONE, TWO):
            self.house.end(seat, EndReason.SHUTDOWN)
        self.ledger.rows.clear()
        self.house.said.clear()
        if somebody:
            self.house.open(ONE, SATO, Grade.MATCHED, Factor.VEIN)


class _Wire:
    """Takes every frame. Implements `outbox.Wire`."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def offer(self, frame: bytes) -> bool:
        self.frames.append(frame)
        return True

    async def writable(self) -> None:
        """It always is."""


_WORLD: list[_World] = []


def one(data: bytes) -> None:
    """Hear every line: each is answered, with the closed list of errors, and none is a fault."""
    if not _WORLD:
        _WORLD.append(_World())
    world, first = _WORLD[0], data[0] if data else 0
    world.anew(somebody=bool(first & 4))
    lines = [line for line in data[1:].split(b"\n") if line][:MOST_LINES]
    faults = world.desk.tally.faults
    logging.disable(logging.CRITICAL)
    try:
        frames = world.loop.run_until_complete(_hear(world.desk, PEERS[first % 4], lines))
    finally:
        logging.disable(logging.NOTSET)
    assert world.desk.tally.faults == faults, "a fault"
    for frame in frames:
        _judge(json.loads(frame), data)
    for line in lines:
        requests.decode(line)


async def _hear(desk: Desk, peer: Peer | None, lines: list[bytes]) -> list[bytes]:
    wire = _Wire()
    async with asyncio.TaskGroup() as group:
        conversation = Conversation(desk, wire, lambda: peer, group, lambda: None)
        for line in lines:
            before = len(wire.frames)
            conversation.hear(line)
            for _ in range(TURNS):
                await asyncio.sleep(0)
            assert len(wire.frames) > before or conversation.unfinished, "no answer"
        conversation.close()
    return wire.frames


def _judge(frame: dict[str, Any], data: bytes) -> None:
    assert frame["id"] is None or isinstance(frame["id"], int)
    if frame.get("ok") is not False:
        return
    assert Error(frame["error"]) is not Error.FAULT
    message = frame.get("message", "")
    assert "\n" not in message
    assert len(message) <= 400
    asked = data.decode("utf-8", "replace")
    assert not [word for word in SECRETS if word in message and word not in asked]


def declared(error: Exception) -> bool:
    """Whether this is the error that is meant: a line that is no request."""
    return isinstance(error, Malformed)


def seeds() -> Iterator[bytes]:
    """Yield each verb with members that fit, as each peer."""
    members: dict[str, object] = {"seat": ONE, "session": "ses_1", "application": "resident", "after": 0}
    for number, verb in enumerate(sorted(CALLS)):
        fields = CALLS[verb].__struct_fields__
        call = {"id": 7, "verb": verb, **{name: value for name, value in members.items() if name in fields}}
        line = json.dumps(call).encode()
        yield bytes([number % 8]) + line
        yield bytes([number % 3 + 4]) + line + b'\n{"id":8,"verb":"cancel","stream":7}'
    view = {"id": 1, "verb": "view", "session": "ses_1", "record": "20481", "nonce": "0123456789abcdef"}
    yield b"\4" + json.dumps({**view, "at": "2026-11-22T00:00:00Z", "purpose": "certificate"}).encode()
    yield b"\x02" + b"[" * 2_000
