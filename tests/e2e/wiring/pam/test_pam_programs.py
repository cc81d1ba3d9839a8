"""E5: the real `login` and `sudo`, in a mount namespace with accounts, services and rules of its own."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import signal
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from authd.pam.words import say, why
from tests.tools.pam import PATIENCE_S, watchers
from tests.tools.pam.stage import ORDINARY, Machine, ended, heard

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="package")]
SHELL = '#!/bin/sh\nprintf \'%s\\n\' "I am $(id -un)" "session $AUTHD_SEAT_SESSION"\n'
STAYS = """#!/bin/sh
trap '' HUP TERM
setsid sh -c 'exec sleep 60' &
apart=$!
(trap "" HUP; exec sleep 60) &
with=$!
orphan=$( (setsid sh -c 'echo $$; exec >&2; while printf .; do sleep 0.05; done' &) )
service=$( (setsid sh -c 'sleep 120 < /dev/null > /dev/null 2>&1 & echo $!' &) )
echo "stays $$ $apart $with $orphan $service"
while true; do
    if read -r line; then exit 0; fi
    sleep 0.05
done
"""
"""A shell that will not go: it and its programs ignore what is hung up, one has a session of its own, and another is
nobody's child any more, which ends only because the terminal is taken from it. The last one has forked twice, as
services do, has no terminal, and shares nothing with the login but what the kernel's audit calls its session."""
BEGUN = """
trap '' HUP TERM
sleep 120 & with=$!
setsid sleep 120 & apart=$!
orphan=$(sh -c 'sleep 120 > /dev/null 2>&1 & echo $!')
case $1 in use_pty) echo "stays $$ $with $apart $orphan";; *) kill -9 $orphan; echo "stays $$ $with $apart";; esac
wait
"""
"""What sudo is to run: it ignores what is hung up, one program of it has a session of its own, and another is nobody's
child any more, which is found only where sudo gives a terminal of its own. It ends by itself after 120 s."""
BESIDE = """
echo 4242 > /proc/self/loginuid
echo "beside $(setsid sh -c 'sleep 120 > /dev/null 2>&1 & echo $!')"
exec "$@"
"""
"""A desktop in which somebody uses sudo: to the kernel's audit, what else runs there is of the same session."""
INSIDE = """
set -eu
cat /etc/passwd "$1/passwd" > "$1/all"
mount --bind "$1/all" /etc/passwd
mount --bind "$1/pam.d" /etc/pam.d
mount --bind "$1/sudoers" /etc/sudoers
shift
exec "$@"
"""
DENY = "auth required pam_deny.so\n"
LOGIN = "session required pam_loginuid.so\n"
"""As Debian has it in its own file, which the delivered one stands in."""
PERMIT = "account required pam_permit.so\nsession required pam_permit.so\n"


@pytest.fixture(scope="module")
def etc(counter: Machine) -> Path:
    """What stands in /etc there: the delivered services, the staff's accounts, and who may use sudo."""
    if os.geteuid() != 0:
        pytest.fail("run as root: a mount namespace and other accounts are needed")
    folder = counter.services.parent / "etc"
    (folder / "pam.d").mkdir(parents=True)
    for name in ("login", "sudo"):
        text = (counter.services / name).read_text()
        (folder / "pam.d" / name).write_text(text + (DENY + LOGIN if name == "login" else "") + PERMIT)
    (folder / "pam.d" / "other").write_text("auth required pam_deny.so\naccount required pam_deny.so\n")
    shells = [counter.services.parent / name for name in ("stays", "shell")]
    for shell, text in zip(shells, (STAYS, SHELL), strict=True):
        shell.write_text(text)
        shell.chmod(0o755)
    rows = [f"{name}:!:{4_001 + number}:100::/:{shells[number % 2]}" for number, name in enumerate(counter.people)]
    (folder / "passwd").write_text("".join(f"{row}\n" for row in rows))
    rules(folder, "use_pty")
    return folder


def rules(etc: Path, terminal: str) -> None:
    """Write who may use sudo. terminal: whether it gives one of its own to what it runs, "use_pty" or "!use_pty"."""
    (etc / "sudoers").write_text(
        f"Defaults passwd_tries=1, timestamp_timeout=0, {terminal}\n{ORDINARY} ALL=(ALL) ALL\n"
    )
    (etc / "sudoers").chmod(0o440)


async def inside(counter: Machine, etc: Path, *words: str) -> asyncio.subprocess.Process:
    """Start a program in there, on a terminal of its own."""
    line = f"exec {shlex.join(words)}"
    shell = ["unshare", "--mount", "sh", "-c", INSIDE, "sh", str(etc), "script", "-qefc", line, "/dev/null"]
    environment = {"PATH": os.environ["PATH"], "LANG": "en_US.UTF-8", "TERM": "dumb"}
    return await counter.start(*shell, env=environment, root=True)


