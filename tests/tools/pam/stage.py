"""A seat whose accounts are the machine's: the daemon, the delivered services, and logins as an ordinary account."""

from __future__ import annotations

import asyncio
import os
import pwd
import re
import shutil
import tempfile
from collections.abc import AsyncGenerator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from authd.client import Client
from authd.pam.build import hang_up, module
from authd.pam.words import say
from authd_simulators.stage import Application, Stage, free_ports
from tests.tools.pam import PATIENCE_S

PACKAGED = Path(__file__).parents[3] / "packaging" / "pam"
SEAT = "counter-1"
ACCOUNT = 'account = "staff_{staff_number}"'
ORDINARY, DATABASE = "games", "postgres"
"""An account of every Debian that nobody uses, and that of PostgreSQL; both in the group of the door."""
AGAIN = (say("once_more", "en"), say("another_finger", "en"))
T = TypeVar("T")
PRELOAD = "libpam_wrapper.so"
MODULES = "/usr/lib"
LOGIN = Application("login", "端末", "Terminal", lines=(ACCOUNT, f'accounts = ["{ORDINARY}"]'))
SYSTEM = Application(
    "db", "データベース", "Database", lines=(ACCOUNT, f'accounts = ["{DATABASE}"]', "[door]", f'group = "{DATABASE}"')
)


@dataclass(slots=True)
class Machine:
    """The daemon with one seat, and what PAM needs of it."""

    stage: Stage
    door: Client
    services: Path
    module: Path
    hang_up: Path
    started: list[asyncio.subprocess.Process] = field(default_factory=list[asyncio.subprocess.Process])

    @property
    def people(self) -> Sequence[str]:
        """Accounts of those who may touch."""
        return [f"staff_{each.staff_number}" for each in self.stage.people]

    @property
    def options(self) -> str:
        """The module, as it stands in a service here."""
        return f"{self.module} socket={self.stage.socket} hang_up={self.hang_up}"

    def deliver(self, name: str, service: str | None = None, **words: str) -> None:
        """Install one of the delivered files, for this module and this door. words: what stands for what."""
        text = (PACKAGED / name).read_text()
        for word, other in {"pam_authd_seat.so": self.options, **words}.items():
            text = re.sub(rf"(?m)^([^#\n]*){re.escape(word)}", rf"\g<1>{other}", text)
        self.write(service or name, text)

    def write(self, service: str, text: str) -> None:
        """Write a service."""
        (self.services / service).write_text(text)

    @property
    def environment(self) -> dict[str, str]:
        """In which PAM looks here for its services."""
        found = {"LD_PRELOAD": PRELOAD, "PAM_WRAPPER": "1", "PAM_WRAPPER_SERVICE_DIR": str(self.services)}
        return {**found, "LANG": "en_US.UTF-8", "PATH": os.environ["PATH"], "TMPDIR": "/tmp"}

    async def start(
        self, *words: str, env: Mapping[str, str] | None = None, root: bool = False
    ) -> asyncio.subprocess.Process:
        """Start a program as the ordinary account."""
        who = pwd.getpwnam(ORDINARY)
        switched = (
            {} if root or os.geteuid() != 0 else {"user": who.pw_uid, "group": who.pw_gid, "extra_groups": [_gid()]}
        )
        process = await asyncio.create_subprocess_exec(
            *words,
            env=dict(env or self.environment),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd="/",
            **switched,  # type: ignore[arg-type]  # by name
        )
        self.started.append(process)
        return process

    async def pamtester(
        self, service: str, user: str, *what: str, typed: str = "", root: bool = False
    ) -> asyncio.subprocess.Process:
        """Begin a transaction, and answer what it asks."""
        process = await self.start("stdbuf", "-oL", "pamtester", service, user, *(what or ("authenticate",)), root=root)
        if typed:
            assert process.stdin is not None
            process.stdin.write(typed.encode() + b"\n")
            process.stdin.write_eof()
        return process

    async def login(self, service: str, user: str, *what: str, typed: str = "") -> tuple[int, str]:
        """Carry out a transaction in which nobody has to touch."""
        return await ended(await self.pamtester(service, user, *what, typed=typed))

    async def owned(self, number: int = 0) -> str:
        """Have somebody at the seat; returns their session."""
        there = await self.door.who(SEAT, fresh=True)
        if there is None or there.staff_number != self.stage.people[number].staff_number:
            await self.locked()
            there = await self.stage.log_in(self.door, SEAT, self.stage.people[number])
        return there.session

    async def locked(self) -> None:
        """Have nobody there."""
        async with self.stage.screen(SEAT) as screen:
            await screen.press(SEAT, "lock")
        while await self.door.who(SEAT, fresh=True) is not None:
            pass
        await self.stage.until_locked(self.door)

    async def touched_out(self, number: int = 0) -> None:
        """Touch until the seat is nobody's, as a touch of the owner makes it."""
        for _ in range(5):
            await self.touched(number)
            for _ in range(150):
                if await self.door.who(SEAT, fresh=True) is None:
                    return
                await asyncio.sleep(0.01)
        raise AssertionError("a touch that nobody asked for does not lock")

    async def answered(self, process: asyncio.subprocess.Process, number: int = 0) -> tuple[int, str]:
        """Touch until the transaction has ended; returns the exit code, and what was said."""
        said: list[str] = []
        return await self.touching(ended(process, said), said, number)

    async def touching(self, work: Coroutine[Any, Any, T], said: Sequence[str], number: int = 0) -> T:
        """Touch until the work is done, which puts down what it hears: a reader may ask for the finger again."""
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(work)
            for _ in range(5):
                known = len(said)
                await self.touched(number)
                if await _done(waiting, said, known):
                    break
        return waiting.result()

    async def touched(self, number: int = 0) -> None:
        """Touch once, when the reader waits for a finger."""
        await self.stage.lifted(SEAT)
        await self.stage.touch(SEAT, self.stage.people[number])


