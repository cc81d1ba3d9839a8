from __future__ import annotations

import contextlib
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authd.core.model import Denial, Fault, Hint, PromptId
from authd.driver import (
    Capture,
    Claimed,
    Confirm,
    Delete,
    Denied,
    Enroll,
    Enrolled,
    Feedback,
    Identifier,
    NoMatch,
    Probe,
    Progress,
    Proof,
    Roster,
    State,
    StateChange,
    Verify,
    Watch,
)
from authd.service.host import frames
from authd.service.host.frames import (
    FROM_READER,
    FROM_VERIFIER,
    TO_READER,
    TO_VERIFIER,
    Frame,
    FrameError,
    encode,
    parse,
)
from authd.service.host.grants import Grants, Limits
from authd.service.seal import SealedTemplate, WrappedKey

NONCE = "ab" * 16
SAMPLES: list[tuple[frames.Message, frames.Table]] = [
    (frames.Hello(("landlock",), ()), FROM_READER),
    (frames.Opened(), FROM_READER),
    (frames.Beat(), FROM_READER),
    (frames.Failed(Fault.REMOVED, "gone"), FROM_READER),
    (frames.Closed(), FROM_READER),
    (frames.Ended(), FROM_READER),
    (StateChange(State.FINGER_DOWN), FROM_READER),
    (Feedback(Hint.DRY), FROM_READER),
    (Progress(0.5), FROM_READER),
    (Probe(b"x", 0.5, NONCE), FROM_READER),
    (Probe(bytes(60_000), 1.0, NONCE, 0.25), FROM_READER),
    (NoMatch(NONCE), FROM_READER),
    (Proof(bytes(60_000), NONCE, "x" * 64, silent=True), FROM_READER),
    (Claimed("sub_a", NONCE, b"x"), FROM_READER),
    (Identifier(b"x", NONCE, "a"), FROM_READER),
    (Denied(Denial.BLOCKED, NONCE), FROM_READER),
    (Enrolled(b"x", NONCE), FROM_READER),
    (StateChange(State.CREDENTIAL_INSERTED, "x" * 64), FROM_READER),
    (frames.Asked(PromptId.PIN, 8, again=True), FROM_READER),
    (frames.Unasked(), FROM_READER),
    (frames.Spoiled("tpl_1@1"), FROM_VERIFIER),
    (frames.Loaded({"vein": 3}, {"vein": 1e-6}, {"vein": (Roster(20, 2, 1e-5, 0.1),)}), FROM_VERIFIER),
    (frames.Answer("sub_a", "tpl_1@1", 0.5, 0.25), FROM_VERIFIER),
    (frames.Answer("sub_a", "tpl_1@1+tpl_2@1", 0.5, 0.25, fingers=(2, 8), another=True, again=True), FROM_VERIFIER),
    (frames.Refused("dry"), FROM_VERIFIER),
    (frames.Verdict("sub_a", "tpl_1@1", ("key", "pin"), "A", 2**32 - 1, credential=b"id"), FROM_VERIFIER),
    (frames.Verdict("sub_a", "tpl_1@1", denial=Denial.CLONED), FROM_VERIFIER),
    (frames.NotAdmitted(Denial.NOT_ALLOWED), FROM_VERIFIER),
    (frames.Described(b"id", "sub_a"), FROM_VERIFIER),
    (frames.Counted({"tpl_1@1": 5}), TO_VERIFIER),
    (frames.Revoked(("tpl_1@1",)), TO_VERIFIER),
    (frames.Check("fido2", b"x", NONCE, silent=True), TO_VERIFIER),
    (frames.Admit("sub_a", "fido2", "key-1", NONCE), TO_VERIFIER),
    (frames.Describe("fido2", "tpl_1@1"), TO_VERIFIER),
    (frames.Remove("sub_a", "tpl_1@1"), TO_VERIFIER),
    (WrappedKey("sub_a", b"k"), FROM_VERIFIER),
    (SealedTemplate("tpl_1", 1, "sub_a", "vein", "ri", b"s"), TO_VERIFIER),
    (frames.Load(replace=True), TO_VERIFIER),
    (frames.Remove("sub_a"), TO_VERIFIER),
    (frames.Scope(("sub_a", "sub_b")), TO_VERIFIER),
    (frames.Search("vein", b"x"), TO_VERIFIER),
    (frames.Search("vein", b"x", 2, "sub_a"), TO_VERIFIER),
    (frames.Known("vein", 3), TO_VERIFIER),
    (frames.Renew("sub_a", "vein", "tpl_1@1", b"x"), TO_VERIFIER),
    (frames.Presentation(b"x"), TO_VERIFIER),
    (frames.Enrol("sub_a", "vein", "ri"), TO_VERIFIER),
    (frames.Start(7, Grants(("/dev/video0",), limits=Limits(512)), target="x.y", settings={"a": "b"}), TO_READER),
    (frames.Close(), TO_READER),
    (frames.Cancel(), TO_READER),
    (Capture(NONCE), TO_READER),
    (Watch(), TO_READER),
    (Verify(NONCE, "sub_a"), TO_READER),
    (Confirm(NONCE, b"id"), TO_READER),
    (Enroll(NONCE, "sub_a", "right_index", (b"id",)), TO_READER),
    (Delete("sub_a"), TO_READER),
    (frames.Typed("1234"), TO_READER),
]


