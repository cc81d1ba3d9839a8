"""The driver before a bus that lies (early, late, foreign, malformed words), and a service that comes and goes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from dbus_fast import Variant

from authd.driver import (
    Capture,
    Claimed,
    Confirm,
    Delete,
    Denial,
    Denied,
    DriverError,
    Enroll,
    Enrolled,
    Fault,
    NoMatch,
    Op,
    Reader,
    State,
    StateChange,
    Verify,
    Watch,
)
from authd_drivers.fprintd import READER
from authd_drivers.fprintd.link import Ear
from authd_drivers.fprintd.messages import Status
from authd_drivers.fprintd.prints import read_claimed, read_enrolled
from authd_drivers.fprintd.reader import LAST_S
from tests.conformance.reader import NONCE, OTHER, Common, Device, fails, running, until
from tests.drivers.fake_fprintd import BUS, LIAR, LOGIND, SERVICE, SLEEPER, FakeFprintd, fake, frame, opened

__all__ = ["fake", "opened"]  # fixtures
DOWN = StateChange(State.NEED_TOUCH)
VERIFY = Verify(NONCE, "sub_1")
MATCH, NO_MATCH = "verify-match", "verify-no-match"


async def nothing_but(fake: FakeFprintd, events: Any) -> None:
    """End with a wrong finger: what was said before it gave nothing."""
    fake.send(fake.status(NO_MATCH))
    assert await until(events, Claimed, NoMatch, Denied) == NoMatch(NONCE)


async def test_a_match_is_claimed_under_its_nonce_with_the_finger_that_it_can_only_be(
    fake: FakeFprintd, opened: Reader
) -> None:
    async with running(opened, VERIFY) as events:
        await until(events, DOWN)
        fake.send(fake.status(MATCH))
        event = await until(events, Claimed)
        assert isinstance(event, Claimed)
        assert (event.reference, event.nonce) == ("sub_1", NONCE)
        match = read_claimed(event.data)
        assert (match.print.account, match.print.finger, match.nonce) == ("sub_1", "right-index-finger", NONCE)
        assert [event async for event in events] == []
    assert fake.accounts == ["sub_1"]
    await fake.called("Release")
    assert fake.calls.index("VerifyStart") < fake.calls.index("VerifyStop") < fake.calls.index("Release")


async def test_an_early_match_gives_nothing(fake: FakeFprintd, opened: Reader) -> None:
    """Of a verification before this one, or of nobody's: it came before the start was answered."""
    fake.before = {"VerifyStart": fake.status(MATCH), "Claim": fake.status(MATCH)}
    async with running(opened, VERIFY) as events:
        await until(events, DOWN)
        await nothing_but(fake, events)


async def test_a_second_match_gives_nothing(fake: FakeFprintd, opened: Reader) -> None:
    async with running(opened, VERIFY) as events:
        await until(events, DOWN)
        fake.send(2 * fake.status(MATCH))
        await until(events, Claimed)
    fake.send(fake.status(MATCH))
    async with running(opened, VERIFY) as events:
        await until(events, DOWN)
        await nothing_but(fake, events)


async def test_what_comes_after_the_stop_gives_nothing(fake: FakeFprintd, opened: Reader) -> None:
    """The service answers a stop with the status of a wrong finger, and may be late with a match."""
    fake.before = {"VerifyStop": fake.status(NO_MATCH)}
    fake.after = {"VerifyStop": fake.status(MATCH)}
    async with running(opened, VERIFY) as events:
        await until(events, DOWN)
    async with running(opened, VERIFY) as events:
        await until(events, DOWN)
        await nothing_but(fake, events)


async def test_a_match_that_crosses_the_end_of_a_failed_start_gives_nothing(fake: FakeFprintd, opened: Reader) -> None:
    fake.errors["VerifyStart"] = "net.reactivated.Fprint.Error.Internal"
    fake.after = {"VerifyStart": fake.status(MATCH)}
    async with running(opened, VERIFY) as events:
        waiting = asyncio.ensure_future(until(events, DOWN))
        await fake.called("VerifyStart", 2)
        del fake.errors["VerifyStart"]
        await waiting
        await nothing_but(fake, events)