async def test_login_asks_for_no_name_and_is_the_persons_account(counter: Machine, etc: Path) -> None:
    await counter.locked()
    process = await inside(counter, etc, "login")
    await heard(process, say("waiting", "en"))
    code, said = await counter.answered(process, 1)
    there = await counter.door.who("counter-1")
    assert there is not None
    assert (code, f"I am {counter.people[1]}" in said, f"session {there.session}" in said) == (0, True, True), said


async def test_sudo_runs_after_a_touch_and_not_at_a_locked_seat(counter: Machine, etc: Path) -> None:
    words = ["setpriv", f"--reuid={ORDINARY}", "--clear-groups", "sudo", "-k", "id", "-un"]
    await counter.locked()
    code, said = await ended(await inside(counter, etc, *words))
    assert code != 0
    assert why("nobody", "en") in said
    await counter.owned()
    process = await inside(counter, etc, *words)
    await heard(process, say("confirm", "en"))
    code, said = await counter.answered(process)
    assert (code, said.strip().endswith("root")) == (0, True), said


@asynccontextmanager
async def logged_in(counter: Machine, etc: Path) -> AsyncGenerator[tuple[asyncio.subprocess.Process, list[int]], None]:
    """Log in on a text console whose shell will not go; the process, and whom the end must reach."""
    await counter.locked()
    process = await inside(counter, etc, "login")
    await heard(process, say("waiting", "en"))
    said: list[str] = []
    found = await counter.touching(pids(process, said), said)
    assert len(watchers(counter.hang_up)) == 1
    yield process, found
    await all_gone(watchers, counter.hang_up)


async def pids(process: asyncio.subprocess.Process, said: list[str], word: str = "stays") -> list[int]:
    """Return what the shell says of itself and of what it has started."""
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        async for line in process.stdout:
            said.append(line.decode(errors="replace"))
            found = re.search(rf"{word} ([\d ]+)".encode(), line)
            if found:
                return [int(each) for each in found[1].split()]
    raise AssertionError("no shell was started")


async def all_gone(left: Callable[[Any], Sequence[int]], whom: object) -> None:
    """Wait until nothing is left."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if not left(whom):
                return
            await asyncio.sleep(0.01)


def alive(whom: Sequence[int]) -> Sequence[int]:
    """Those that still run; who is dead and not yet buried does not."""
    found: list[int] = []
    for each in whom:
        with suppress(OSError):
            if Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.append(each)
    return found


async def test_a_lock_ends_a_login_though_its_shell_will_not_go(counter: Machine, etc: Path) -> None:
    async with logged_in(counter, etc) as (process, whom):
        assert alive(whom) == whom
        await counter.locked()
        await all_gone(alive, whom)
        await ended(process)


async def test_nobody_watches_after_a_logout_and_the_seat_is_still_theirs(counter: Machine, etc: Path) -> None:
    async with logged_in(counter, etc) as (process, whom):
        there = await counter.door.who("counter-1")
        assert process.stdin is not None
        process.stdin.write(b"exit\n")
        await all_gone(alive, whom[:1])
        await all_gone(watchers, counter.hang_up)
        assert await counter.door.who("counter-1") == there
        for each in whom:
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)


@pytest.mark.parametrize("terminal", ["use_pty", "!use_pty"])
async def test_a_lock_ends_what_sudo_runs(counter: Machine, etc: Path, terminal: str) -> None:
    """Sudo ends when it is hung up, and closes its session: what it ran must end all the same."""
    rules(etc, terminal)
    beside, command = ["sh", "-c", BESIDE, "sh"], ["sh", "-c", BEGUN, "sh", terminal]
    await counter.owned()
    process = await inside(counter, etc, *beside, "setpriv", f"--reuid={ORDINARY}", "--clear-groups", "sudo", *command)
    (neighbour,) = await pids(process, [], "beside")
    await heard(process, say("confirm", "en"))
    said: list[str] = []
    whom = await counter.touching(pids(process, said), said)
    assert (alive(whom), len(watchers(counter.hang_up))) == (whom, 1)
    await counter.locked()
    await all_gone(alive, whom)
    await all_gone(watchers, counter.hang_up)
    assert alive([neighbour]) == [neighbour]
    os.kill(neighbour, signal.SIGKILL)
    assert (await ended(process))[0] != 0


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_daemon_that_is_silent_ends_a_login(counter: Machine, etc: Path, how: signal.Signals) -> None:
    async with logged_in(counter, etc) as (process, whom):
        daemon = counter.stage.processes["daemon"]
        daemon.send_signal(how)
        try:
            await all_gone(alive, whom)
            await ended(process)
        finally:
            if how is signal.SIGSTOP:
                daemon.send_signal(signal.SIGCONT)
                await counter.locked()
            else:
                await daemon.wait()
                counter.stage.socket.unlink()  # it was left behind, and is not the next one's
                await counter.stage.begin()
