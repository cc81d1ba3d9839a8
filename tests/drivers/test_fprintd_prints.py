"""Names and records of prints, and the messages of the bus: what is not of their format is one error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authd.core.model import FINGERS as OUR_FINGERS
from authd.driver import DriverError, Fault
from authd_drivers.fprintd import messages
from authd_drivers.fprintd.messages import Finger, Gone, Owner, Selected, Sleep, Status
from authd_drivers.fprintd.prints import (
    FINGERS,
    Match,
    Print,
    claimed,
    credential,
    enrolled,
    finger_named,
    read_claimed,
    read_credential,
    read_enrolled,
    read_reference,
)
from tests.drivers.fake_fprintd import FakeFprintd, frame

WHO = Print("sub_1", "left-thumb")


def test_authds_fingers_are_fprintds_in_the_same_order() -> None:
    assert tuple(map(finger_named, OUR_FINGERS)) == FINGERS
    assert tuple(map(finger_named, FINGERS)) == FINGERS


@pytest.mark.parametrize("text", ["", "any", "nose", "left", "left_", "left_thumb_", "left-thumb-finger", "LEFT_THUMB"])
def test_what_is_no_finger_is_refused(text: str) -> None:
    with pytest.raises(DriverError):
        finger_named(text)


def test_a_reference_is_an_account_with_or_without_a_finger() -> None:
    assert read_reference("sub_1") == Print("sub_1")
    assert read_reference(WHO.name) == WHO


def test_what_is_written_is_read() -> None:
    assert read_credential(credential(WHO)) == WHO
    assert read_enrolled(enrolled(WHO, "n")) == (WHO, "n")
    match = Match(Print("sub_1"), ("left-thumb", "right-index-finger"), "n")
    assert read_claimed(claimed(match)) == match


_GOOD: dict[str, Any] = {"account": "sub_1", "finger": "left-thumb", "fingers": ["left-thumb"], "nonce": "n"}


@pytest.mark.parametrize(
    "change",
    [
        {"account": "../x"},
        {"account": 7},
        {"account": ""},
        {"finger": "any"},
        {"finger": None},
        {"finger": "right-thumb"},
        {"fingers": []},
        {"fingers": "left-thumb"},
        {"fingers": ["left-thumb", "left-thumb"]},
        {"fingers": ["left-thumb"] * 100_000},
        {"fingers": [["left-thumb"]]},
        {"nonce": ""},
        {"nonce": "a b"},
        {"nonce": "n" * 300},
        {"more": 1},
    ],
)
def test_a_record_that_is_none_is_one_error(change: dict[str, Any]) -> None:
    with pytest.raises(DriverError) as caught:
        read_claimed(json.dumps(_GOOD | change).encode())
    assert caught.value.fault is Fault.PROTOCOL


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"7", b"\xff", b"[" * 4_000, b'{"account":"sub_1"}', b" " * 5_000])
@pytest.mark.parametrize("read", [read_claimed, read_enrolled, read_credential])
def test_bytes_that_are_no_record_are_one_error(read: Any, data: bytes) -> None:
    with pytest.raises(DriverError) as caught:
        read(data)
    assert caught.value.fault is Fault.PROTOCOL


@given(st.binary(max_size=400))
@settings(deadline=None)
def test_any_bytes_are_a_record_or_one_error(data: bytes) -> None:
    for read in (read_claimed, read_enrolled, read_credential):
        try:
            read(data)
        except DriverError as error:
            assert error.fault is Fault.PROTOCOL  # noqa: PT017  # a value is as good


@given(st.binary(max_size=400))
@settings(deadline=None)
def test_any_bytes_are_a_message_or_one_error(data: bytes) -> None:
    try:
        messages.parse(data)
    except DriverError as error:
        assert error.fault is Fault.PROTOCOL  # noqa: PT017  # a value is as good


FAKE = FakeFprintd.__new__(FakeFprintd)
FAKE.owner, FAKE.device, FAKE.asleep = ":1.7", "/net/reactivated/Fprint/Device/0", False


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (FAKE.status("verify-match"), Status("Verify", "verify-match", True)),
        (FAKE.status("enroll-stage-passed", False, "Enroll"), Status("Enroll", "enroll-stage-passed", False)),
        (FAKE.signal("VerifyFingerSelected", "s", "any"), Selected("any")),
        (FAKE.finger(True), Finger(True, None)),
        (FAKE.owned(":1.9"), Owner("net.reactivated.Fprint", ":1.9")),
        (FAKE.sleep(True), Sleep(True)),
        (FAKE.gone(), Gone("/net/reactivated/Fprint/Device/0")),
        (FAKE.signal("SomethingElse", "s", "x"), None),
        (frame(2, ":1.7", "s", ["x"], reply_to=1), None),
    ],
)
def test_messages_are_what_they_say(data: bytes, said: object) -> None:
    assert messages.parse(data) == said


@given(st.integers(0, 10_000), st.integers(0, 255))
@settings(deadline=None, max_examples=300)
def test_a_message_with_one_byte_changed_is_one_or_one_error(place: int, value: int) -> None:
    data = bytearray(FAKE.status("verify-match"))
    data[place % len(data)] = value
    try:
        messages.parse(bytes(data))
    except DriverError as error:
        assert error.fault is Fault.PROTOCOL  # noqa: PT017  # a value is as good


def test_a_message_that_is_too_long_is_not_parsed() -> None:
    with pytest.raises(DriverError):
        messages.parse(FAKE.signal("VerifyFingerSelected", "s", "a" * 70_000))