_OTHER_SENSOR = "/net/reactivated/Fprint/Device/1"


@pytest.mark.parametrize(
    "more",
    [{"sender": LIAR}, {"sender": BUS}, {"path": _OTHER_SENSOR}, {"interface": "org.example.Device"}],
    ids=["another peer", "the bus", "another sensor", "another interface"],
)
async def test_a_match_of_anybody_elses_gives_nothing(fake: FakeFprintd, opened: Reader, more: dict[str, str]) -> None:
    async with running(opened, VERIFY) as events:
        await until(events, DOWN)
        fake.send(fake.status(MATCH, True, "Verify", **more))
        await nothing_but(fake, events)


async def test_a_finished_enrolment_is_no_match(fake: FakeFprintd, opened: Reader) -> None:
    async with running(opened, VERIFY) as events:
        await until(events, DOWN)
        fake.send(fake.status("enroll-completed", kind="Enroll"))
        await nothing_but(fake, events)


async def test_a_reply_of_another_peer_is_no_reply(fake: FakeFprintd, opened: Reader) -> None:
    fake.silent.add("Claim")
    async with running(opened, VERIFY) as events:
        waiting = asyncio.ensure_future(until(events, DOWN))
        await fake.called("Claim")
        for serial in range(64):
            fake.send(frame(2, LIAR, "", [], reply_to=serial + 1))
        done, _ = await asyncio.wait({waiting}, timeout=0.1)
        assert not done
        assert "VerifyStart" not in fake.calls
        waiting.cancel()
        await asyncio.wait({waiting})


async def test_another_finger_than_the_one_that_was_meant_is_an_error(fake: FakeFprintd, opened: Reader) -> None:
    fake.fingers = ["right-index-finger", "left-thumb"]
    async with running(opened, Verify(NONCE, "sub_1/left-thumb")) as events:
        await until(events, DOWN)
        fake.send(fake.signal("VerifyFingerSelected", "s", "right-index-finger") + fake.status(MATCH))
        assert (await fails(events)).fault is Fault.PROTOCOL


async def test_with_two_fingers_the_service_says_which_or_nobody_knows(fake: FakeFprintd, opened: Reader) -> None:
    fake.fingers = ["right-index-finger", "left-thumb"]
    for selected, known in (("any", ""), ("left-thumb", "left-thumb")):
        async with running(opened, VERIFY) as events:
            await until(events, DOWN)
            fake.send(fake.signal("VerifyFingerSelected", "s", selected) + fake.status(MATCH))
            event = await until(events, Claimed)
            assert isinstance(event, Claimed)
            match = read_claimed(event.data)
            assert (match.print.finger, match.fingers) == (known, ("right-index-finger", "left-thumb"))


async def test_an_enrolment_ends_with_what_was_enrolled(fake: FakeFprintd, opened: Reader) -> None:
    fake.fingers = ["right-index-finger"]
    async with running(opened, Enroll(NONCE, "sub_1", "left_thumb")) as events:
        await until(events, DOWN)
        fake.send(fake.status("enroll-stage-passed", False, "Enroll") + fake.status("enroll-completed", kind="Enroll"))
        event = await until(events, Enrolled)
        assert isinstance(event, Enrolled)
        made, nonce = read_enrolled(event.data)
        assert (made.name, nonce) == ("sub_1/left-thumb", NONCE)
    assert "EnrollStop" in fake.calls


@pytest.mark.parametrize("op", [Capture(NONCE), Confirm(NONCE, b"x")])
async def test_what_it_cannot_do_is_refused(opened: Reader, op: Op) -> None:
    async with running(opened, op) as events:
        assert (await fails(events)).fault is Fault.NOT_PERMITTED


