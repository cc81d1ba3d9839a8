"""The whole fingerprint service in one object, with its text commands."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus

from authd_simulators.control import error, ok
from authd_simulators.fprint.daemon import Fprintd
from authd_simulators.fprint.private_bus import PrivateBus, ServiceError
from authd_simulators.fprint.ridges import SIDE, Finger, blank
from authd_simulators.fprint.stand_ins import ACTIONS, StandIns
from authd_simulators.fprint.virtual import ImageWire, NotClaimed, Retry, TextWire, Trouble

Kind = Literal["image", "device", "storage"]
KINDS: tuple[Kind, ...] = ("image", "device", "storage")
VARIABLES = {"image": "FP_VIRTUAL_IMAGE", "device": "FP_VIRTUAL_DEVICE", "storage": "FP_VIRTUAL_DEVICE_STORAGE"}
MOST_MS = 60_000
TAKEN_S = 1.0
HELP = (
    "TOUCH|SCAN <whose> [finger]; WRONG; RETRY <0-3>; ERROR <0-9|256|257>; FINGER 0|1; SLEEP <ms>; AWAIT <ms>; "
    "UNPLUG; PLUG; SUSPEND; RESUME; KILL; RESTART; START; STOP; FREEZE; THAW; FORBID|ALLOW verify|enroll|setusername; "
    "PRINTS; device and storage only: STAGES <n>; INSERT|ADD <id>; REMOVE <id>; LIST; STATUS; HELP"
)


class BadCommand(Exception):
    """Not a command, or not one that can be carried out now."""


class FingerprintService:
    """A private bus with polkit's and logind's stand-ins and fprintd, in a folder whose path is short.

    kinds: the virtual devices fprintd finds; the commands are for the first of them.
    """

    def __init__(self, folder: Path, kinds: Sequence[Kind] = ("image",)) -> None:
        self.folder = folder
        self.kind: Kind = kinds[0]
        self.bus = PrivateBus(folder)
        self.stand_ins = StandIns(self.bus.address)
        sockets = {kind: folder / f"{kind}.sock" for kind in kinds}
        self.daemon = Fprintd(folder, self.bus.address, {VARIABLES[kind]: path for kind, path in sockets.items()})
        self.image = ImageWire(sockets[self.kind])
        self.text = TextWire(sockets[self.kind])
        self._touches = count(1)
        self._client: MessageBus | None = None
        self._wanted, self._taken = asyncio.Event(), asyncio.Event()

    async def __aenter__(self) -> FingerprintService:
        """Start everything. Raises `ServiceError`."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            await self.bus.open()
            await self.stand_ins.open()
            await self._listen()
            await self.daemon.start()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything that was started."""
        await self._close()

    async def _close(self) -> None:
        self.image.hang_up()
        await self.daemon.stop()
        self.stand_ins.close()
        if self._client is not None:
            self._client.disconnect()
        await self.bus.close()

    async def obey(self, line: str) -> str:
        """Carry out one line and return its answer; no input whatever raises."""
        words = line.split()
        if not words:
            return error("expected a command; HELP lists them")
        verb = _VERBS.get(words[0].upper())
        if verb is None:
            return error(f"no command {words[0][:32]!r}; HELP lists them")
        try:
            return ok(await verb(self, words[1:]))
        except (BadCommand, NotClaimed, ServiceError) as refusal:
            return error(str(refusal))

    # What fingers do.

    async def touch(self, words: Sequence[str]) -> str:
        """TOUCH <whose> [finger]."""
        if not 1 <= len(words) <= 2:
            raise BadCommand("expected whose finger, and which")
        if self.kind != "image":
            return await self.text.say(f"SCAN {'-'.join(words)}")
        return await self._shown(Finger.of(*words).picture(next(self._touches)))

    async def wrong(self, words: Sequence[str]) -> str:
        """WRONG: a finger that was never here."""
        which = str(next(self._touches))
        return await self.touch(["stranger", which])

    async def retry(self, words: Sequence[str]) -> str:
        """RETRY <code>."""
        code = _number(words, Retry)
        if self.kind != "image":
            return await self.text.say(f"RETRY {code}")
        await self.image.retry(Retry(code))
        return ""

    async def trouble(self, words: Sequence[str]) -> str:
        """ERROR <code>."""
        code = _number(words, Trouble)
        if self.kind != "image":
            return await self.text.say(f"ERROR {code}")
        await self.image.trouble(Trouble(code))
        return ""

    async def finger(self, words: Sequence[str]) -> str:
        """FINGER 0|1: the sensor feels a finger; no picture is taken."""
        down = bool(_number(words, (0, 1)))
        if self.kind != "image":
            return await self.text.say(f"FINGER {down:d}")
        await self.image.automatic(False)
        await self.image.finger(down)
        if not down:
            await self.image.automatic(True)
        return ""

    async def sleep(self, words: Sequence[str]) -> str:
        """SLEEP <ms>: the device does nothing for so long."""
        ms = _number(words, range(MOST_MS))
        if self.kind != "image":
            return await self.text.say(f"SLEEP {ms}")
        await asyncio.sleep(ms / 1000)
        return ""

    async def wait(self, words: Sequence[str]) -> str:
        """AWAIT <ms>: until the sensor waits for a finger."""
        ms = _number(words, range(MOST_MS))
        try:
            async with asyncio.timeout(ms / 1000):
                await self._wanted.wait()
        except TimeoutError:
            raise BadCommand("no finger is waited for") from None
        return ""

    async def unplug(self, words: Sequence[str]) -> str:
        """UNPLUG: the device is gone until fprintd starts anew."""
        if self.kind != "image":
            return await self.text.say("UNPLUG")
        await self.image.unplug()
        self._forget()
        return ""

    async def show_nothing(self, words: Sequence[str]) -> str:
        """BLANK: a picture without a finger."""
        if self.kind != "image":
            raise BadCommand("only the image device takes pictures")
        return await self._shown(blank())

    async def _shown(self, grey: bytes) -> str:
        """Show a picture; done once the sensor has it, so that AWAIT after it means the next one."""
        self._taken.clear()
        await self.image.picture(SIDE, SIDE, grey)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TAKEN_S):
                await self._taken.wait()
        return ""

    def told(self, verb: str) -> Callable[[Sequence[str]], Awaitable[str]]:
        """Return the command that hands a line on to a device that takes text."""

        async def tell(words: Sequence[str]) -> str:
            if self.kind == "image":
                raise BadCommand("the image device does not know this")
            return await self.text.say(" ".join((verb, *words)))

        return tell

    # What the service does.

    async def kill(self, words: Sequence[str]) -> str:
        """KILL: fprintd dies at once."""
        self._forget()
        await self.daemon.stop(signal.SIGKILL)
        return ""

    async def stop(self, words: Sequence[str]) -> str:
        """STOP: fprintd ends in good order."""
        self._forget()
        await self.daemon.stop()
        return ""

    async def begin(self, words: Sequence[str]) -> str:
        """START, if it does not run."""
        await self.daemon.start()
        return ""

    async def restart(self, words: Sequence[str]) -> str:
        """RESTART: ends and starts it; also PLUG, because a virtual device is only found at the start."""
        await self.stop(words)
        return await self.begin(words)

    async def suspend(self, words: Sequence[str]) -> str:
        """SUSPEND: logind says that the machine will sleep."""
        await self.stand_ins.prepare_for_sleep(True)
        return ""

    async def resume(self, words: Sequence[str]) -> str:
        """RESUME: it has woken up."""
        await self.stand_ins.prepare_for_sleep(False)
        return ""

    async def freeze(self, words: Sequence[str]) -> str:
        """FREEZE: fprintd hangs."""
        self.daemon.freeze(True)
        return ""

    async def thaw(self, words: Sequence[str]) -> str:
        """THAW."""
        self.daemon.freeze(False)
        return ""

    async def forbid(self, words: Sequence[str]) -> str:
        """FORBID <action>: polkit says no."""
        self.stand_ins.forbidden.update(_actions(words))
        return ""

    async def allow(self, words: Sequence[str]) -> str:
        """ALLOW <action>."""
        self.stand_ins.forbidden.difference_update(_actions(words))
        return ""

    async def prints(self, words: Sequence[str]) -> object:
        """PRINTS: the files of fprintd's store."""
        state = self.folder / "state"
        return sorted(str(path.relative_to(state)) for path in state.rglob("*") if path.is_file())

    async def status(self, words: Sequence[str]) -> object:
        """STATUS."""
        return self._known()

    async def help(self, words: Sequence[str]) -> str:
        """HELP."""
        return HELP

    def _known(self) -> dict[str, object]:
        return {
            "bus": str(self.bus.socket),
            "device": self.kind,
            "pid": self.daemon.pid,
            "forbidden": sorted(self.stand_ins.forbidden),
            "needs_finger": self._wanted.is_set(),
        }

    async def _listen(self) -> None:
        """Follow whether the sensor waits for a finger."""
        self._client = await MessageBus(bus_address=self.bus.address, auth_timeout=5).connect()
        self._client.add_message_handler(self._heard)
        rule = "type='signal',interface='org.freedesktop.DBus.Properties',arg0='net.reactivated.Fprint.Device'"
        question = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch")
        await self._client.call(Message(*question, signature="s", body=[rule]))

    def _heard(self, message: Message) -> None:
        if message.message_type is not MessageType.SIGNAL or message.member != "PropertiesChanged":
            return
        needed = message.body[1].get("finger-needed")
        if needed is not None and needed.value:
            self._wanted.set()
        elif needed is not None:
            self._wanted.clear()
            self._taken.set()

    def _forget(self) -> None:
        """What is known of an fprintd that is gone."""
        self._wanted.clear()
        self.image.hang_up()


