"""The mock daemon: the real doors in front of a scripted house, in a thread of its own, obeying plain calls."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypedDict, TypeVar

from authd.core.model import EndReason, Factor, Grade, Kind, SeatId, SessionId, SubjectId, Value
from authd.service.bus import verbs, wire
from authd.service.bus.envelope import Signer
from authd.service.bus.house import Application, Attribute, Peer, Role, StepUp
from authd.service.bus.local import Local
from authd.service.bus.outlet import Outlet
from authd.service.bus.peers import Directory, screen
from authd.service.bus.router import Router
from authd.service.bus.tickets import Tickets
from authd.service.bus.verbs import Desk
from authd.service.clock import BootClock
from authd.service.keys import ROUTER, Keys
from authd.service.words import is_account_name, is_name
from authd_simulators.mock.house import READER, MockHouse, MockPerson, MockSeat
from authd_simulators.mock.rows import MockLedger, MockRow

SEATS = ("counter-1", "counter-2")
READY_WITHIN_S = 10.0
LONGEST_HANG_S = 60.0

T = TypeVar("T")


class KeyArguments(TypedDict):
    """Arguments of `connect`."""

    key: str
    server_key: str


@dataclass(frozen=True, slots=True)
class Entrance:
    """How one peer comes in by the router: arguments of `authd.client.connect`, and the same as files of authd's."""

    name: str
    public: str
    secret: str = field(repr=False)
    server_key: str
    key_file: Path
    server_key_file: Path

    @property
    def keys(self) -> KeyArguments:
        """To be passed on: `connect(mock.router, **entrance.keys)`."""
        return {"key": self.secret, "server_key": self.server_key}