@pytest.mark.parametrize(
    "op",
    [
        Verify(NONCE, ""),
        Verify(NONCE, "../root"),
        Verify(NONCE, "sub_1/any"),
        Verify(NONCE, "sub_1/"),
        Enroll(NONCE, "a" * 65, "left_thumb"),
        Enroll(NONCE, "sub_1", "any"),
        Enroll(NONCE, "sub_1", ""),
        Delete("sub_1/nose"),
        Delete("sub 1"),
    ],
)
async def test_a_name_that_the_service_would_misread_never_reaches_it(
    fake: FakeFprintd, opened: Reader, op: Op
) -> None:
    async with running(opened, op) as events:
        assert (await fails(events)).fault is Fault.PROTOCOL
    assert fake.accounts == []


async def test_deleting_what_is_there_and_what_is_not(fake: FakeFprintd, opened: Reader) -> None:
    for reference, member in (("sub_1/left-thumb", "DeleteEnrolledFinger"), ("sub_1", "DeleteEnrolledFingers2")):
        for error in ("", "NoEnrolledPrints", "PrintsNotDeletedFromDevice"):
            fake.errors = {member: f"net.reactivated.Fprint.Error.{error}"} if error else {}
            async with running(opened, Delete(reference)) as events:
                assert [event async for event in events] == []
    fake.errors = {"DeleteEnrolledFingers2": "net.reactivated.Fprint.Error.PrintsNotDeleted"}
    async with running(opened, Delete("sub_1")) as events:
        assert (await fails(events)).fault is Fault.NOT_PERMITTED


async def test_one_operation_at_a_time(opened: Reader) -> None:
    async with running(opened, VERIFY) as events:
        await until(events, DOWN)
        async with running(opened, VERIFY) as second:
            assert (await fails(second)).fault is Fault.BUSY
    async with running(opened, VERIFY) as events:
        await until(events, DOWN)


# A service that comes and goes.


async def test_after_a_restart_only_the_new_service_is_believed(fake: FakeFprintd, opened: Reader) -> None:
    async with running(opened, VERIFY) as events:
        await until(events, DOWN)
        fake.send(fake.owned("") + fake.owned(":1.9"))
        await until(events, DOWN)
        assert fake.calls.count("Claim") == 2
        fake.send(fake.status(MATCH))  # of the old one
        fake.send(fake.status(NO_MATCH, sender=":1.9"))
        assert await until(events, Claimed, NoMatch) == NoMatch(NONCE)


@pytest.mark.parametrize("sender", [LIAR, SERVICE, SLEEPER])
async def test_nobody_but_the_bus_says_who_the_service_is(fake: FakeFprintd, opened: Reader, sender: str) -> None:
    async with running(opened, VERIFY) as events:
        await until(events, DOWN)
        names = ("NameOwnerChanged", "sss", "net.reactivated.Fprint", "", LIAR)
        fake.send(fake.signal(*names, sender=sender, interface=BUS) + fake.status(MATCH, sender=LIAR))
        await nothing_but(fake, events)


async def test_what_a_stranger_says_badly_is_no_fault_of_the_service(fake: FakeFprintd, opened: Reader) -> None:
    async with running(opened, VERIFY) as events:
        await until(events, DOWN)
        fake.send(fake.signal("VerifyStatus", "s", "x", sender=LIAR))
        await nothing_but(fake, events)


async def test_a_sensor_may_have_another_path_after_a_restart(fake: FakeFprintd, opened: Reader) -> None:
    async with running(opened, VERIFY) as events:
        await until(events, DOWN)
        fake.device = _OTHER_SENSOR
        fake.send(fake.owned("") + fake.owned(":1.9"))
        await until(events, DOWN)
        fake.send(fake.status(MATCH, sender=":1.9") + fake.status(NO_MATCH, sender=":1.9", path=_OTHER_SENSOR))
        assert await until(events, Claimed, NoMatch) == NoMatch(NONCE)


def test_an_ear_hears_one_end_between_start_and_end() -> None:
    ear, match = Ear("Verify"), Status("Verify", MATCH, True)
    assert not ear.takes(match)
    ear.armed = True
    assert ear.takes(Status("Verify", "verify-retry-scan", False))
    assert ear.takes(match)
    assert not ear.takes(match)