Verb = Callable[[FingerprintService, Sequence[str]], Awaitable[object]]


def _told(verb: str) -> Verb:
    return lambda service, words: service.told(verb)(words)


_VERBS: dict[str, Verb] = {
    "TOUCH": FingerprintService.touch,
    "SCAN": FingerprintService.touch,
    "WRONG": FingerprintService.wrong,
    "BLANK": FingerprintService.show_nothing,
    "RETRY": FingerprintService.retry,
    "ERROR": FingerprintService.trouble,
    "FINGER": FingerprintService.finger,
    "SLEEP": FingerprintService.sleep,
    "AWAIT": FingerprintService.wait,
    "UNPLUG": FingerprintService.unplug,
    "PLUG": FingerprintService.restart,
    "SUSPEND": FingerprintService.suspend,
    "RESUME": FingerprintService.resume,
    "KILL": FingerprintService.kill,
    "STOP": FingerprintService.stop,
    "START": FingerprintService.begin,
    "RESTART": FingerprintService.restart,
    "FREEZE": FingerprintService.freeze,
    "THAW": FingerprintService.thaw,
    "FORBID": FingerprintService.forbid,
    "ALLOW": FingerprintService.allow,
    "PRINTS": FingerprintService.prints,
    "STATUS": FingerprintService.status,
    "HELP": FingerprintService.help,
    "STAGES": _told("SET_ENROLL_STAGES"),
    "INSERT": _told("INSERT"),
    "ADD": _told("INSERT"),
    "REMOVE": _told("REMOVE"),
    "LIST": _told("LIST"),
    "KEEP_ALIVE": _told("SET_KEEP_ALIVE"),
    "CONT": _told("CONT"),
}


def _number(words: Sequence[str], allowed: Any) -> int:
    if len(words) != 1 or not words[0].isascii() or not words[0].isdigit() or len(words[0]) > 6:
        raise BadCommand("expected one number")
    if int(words[0]) not in (*allowed,):
        raise BadCommand("this number means nothing here")
    return int(words[0])


def _actions(words: Sequence[str]) -> Sequence[str]:
    if not words or any(word not in ACTIONS for word in words):
        raise BadCommand(f"expected some of {', '.join(ACTIONS)}")
    return words