def matrix() -> str:
    """Return the module of libpam-wrapper that knows passwords from a file."""
    found = sorted(Path(MODULES).glob("*/pam_wrapper/pam_matrix.so"))
    if not found:
        raise FileNotFoundError("pam_matrix.so is missing: install the package libpam-wrapper")
    return str(found[0])


async def ended(process: asyncio.subprocess.Process, said: list[str] | None = None) -> tuple[int, str]:
    """Return the exit code, and what was said, which is put down as it comes."""
    assert process.stdout is not None
    heard = said if said is not None else []
    if process.stdin is not None:
        process.stdin.close()
    async with asyncio.timeout(PATIENCE_S):
        async for line in process.stdout:
            heard.append(line.decode(errors="replace"))
        await process.wait()
    assert process.returncode is not None
    return process.returncode, "".join(heard)


async def _done(work: asyncio.Task[Any], said: Sequence[str], known: int) -> bool:
    """Wait until it is done, or the reader asks again, in words or by saying nothing for long."""
    for _ in range(500):
        if work.done() or any(each in "".join(said[known:]) for each in AGAIN):
            break
        await asyncio.wait([work], timeout=0.02)
    return work.done()


async def heard(process: asyncio.subprocess.Process, words: str) -> None:
    """Wait until a program has said this."""
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        said = ""
        while words not in said:
            line = await process.stdout.readline()
            assert line, f"it ended without {words!r}: {said}"
            said += line.decode(errors="replace")


@asynccontextmanager
async def machine(people: int = 3) -> AsyncGenerator[Machine, None]:
    """Set it up; whatever was started and still runs is ended."""
    folder = Path(tempfile.mkdtemp(prefix="pam-"))
    os.chmod(folder, 0o755)  # noqa: PTH101 - others have to pass through
    try:
        services = folder / "pam.d"
        services.mkdir()
        built = module(folder / "built"), hang_up(folder / "built")
        async with (
            Stage(free_ports(), seats=(SEAT,), people=people, systems=(LOGIN, SYSTEM), folder=folder) as stage,
            stage.door() as door,
        ):
            made = Machine(stage, door, services, *built)
            for each in sorted(PACKAGED.iterdir()):
                made.deliver(each.name)
            yield made
            for process in made.started:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _gid() -> int:
    return pwd.getpwnam(DATABASE).pw_gid