@pytest.mark.parametrize(("message", "table"), SAMPLES, ids=lambda each: type(each).__name__)
def test_every_message_comes_back(message: frames.Message, table: frames.Table) -> None:
    data = encode(Frame(5, message))
    assert parse(data[4:], table) == Frame(5, message)


def test_every_kind_of_every_table_is_sampled() -> None:
    sampled = {type(message).__name__ for message, _ in SAMPLES}
    assert {*FROM_READER, *FROM_VERIFIER, *TO_READER, *TO_VERIFIER} <= sampled


def body(op: Any, kind: Any, fields: Any) -> bytes:
    return msgspec.msgpack.encode((op, kind, fields))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        body(1, "Start", {"parent": 1}),  # the other direction
        body(1, "os.system", {}),
        body(-1, "Beat", {}),
        body(2**60, "Beat", {}),
        body("1", "Beat", {}),
        body(1, "Beat", {"more": 1}),
        body(1, "Beat", []),
        body(1, "Feedback", {}),
        body(1, "Feedback", {"hint": "wet paint"}),
        body(1, "StateChange", {"state": 3}),
        body(1, "Probe", {"data": "text", "quality": 1.0, "nonce": NONCE}),
        body(1, "Probe", {"data": b"x", "quality": 1.5, "nonce": NONCE}),
        body(1, "Probe", {"data": b"x", "quality": float("nan"), "nonce": NONCE}),
        body(1, "Probe", {"data": b"x", "quality": 1.0, "nonce": NONCE, "pad": -1.0}),
        body(1, "Probe", {"data": bytes(60_001), "quality": 1.0, "nonce": NONCE}),
        body(1, "Progress", {"done": float("inf")}),
        body(1, "Proof", {"data": bytes(60_001), "nonce": NONCE}),
        body(1, "Proof", {"data": b"x", "nonce": NONCE, "insertion": "x" * 65}),
        body(1, "Identifier", {"data": bytes(60_001), "nonce": NONCE}),
        body(1, "Claimed", {"reference": "x" * 5000, "nonce": NONCE}),
        body(1, "Enrolled", {"data": bytes(60_001), "nonce": NONCE}),
        body(1, "Denied", {"why": "because", "nonce": NONCE}),
        body(1, "StateChange", {"state": "credential_inserted", "insertion": "x" * 65}),
        body(1, "Asked", {"id": "pin", "left": -1}),
        body(1, "Asked", {"id": "password"}),
        body(1, "Typed", {"text": "1234"}),  # the other direction
        body(1, "Failed", {"fault": "busy", "detail": "x" * 5000}),
        body(1, "Beat", {}) + b"\x00",
        b"\x91" * 60_000,
        b"\x81\xa0" * 30_000,
        bytes(70_000),
    ],
    ids=range(33),
)
def test_anything_else_is_one_error(data: bytes) -> None:
    with pytest.raises(FrameError):
        parse(data, FROM_READER)


def any_of(data: bytes) -> None:
    """What a fuzzer calls: `parse` answers or raises its one error."""
    for table in (FROM_READER, FROM_VERIFIER, TO_READER, TO_VERIFIER):
        with contextlib.suppress(FrameError):
            parse(data, table)


@given(st.binary(max_size=300))
def test_bytes_of_any_kind(data: bytes) -> None:
    any_of(data)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=8)
    | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@given(st.integers(-5, 5), st.sampled_from(sorted({*FROM_READER, *FROM_VERIFIER, *TO_VERIFIER, *TO_READER})), JSON)
def test_values_of_any_kind_in_every_message(op: int, kind: str, fields: Any) -> None:
    any_of(body(op, kind, fields))


@given(st.sampled_from(SAMPLES), st.data())
def test_a_flipped_byte_is_a_message_or_the_one_error(
    sample: tuple[frames.Message, frames.Table], data: st.DataObject
) -> None:
    raw = bytearray(encode(Frame(1, sample[0]))[4:][:400])
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    any_of(bytes(raw))


def test_too_long_a_message_is_not_sent() -> None:
    with pytest.raises(FrameError):
        encode(Frame(1, frames.Presentation(bytes(70_000))))


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.data())
def test_the_splitter_finds_the_bodies_however_they_are_cut(bodies: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(struct.pack(">I", len(each)) + each for each in bodies)
    splitter, found = frames.Splitter(), list[bytes]()
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        found += splitter.feed(stream[:cut])
        stream = stream[cut:]
    assert found == bodies


@pytest.mark.parametrize("length", [0, 65_537, 2**32 - 1])
def test_a_length_is_checked_before_its_body(length: int) -> None:
    with pytest.raises(FrameError):
        list(frames.Splitter().feed(struct.pack(">I", length)))


def test_what_was_typed_is_in_no_repr() -> None:
    assert "1234" not in repr(Frame(1, frames.Typed("1234")))


def test_too_much_typing_is_refused() -> None:
    with pytest.raises(FrameError) as refused:
        parse(body(1, "Typed", {"text": "9" * 65}), TO_READER)
    assert "9" not in str(refused.value)


@pytest.mark.parametrize("counter", [-1, 2**32])
def test_a_counter_that_no_key_has_is_refused(counter: int) -> None:
    with pytest.raises(FrameError):
        parse(body(1, "Verdict", {"counter": counter}), FROM_VERIFIER)
