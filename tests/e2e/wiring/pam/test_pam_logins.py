"""E5: logins through PAM with real fingers (simulated), a real daemon, and the service files that are delivered."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

from authd.pam.words import say, why
from tests.tools.pam.stage import SEAT, Machine, ended, heard, matrix

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="package")]
TOUCH = say("confirm", "en")


async def test_a_login_at_a_locked_seat_waits_for_the_persons_touch(counter: Machine) -> None:
    await counter.locked()
    process = await counter.pamtester("login", counter.people[0])
    await heard(process, say("waiting", "en"))
    code, said = await counter.answered(process)
    assert (code, "successfully authenticated" in said) == (0, True), said
    there = await counter.door.who(SEAT, fresh=True)
    assert there is not None
    assert f"staff_{there.staff_number}" == counter.people[0]


async def test_another_persons_touch_is_a_wrong_person(counter: Machine) -> None:
    await counter.locked()
    process = await counter.pamtester("login", counter.people[0])
    await heard(process, say("waiting", "en"))
    code, said = await counter.answered(process, 1)
    assert code == 1
    assert why("other", "en") in said
    assert "Authentication failure" in said


async def test_sudo_asks_whoever_sits_there_for_a_fresh_touch(counter: Machine) -> None:
    session = await counter.owned()
    process = await counter.pamtester("sudo", "counter")
    await heard(process, TOUCH)
    code, said = await counter.answered(process)
    assert code == 0, said
    there = await counter.door.who(SEAT, fresh=True)
    assert there is not None
    assert there.session == session  # the touch was the answer, and did not lock


async def test_sudo_at_a_locked_seat_is_refused_and_nobody_is_asked(counter: Machine) -> None:
    await counter.locked()
    code, said = await counter.login("sudo", "counter")
    assert code == 1
    assert why("nobody", "en") in said
    assert "Authentication failure" in said


async def test_a_password_that_is_typed_in_another_stack_cancels_ours_uncharged(counter: Machine) -> None:
    """As KDE asks two stacks at once (#483130): the password's success ends the touch's question without a failure."""
    counter.deliver("password-beside", **{"pam_unix.so": f"{matrix()} passdb={counter.services}/passdb"})
    counter.write("passdb", f"{counter.people[0]}:secret:password-beside\n")
    counter.write("touch", (counter.services / "sudo").read_text() + "auth required pam_permit.so\n")
    session = await counter.owned()
    process = await counter.pamtester("touch", counter.people[0])
    await heard(process, TOUCH)
    code, said = await counter.login("password-beside", counter.people[0], typed="wrong")
    assert code == 1
    assert process.returncode is None  # a wrong password cancels nothing
    code, said = await counter.login("password-beside", counter.people[0], typed="secret")
    assert code == 0, said
    code, said = await ended(process)
    assert (code, "failure" in said) == (0, False), said  # ignored: neither success of its own nor a failure
    there = await counter.door.who(SEAT, fresh=True)
    assert there is not None
    assert there.session == session
    await counter.touched_out()  # the next touch is no answer any more, and locks as ever


async def test_a_transaction_that_is_killed_leaves_no_question_behind(counter: Machine) -> None:
    await counter.owned()
    process = await counter.pamtester("sudo", "counter")
    await heard(process, TOUCH)
    process.kill()
    await process.wait()
    again = await counter.pamtester("sudo", "counter")
    await heard(again, TOUCH)
    assert (await counter.answered(again))[0] == 0


async def test_two_accounts_at_once_are_answered_by_one_touch_once(counter: Machine) -> None:
    await counter.locked()
    first = await counter.pamtester("login", counter.people[0])
    await heard(first, say("waiting", "en"))
    code, said = await counter.login("login", counter.people[0])
    assert code == 1
    assert why("gone", "en") in said  # busy: another login waits here
    assert (await counter.answered(first))[0] == 0


async def test_an_account_that_is_nobody_gets_no_answer(counter: Machine) -> None:
    if os.geteuid() != 0:
        pytest.fail("run as root: only root can be another account")
    process = await asyncio.create_subprocess_exec(
        "pamtester",
        "sudo",
        "counter",
        "authenticate",
        env=counter.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        user="daemon",
        group="daemon",
        extra_groups=[],
    )
    code, said = await ended(process)
    assert code == 1
    assert why("gone", "en") in said  # it may not even pass the folder


async def test_the_helper_of_pam_exec_asks_the_same(counter: Machine) -> None:
    helper = f"{sys.executable} -I -m authd.pam socket={counter.stage.socket}"
    counter.deliver("exec", "exec", **{"/opt/authd-seat/bin/python -I -m authd.pam": helper})
    await counter.owned()
    process = await counter.pamtester("exec", counter.people[0], root=True)  # whose home the interpreter may be in
    await heard(process, TOUCH)
    code, said = await counter.answered(process)
    assert code == 0, said


async def test_a_daemon_that_hangs_is_told_from_a_wrong_person(counter: Machine) -> None:
    await counter.owned()
    daemon = counter.stage.processes["daemon"]
    daemon.send_signal(signal.SIGSTOP)
    try:
        code, said = await counter.login("sudo", "counter")
        assert code == 1
        assert why("gone", "en") in said
        assert "cannot retrieve authentication info" in said
        # Where the service says so, what stands below decides instead: here nothing does, but for the last line.
        counter.write("fallback", (counter.services / "login").read_text() + "auth required pam_permit.so\n")
        assert (await counter.login("fallback", counter.people[0]))[0] == 0
    finally:
        daemon.send_signal(signal.SIGCONT)