async def ended_while_claiming(fake: FakeFprintd, opened: Reader) -> None:
    """Begin a verification, and end it before the claim of the sensor is answered."""
    fake.silent.add("Claim")
    async with running(opened, VERIFY) as events:
        waiting = asyncio.ensure_future(until(events, DOWN))
        await fake.called("Claim")
        waiting.cancel()
        await asyncio.wait({waiting})


async def test_a_claim_that_is_granted_after_nobody_wants_it_is_given_back(fake: FakeFprintd, opened: Reader) -> None:
    await ended_while_claiming(fake, opened)
    assert "Release" not in fake.calls
    fake.send(frame(2, SERVICE, "", [], reply_to=fake.serials["Claim"]))
    await fake.called("Release")


@pytest.mark.parametrize("account", ["sub_1", "sub_2"])
async def test_a_claim_that_is_granted_in_sleep_is_given_back_at_waking(
    fake: FakeFprintd, opened: Reader, account: str
) -> None:
    """The lock before a suspend ends an operation whose sensor is just being opened. Never used for somebody else."""
    await ended_while_claiming(fake, opened)
    fake.silent.clear()
    async with running(opened, Verify(NONCE, account)) as events:
        waiting = asyncio.ensure_future(until(events, DOWN))
        granted = frame(2, SERVICE, "", [], reply_to=fake.serials["Claim"])
        fake.send(fake.sleep(True) + granted)
        while opened._claim.account != "sub_1":  # type: ignore[attr-defined]  # noqa: ASYNC110  # nothing is said
            await asyncio.sleep(0.001)
        assert not {"Release", "VerifyStart"} & set(fake.calls)
        fake.send(fake.sleep(False))
        await waiting
    assert fake.calls.index("VerifyStart") > fake.calls.index("Release") or account == "sub_1"
    assert fake.accounts == list(dict.fromkeys(["sub_1", account]))


@pytest.mark.parametrize("sender", [LIAR, SERVICE, BUS])
async def test_nobody_but_logind_says_that_the_machine_sleeps(fake: FakeFprintd, opened: Reader, sender: str) -> None:
    async with running(opened, VERIFY) as events:
        await until(events, DOWN)
        fake.send(fake.sleep(True, sender=sender) + fake.status("verify-unknown-error"))
        await until(events, DOWN)


async def test_the_claim_is_kept_in_sleep_and_given_back_at_waking(fake: FakeFprintd, opened: Reader) -> None:
    async with running(opened, VERIFY) as events:
        await until(events, DOWN)
        fake.send(fake.sleep(True) + fake.status("verify-unknown-error"))
        waiting = asyncio.ensure_future(until(events, "never"))
        await fake.called("VerifyStop")
        waiting.cancel()
        await asyncio.wait({waiting})
    assert "Release" not in fake.calls
    fake.send(fake.sleep(False))
    await fake.called("Release")
    assert fake.calls.count("Claim") == 1


async def test_a_claim_kept_in_sleep_is_never_used_for_somebody_else(fake: FakeFprintd, opened: Reader) -> None:
    """Else the one person's finger would be taken for the other's."""
    async with running(opened, VERIFY) as events:
        await until(events, DOWN)
        fake.send(fake.sleep(True) + fake.status("verify-unknown-error"))
        waiting = asyncio.ensure_future(until(events, "never"))
        await fake.called("VerifyStop")
        waiting.cancel()
        await asyncio.wait({waiting})
    async with running(opened, Verify(NONCE, "sub_2")) as events:
        waiting = asyncio.ensure_future(until(events, DOWN))
        await asyncio.sleep(0)
        fake.send(fake.sleep(False))
        await waiting
    assert fake.accounts == ["sub_1", "sub_2"]


