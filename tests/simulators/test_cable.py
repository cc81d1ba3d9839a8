import pytest
from hypothesis import given
from hypothesis import strategies as st

from authd.driver import DriverError, Fault
from authd_simulators.cable.plug import Plug
from authd_simulators.cable.wire import (
    MAX_ANSWER,
    MAX_ASK,
    Ask,
    CableError,
    Say,
    Want,
    frame,
    frame_length,
    image_size,
    pack_ask,
    pack_image,
    parse_answer,
    parse_ask,
)


def test_a_question_survives_the_cable() -> None:
    ask = Ask(Want.PRESENCE, 77, b"?")
    data = pack_ask(ask)
    assert frame_length(data[:4], MAX_ASK) == len(data) - 4
    assert parse_ask(data[4:]) == ask


def test_a_picture_survives_the_cable() -> None:
    data = pack_image(5, 3, 2, b"abcdef")
    answer = parse_answer(memoryview(data)[4:])
    width, height, start = image_size(answer.body)
    assert (answer.say, answer.number, width, height, bytes(answer.body[start:])) == (Say.IMAGE, 5, 3, 2, b"abcdef")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0\3",
        b"\0\0\0\2\x08",
        b"\0\3\0\2\x101abcdef",
        b"\0\3\0\2\x08xabcdef",
        b"\0\3\0\2\x081abcde",
        b"\0\3\0\2\x081abcdefg",
        b"\xff\xff\0\1\x081",
    ],
)
def test_a_picture_whose_header_lies_is_refused(body: bytes) -> None:
    with pytest.raises(CableError):
        image_size(bytearray(body))


@pytest.mark.parametrize("length", [0, 4, MAX_ANSWER + 1, 2**32 - 1])
def test_a_length_out_of_bounds_is_refused_before_anything_is_read(length: int) -> None:
    with pytest.raises(CableError):
        frame_length(length.to_bytes(4, "big"), MAX_ANSWER)


@given(st.lists(st.binary(max_size=400), max_size=20))
def test_a_plug_takes_any_bytes_for_a_protocol_fault_at_worst(chunks: list[bytes]) -> None:
    plug = Plug()
    for chunk in chunks:
        room = plug.get_buffer(-1)
        room[: len(chunk)] = chunk
        plug.buffer_updated(len(chunk))
    trouble = plug.trouble
    assert trouble is None or trouble.fault in (Fault.PROTOCOL, Fault.BUSY, Fault.SUSPENDED)


def test_answers_nobody_asked_for_are_bounded() -> None:
    plug = Plug()
    for number in range(100):
        data = frame(Say.UP.value + bytes(4) + bytes([number]))
        plug.get_buffer(-1)[: len(data)] = data
        plug.buffer_updated(len(data))
    assert plug.trouble is not None
    assert plug.waiting == 0


def test_an_answer_to_another_question_is_dropped_at_once() -> None:
    plug = Plug()
    data = frame(Say.IMAGE.value + (9).to_bytes(4, "big") + b"pixels")
    plug.get_buffer(-1)[: len(data)] = data
    plug.buffer_updated(len(data))
    assert plug.waiting == 0
    assert plug.trouble is None


def test_nothing_of_a_picture_stays_in_the_plugs_buffer() -> None:
    plug = Plug()
    data = pack_image(0, 100, 100, b"\xa5" * 10_000)
    plug.get_buffer(-1)[: len(data)] = data
    plug.buffer_updated(len(data))
    assert b"\xa5" not in bytes(plug.get_buffer(-1))
    assert plug.waiting == 1


async def test_no_cable_is_a_removed_device() -> None:
    with pytest.raises(DriverError) as caught:
        await Plug.connect("/nonexistent/vein-1.cable")
    assert caught.value.fault is Fault.REMOVED
