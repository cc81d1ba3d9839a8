"""The daemon: its parts, started in order and ended in order. It owns the clock."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from typing import Any, Final

from authd.core import seat as machine
from authd.core.model import Entry, Kind, ReaderId, SeatId, Value
from authd.service import accounts
from authd.service.bus.envelope import Signer
from authd.service.bus.house import Attribute, Peer, Role
from authd.service.bus.local import Local
from authd.service.bus.peers import Directory, screen
from authd.service.bus.router import Router
from authd.service.bus.tally import Tally
from authd.service.bus.tickets import Tickets
from authd.service.bus.verbs import Desk
from authd.service.config import ApplicationConfig, Config
from authd.service.enrolment import Enrolments
from authd.service.gaps import Gaps
from authd.service.house import DaemonHouse
from authd.service.keys import ROUTER
from authd.service.notify import beat, notify
from authd.service.parts import Parts, make, source
from authd.service.pdp import Loaded, Refused, watch
from authd.service.screen import Screen, settings
from authd.service.sitting import Desk as EnrolmentDesk

Job = Coroutine[Any, Any, None]
OPEN_WITHIN_S: Final = 30.0
log = logging.getLogger("authd.daemon")


async def serve(config: Config, ready: Callable[[], None] = lambda: None) -> None:
    """Serve the seats until SIGTERM, SIGINT or `authd stop`; `ready` is called once the doors are open.

    Raises `KeyFault`, `RegistryError`, `BundleError`, `PortError` or `DoorError` where it cannot begin: one line for a
    person, and nothing was changed.
    """
    async with AsyncExitStack() as stack:
        parts = await make(config, stack)
        daemon = Daemon(parts)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, daemon.end)
        try:
            await daemon.run(ready)
        finally:
            parts.pipeline.feed_all(machine.Shutdown())  # after a fault too: locked, and said so


class Daemon:
    """The running daemon."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._ended = asyncio.Event()
        desk = EnrolmentDesk(
            parts.pipeline,
            parts.anchored,
            parts.pdp,
            parts.store,
            parts.verifier,
            parts.modalities.__getitem__,
            parts.readers,
            parts.config.most_keys,
        )
        self.house = DaemonHouse(
            parts.config,
            parts.pipeline,
            parts.ledger,
            parts.store,
            parts.clock,
            Enrolments(desk),
            parts.readers,
            parts.anchored,
            parts.reviews(),
            parts.evidence,
            parts.tokens,
            parts.certificates,
            parts.named,
            self.state,
            self.end,
        )
        signer = Signer(parts.keys.event_key())
        self._desk = Desk(self.house, parts.ledger, parts.outlet, parts.clock, signer, Tickets(), tally=Tally())
        peers = _peers(parts)
        server = parts.keys.curve(ROUTER)
        group = accounts.group(parts.config)
        self._local = Local(self._desk, peers, parts.config.socket, group, lambda: set(self._children().values()))
        self._router = Router(self._desk, peers, server.secret.encode(), [parts.config.router], [parts.config.tap])
        key_file = parts.keys.folder / "curve"
        told = settings(parts.config, server, lambda name: key_file / f"{name}.key", parts.ways)
        self._screen = Screen(told) if parts.config.web_port else None

    def end(self) -> None:
        """Begin to end."""
        self._ended.set()

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until `end`."""
        parts = self.parts
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(job) for job in self._inner()]
            await parts.pipeline.ready.wait()  # no door answers for a seat that is not there yet
            tasks += [group.create_task(job) for job in self._doors()]
            await self._open()
            notify("READY=1")
            ready()
            await self._ended.wait()
            notify("STOPPING=1")
            parts.pipeline.feed_all(machine.Shutdown())
            for task in tasks:
                task.cancel()

    def _inner(self) -> list[Job]:
        parts = self.parts
        policy = watch(parts.pdp, source(parts.config), asyncio.sleep, self._policy_changed)
        asleep = self._watch_sleep()
        return [
            parts.verifier.run(),
            parts.readers.run(),
            parts.pipeline.run(),
            parts.updates.run(),
            beat(),
            parts.vouches.read(parts.ledger, parts.config.seats),
            parts.ledger.keep_sealed(),
            Gaps(parts.ledger, parts.clock, parts.config.state / "ledger").watch(),
            *parts.evidence.jobs(),
            *parts.tokens.jobs(),
            policy,
            asleep,
        ]

    def _doors(self) -> list[Job]:
        return [self._local.run(), self._router.run(), *([self._screen.run()] if self._screen else [])]

    async def _open(self) -> None:
        """Wait for the doors. A reader, a verifier or a page that is not there yet is no reason to keep them closed."""
        async with asyncio.timeout(OPEN_WITHIN_S):
            await self._local.ready.wait()
            await self._router.ready.wait()

    async def _watch_sleep(self) -> None:
        """Whoever was there before a sleep may be gone: every seat locks at waking, and readers are tried at once."""
        while True:
            await self.parts.clock.woken()
            self.parts.pipeline.feed_all(machine.Resumed())
            self.parts.readers.nudge()

    def _policy_changed(self, news: Loaded | Refused) -> None:
        """Write what happened to the bundle; under new rules, ask again whether each open session may go on."""
        pipeline = self.parts.pipeline
        data: dict[str, Value]
        if isinstance(news, Refused):
            log.error("policy refused, the one before goes on: %s", news.error)
            data = {"error": str(news.error), "bundle": news.bundle.hash}
        else:
            log.info("policy %s", news.bundle.hash)
            data = {"bundle": news.bundle.hash}
        kind = Kind.POLICY_REFUSED if isinstance(news, Refused) else Kind.POLICY_LOADED
        self.parts.ledger.write(Entry(kind, at=self.parts.clock.now(), data=data))
        if isinstance(news, Loaded):
            pipeline.reconsider()

    def state(self) -> Mapping[str, object]:
        """What `authd status` shows besides the seats."""
        parts = self.parts
        return {
            "pid": os.getpid(),
            "children": self._children(),
            "devices": {id_: self._device(id_) for id_ in parts.manifests},
            "replaced": {id_: dict(keeper.gone) for id_, keeper in parts.readers.keepers.items() if keeper.gone},
            "templates": {"left_out": parts.anchored.left_out, "missing": parts.anchored.missing},
            "verifier_ready": parts.verifier.ready.is_set(),
            "web_ready": self._screen is None or self._screen.ready.is_set(),
            "ledger": {"rows": parts.ledger.head, "trouble": parts.ledger.trouble},
            "policy": parts.pdp.bundle.hash,
            "people": len(parts.store.people),
            "evidence": parts.evidence.state(),
            "tokens": parts.tokens.state(),
            "identification": {seat: self._bound(seat) for seat in parts.config.seats},
        }

    def _device(self, reader: ReaderId) -> Mapping[str, object]:
        """What stands at a seat, and whether it can be used now."""
        driver, modality = self.parts.config.readers[reader].driver, self.parts.manifests[reader].modality
        return {"driver": driver, "modality": modality, "up": self.parts.readers.is_up(reader)}

    def _children(self) -> Mapping[str, int | None]:
        """Process ids of the children that run now."""
        readers: dict[str, int | None] = {id_: keeper.pid for id_, keeper in self.parts.readers.keepers.items()}
        web = self._screen.pid if self._screen else None
        return {**readers, "verifier": self.parts.verifier.keeper.pid, "web": web}

    def _bound(self, seat: SeatId) -> Mapping[str, object]:
        """The bound that FEATURES 7 wants to be shown."""
        bound = self.parts.roster.bound(seat)
        if bound is None:
            return {"permitted": False, "why": "the verifier has not said its false match rate yet"}
        return {
            "permitted": bound.permitted,
            "people": bound.people,
            "fingers": bound.fingers,
            "people_with_fewer_fingers": bound.short,
            "bound": bound.bound,
            "limit": bound.limit,
            "fnir_percent": bound.fnir_percent,
            "templates": bound.templates,
        }


def _peers(parts: Parts) -> Directory:
    """Whose key is whose: the seats' screens and the applications, as configured."""
    config, peers = parts.config, Directory(accounts.admins())
    screens = {str(seat): screen(seat) for seat in config.seats}
    applications = {name: _application(each, config) for name, each in config.applications.items()}
    for seat, peer in screens.items():
        peers.allow(parts.keys.curve(f"seat-{seat}").public, peer)
    for name, application in config.applications.items():
        peers.allow(application.key or parts.keys.curve(f"app-{name}").public, applications[name])
    accounts.admit(config, peers, screens, applications)
    return peers


def _application(application: ApplicationConfig, config: Config) -> Peer:
    seats = frozenset(seat.id for seat in config.seats.values() if application.name in seat.applications)
    scope = frozenset(Attribute(each) for each in application.scope)
    return Peer(Role.APPLICATION, application.name, seats, scope, application.account)