async def test_after_sleep_the_verification_is_started_again(fake: FakeFprintd, opened: Reader) -> None:
    async with running(opened, VERIFY) as events:
        await until(events, DOWN)
        fake.send(fake.sleep(True) + fake.status("verify-unknown-error"))
        waiting = asyncio.ensure_future(until(events, DOWN))
        await fake.called("VerifyStop")
        assert fake.calls.count("VerifyStart") == 1
        fake.send(fake.sleep(False))
        await waiting
        fake.send(fake.status(MATCH))
        await until(events, Claimed)


async def test_without_logind_it_serves_all_the_same(fake: FakeFprintd) -> None:
    fake.errors["Get"] = f"{BUS}.Error.UnknownMethod"
    reader = READER({"bus": str(fake.path)})
    await reader.open()
    async with running(reader, VERIFY) as events:
        await until(events, DOWN)
        fake.send(fake.owned("", LOGIND))
        await nothing_but(fake, events)
    await reader.close()


async def test_a_long_wait_is_spent_off_the_bus(
    fake: FakeFprintd, opened: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service ends, and with it a sensor that it can open no more, once nobody is there for 30 s."""
    assert 30 < LAST_S < 40
    monkeypatch.setattr("authd_drivers.fprintd.reader.STEADY_S", 0.0)
    fake.errors["Claim"] = "net.reactivated.Fprint.Error.Internal"
    async with running(opened, VERIFY) as events:
        waiting = asyncio.ensure_future(until(events, DOWN))
        await fake.called("Claim", 3)
        del fake.errors["Claim"]
        await waiting
    assert fake.connections >= 3


async def test_an_enrolled_finger_is_never_replaced(fake: FakeFprintd, opened: Reader) -> None:
    fake.fingers = ["left-thumb"]
    async with running(opened, Enroll(NONCE, "sub_1", "left_thumb")) as events:
        assert await until(events, Denied) == Denied(Denial.DUPLICATE, NONCE)
    assert "EnrollStart" not in fake.calls


async def test_the_end_of_the_bus_is_removed(fake: FakeFprintd, opened: Reader) -> None:
    async with running(opened, VERIFY) as events:
        await until(events, DOWN)
        fake.hang_up()
        assert (await fails(events)).fault is Fault.REMOVED


# Hostile words: one declared error each.

_LONG = "a" * 5_000
_BAD_REPLIES: dict[str, list[tuple[str, list[Any]]]] = {
    "GetDefaultDevice": [("s", ["/net"]), ("o", ["/etc"]), ("o", ["/" + _LONG]), ("", []), ("oo", ["/a", "/b"])],
    "GetNameOwner": [("u", [7]), ("as", [[":1.7"]]), ("s", [_LONG])],
    "Get": [("v", [Variant("s", "yes")]), ("b", [True]), ("v", [Variant("v", Variant("b", True))])],
    "ListEnrolledFingers": [
        ("as", [[]]),
        ("as", [["any"]]),
        ("as", [["left-thumb"] * 2]),
        ("as", [["left-thumb"] * 10_000]),
        ("s", ["left-thumb"]),
    ],
}


@pytest.mark.parametrize(("member", "reply"), [(key, reply) for key, each in _BAD_REPLIES.items() for reply in each])
async def test_a_reply_that_is_none_is_one_error(fake: FakeFprintd, member: str, reply: tuple[str, list[Any]]) -> None:
    fake.replies[member] = reply
    reader = READER({"bus": str(fake.path)})

    async def used() -> None:
        await reader.open()
        async with running(reader, VERIFY) as events:
            await until(events, DOWN)

    with pytest.raises(DriverError) as caught:
        await used()
    assert caught.value.fault is Fault.PROTOCOL
    await reader.close()


@pytest.mark.parametrize(
    ("member", "signature", "body"),
    [
        ("VerifyStatus", "s", [MATCH]),
        ("VerifyStatus", "sbs", [MATCH, True, ""]),
        ("VerifyStatus", "ss", [MATCH, "true"]),
        ("VerifyStatus", "sb", [MATCH, False]),
        ("VerifyStatus", "sb", [NO_MATCH, False]),
        ("VerifyStatus", "sb", ["verify-retry-scan", True]),
        ("VerifyStatus", "sb", ["verify-" + _LONG, True]),
        ("VerifyStatus", "sb", ["verify-match\u202e", True]),
        ("VerifyStatus", "sb", ["verify-matched", True]),
        ("VerifyStatus", "vb", [Variant("s", MATCH), True]),
        ("VerifyFingerSelected", "s", ["nose"]),
        ("VerifyFingerSelected", "as", [["any"]]),
    ],
)
async def test_a_signal_that_is_none_is_one_error(
    fake: FakeFprintd, opened: Reader, member: str, signature: str, body: list[Any]
) -> None:
    async with running(opened, VERIFY) as events:
        await until(events, DOWN)
        fake.send(fake.signal(member, signature, *body))
        assert (await fails(events)).fault is Fault.PROTOCOL


async def test_a_service_that_says_too_much_is_one_error(fake: FakeFprintd, opened: Reader) -> None:
    async with running(opened, VERIFY) as events:
        await until(events, DOWN)
        fake.send(fake.finger(True) * 2_000)
        await asyncio.sleep(0.2)  # nobody listens meanwhile, and what waits is bounded
        assert (await fails(events)).fault is Fault.PROTOCOL


@pytest.mark.parametrize("data", [b"\0" * 4096, b"\xff" * 4096, b"HTTP/1.1 400\r\n\r\n", b"l\4\1\1" + b"\xff" * 60])
async def test_bytes_that_are_no_message_are_the_end_of_the_bus(fake: FakeFprintd, opened: Reader, data: bytes) -> None:
    """The bus itself speaks nonsense: nothing it says can be believed."""
    async with running(opened, VERIFY) as events:
        await until(events, DOWN)
        fake.send(data)
        assert (await fails(events)).fault is Fault.PROTOCOL


async def test_a_bus_that_is_none_is_one_error(tmp_path: Path) -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\xff" * 70_000)
        writer.close()

    server = await asyncio.start_unix_server(nonsense, tmp_path / "bus")
    with pytest.raises(DriverError) as caught:
        await READER({"bus": str(tmp_path / "bus")}).open()
    assert caught.value.fault in (Fault.PROTOCOL, Fault.NOT_PERMITTED, Fault.REMOVED)
    server.close()


class _Sensor(Device):
    def __init__(self, fake: FakeFprintd) -> None:
        self.fake = fake

    def reader(self) -> Reader:
        return READER({"bus": str(self.fake.path)})

    async def touch(self) -> None:
        self.fake.after["VerifyStart"] = self.fake.finger(True)

    async def unplug(self) -> None:
        self.fake.send(self.fake.gone())

    async def plug(self) -> None:
        self.fake.device = "/net/reactivated/Fprint/Device/0"


class TestConformance(Common):
    """What every driver must do; what is only of those that take samples does not fit."""

    OP = VERIFY

    @pytest.fixture
    def device(self, fake: FakeFprintd) -> Device:
        return _Sensor(fake)


async def test_watching_says_how_the_finger_is_without_a_claim(fake: FakeFprintd, opened: Reader) -> None:
    async with running(opened, Watch()) as events:
        await until(events, DOWN)
        fake.send(fake.finger(True) + fake.finger(False))
        assert await until(events, StateChange) == StateChange(State.FINGER_DOWN)
        assert await until(events, StateChange) == StateChange(State.FINGER_UP)
    assert "Claim" not in fake.calls


async def test_the_nonce_is_the_one_that_was_asked_with(fake: FakeFprintd, opened: Reader) -> None:
    async with running(opened, VERIFY) as events:
        await until(events, DOWN)
    async with running(opened, Verify(OTHER, "sub_1")) as events:
        await until(events, DOWN)
        fake.send(fake.status(MATCH))
        event = await until(events, Claimed)
        assert isinstance(event, Claimed)
        assert (event.nonce, read_claimed(event.data).nonce) == (OTHER, OTHER)