class MockDaemon:
    """A daemon that does what its test says. Every call returns when it is done; any thread may make it.

    seats: their names. issuer: whom its tokens come from.
    folder: where its sockets and keys are; a short path, made and removed where it is left out.
    """

    def __init__(
        self, seats: Sequence[str] = SEATS, *, folder: Path | None = None, issuer: str = "https://authd.example"
    ) -> None:
        there = {SeatId(_named(seat)): MockSeat() for seat in seats}
        self._own = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="am", dir="/tmp"))
        self._keys = Keys(self.folder)
        self._keys.create()
        self._ledger, self._outlet, self._tickets = MockLedger(), Outlet(), Tickets()
        clock = BootClock()
        self._house = MockHouse(self._ledger, self._outlet, clock, self._keys, there, issuer)
        self._directory = Directory(frozenset({os.geteuid()}))
        self._desk = Desk(self._house, self._ledger, self._outlet, clock, Signer(self._keys.event_key()), self._tickets)
        self._loop = asyncio.new_event_loop()
        self._let_go = threading.Event()
        self._doors: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="mock-authd", daemon=True)

    # Its life.

    def __enter__(self) -> Self:
        self._thread.start()
        self._wait(self._house.begin())
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it for good; safe to call twice."""
        if self._thread.is_alive():
            self.resume()
            self.kill()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        if self._own:
            shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Open the doors. After `kill`: nobody is anywhere, as after every restart, and the rows say `crash`."""
        self._wait(self._open_doors())

    def kill(self) -> None:
        """Close the doors as a daemon does that dies: nobody is told anything."""
        self._wait(self._close_doors())

    def hang(self) -> None:
        """Hear and say nothing from now on, with every connection open; until `resume`, at most a minute."""
        self._let_go.clear()
        self._loop.call_soon_threadsafe(self._let_go.wait, LONGEST_HANG_S)

    def resume(self) -> None:
        """Go on after `hang`."""
        self._let_go.set()

    # Where it is, and who may come.

    @property
    def router(self) -> str:
        """Address for applications and screens."""
        return f"ipc://{self.folder}/router.sock"

    @property
    def local(self) -> str:
        """Address of the local socket: this account is its administrator."""
        return f"unix:{self.folder}/door.sock"

    @property
    def event_key(self) -> bytes:
        """Public half of the key that signs events, 32 bytes."""
        return self._keys.event_key().public_key().public_bytes_raw()

    def application(
        self,
        name: str,
        *,
        seats: Sequence[str] | None = None,
        scope: Sequence[str] = (),
        account: str = "",
        url: str = "http://127.0.0.1:8790/",
    ) -> Entrance:
        """Make an application, or change it; the arguments mean what they mean in authd.toml. seats: all of them."""
        if account and not is_account_name(account.replace("{staff_number}", "1")):
            raise ValueError(f"{account!r}: an account is like staff_{{staff_number}}")
        held = frozenset(SeatId(seat) for seat in seats) if seats is not None else frozenset(self._house.seats)
        attributes = frozenset(Attribute(each) for each in scope)
        entrance = self._entrance(f"app-{_named(name)}", name)
        peer = Peer(Role.APPLICATION, name, held, attributes, account)
        self._do(lambda: self._admit(entrance, peer, Application(name, name, name, url)))
        return entrance

    def screen(self, seat: str) -> Entrance:
        """Make the seat's own screen a peer."""
        entrance = self._entrance(f"seat-{seat}", f"screen:{seat}")
        self._do(lambda: self._directory.allow(entrance.public, screen(SeatId(seat))))
        return entrance

    def revoke(self, entrance: Entrance) -> None:
        """Let a key be nobody from now on, though its connections live."""
        self._do(lambda: self._directory.revoke(entrance.public))

    # People, and what they do.

    def person(
        self, staff_number: str, name: str, *, kana: str = "", section: str = "", officer: bool = False
    ) -> MockPerson:
        """Make a person, who is known from now on."""
        person = MockPerson(SubjectId(f"sub_{staff_number}"), staff_number, name, kana, section, officer)
        self._do(lambda: self._house.known.__setitem__(person.subject, person))
        return person

    def log_in(
        self, seat: str, person: MockPerson, *, grade: Grade = Grade.MATCHED, factor: Factor = Factor.VEIN
    ) -> SessionId:
        """Let a person touch; ends whose session it was, and theirs elsewhere. Raises `LedgerDown`."""
        return self._do(lambda: self._house.open(SeatId(seat), person, grade, factor))

    def lock(self, seat: str, reason: str = "lock") -> None:
        """End the seat's session for one of the reasons of `EndReason`: `idle`, `absence`, `logout`, ..."""
        self._do(lambda: self._house.end(SeatId(seat), EndReason(reason)))

    def lose_reader(self, seat: str) -> int:
        """Unplug the seat's reader; returns the number of the row."""
        return self.note(seat, Kind.READER_LOST, {"reader": READER, "fault": "removed"})

    def find_reader(self, seat: str) -> int:
        """Plug it in again; returns the number of the row."""
        return self.note(seat, Kind.READER_AVAILABLE, {"reader": READER})

    def note(self, seat: str, kind: Kind, data: Mapping[str, Value] | None = None) -> int:
        """Write any row about a seat, for whoever follows; returns its number. Raises `LedgerDown`."""
        return self._do(lambda: self._house.note(SeatId(seat), kind, data or {}))

    def ticket(self, seat: str, application: str) -> tuple[str, str]:
        """Open an application from the seat's screen: the ticket, and the address with it. Raises `Refused`."""
        call = wire.OpenTicket(id=0, seat=seat, application=application)
        opened = self._do(lambda: verbs.ticket(self._desk, screen(SeatId(seat)), call))
        return str(opened["ticket"]), str(opened["url"])

    def answer_step_ups(self, stepped_up: bool | None, reason: str = "refused") -> None:
        """Say what the owner does when a fresh touch is asked for; None: what they do at first, touch at once."""
        answer = StepUp(stepped_up=False, reason=reason) if stepped_up is False else None
        self._do(lambda: setattr(self._house, "stepping_up", answer))

    def break_ledger(self, broken: bool = True) -> None:
        """Let nothing be made durable: no session can begin and no view be reported. Locks lock all the same."""
        self._do(lambda: setattr(self._ledger, "down", broken))

    # What was heard.

    @property
    def rows(self) -> Sequence[MockRow]:
        """The ledger so far."""
        return self._do(lambda: tuple(self._ledger.rows))

    @property
    def said(self) -> Sequence[tuple[str, ...]]:
        """What screens and applications asked for that leaves no row: `("activity", "counter-1")`."""
        return self._do(lambda: tuple(self._house.said))

    # Inside: everything happens in the loop's own thread.

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    def _do(self, work: Callable[[], T]) -> T:
        if not self._thread.is_alive():
            raise RuntimeError("the mock daemon is closed, or was not entered")
        done: Future[T] = Future()
        self._loop.call_soon_threadsafe(_carry_out, work, done)
        return done.result(LONGEST_HANG_S)

    def _wait(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(READY_WITHIN_S)

    async def _open_doors(self) -> None:
        if self._doors is not None:
            return
        self._house.restart()
        local = Local(self._desk, self._directory, self.folder / "door.sock")
        router = Router(self._desk, self._directory, self._keys.curve(ROUTER).secret.encode(), [self.router])
        self._doors = self._loop.create_task(_serve(local, router))
        await local.ready.wait()
        await router.ready.wait()

    async def _close_doors(self) -> None:
        doors, self._doors = self._doors, None
        if doors is not None:
            doors.cancel()
            await asyncio.wait([doors])

    def _admit(self, entrance: Entrance, peer: Peer, application: Application) -> None:
        self._directory.allow(entrance.public, peer)
        for seat, known in ((seat, self._house.urls.setdefault(seat, {})) for seat in self._house.seats):
            known.pop(application.name, None)
            if seat in peer.seats:
                known[application.name] = application

    def _entrance(self, file: str, name: str) -> Entrance:
        pair = self._keys.create_curve(file)
        folder = self._keys.folder / "curve"
        server = self._keys.curve(ROUTER).public
        return Entrance(name, pair.public, pair.secret, server, folder / f"{file}.key", folder / f"{ROUTER}.key")


async def _serve(local: Local, router: Router) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(local.run())
        group.create_task(router.run())


def _carry_out(work: Callable[[], T], done: Future[T]) -> None:
    try:
        done.set_result(work())
    except Exception as error:
        done.set_exception(error)


def _named(name: str) -> str:
    if not is_name(name):
        raise ValueError(f"{name!r}: a name is 1 to 40 of a-z, 0-9, - and _")
    return name
