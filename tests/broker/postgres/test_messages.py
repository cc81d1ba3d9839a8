from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authd.broker.postgres import messages
from authd.broker.postgres.messages import Cancel, Encrypt, Malformed, Startup

STARTUP = messages.startup({"user": "resident_app", "database": "resident", "client_encoding": "SJIS"})


def packet(code: int, body: bytes) -> bytes:
    return struct.pack("!II", 8 + len(body), code) + body


def test_a_startup_is_read_as_it_was_written() -> None:
    assert messages.opening(STARTUP + b"Q") == (
        Startup({"user": "resident_app", "database": "resident", "client_encoding": "SJIS"}),
        b"Q",
    )


def test_a_name_in_another_encoding_goes_on_as_it_came() -> None:
    name = "住民".encode("cp932")
    found = messages.opening(packet(3 << 16, b"user\0a\0database\0" + name + b"\0\0"))
    assert found is not None
    opening = found[0]
    assert isinstance(opening, Startup)
    assert name in messages.startup(opening.parameters)


@pytest.mark.parametrize("cut", range(len(STARTUP)))
def test_what_has_not_come_whole_is_waited_for(cut: int) -> None:
    assert messages.opening(STARTUP[:cut]) is None


def test_questions_for_encryption_and_cancellations() -> None:
    assert messages.opening(messages.ask_tls()) == (Encrypt(), b"")
    assert messages.opening(packet(messages.GSS_ASKED, b"")) == (Encrypt(gss=True), b"")
    asked = Cancel(4711, b"\1\2\3\4")
    assert messages.opening(messages.cancel(asked)) == (asked, b"")
    assert "1" not in repr(Cancel(4, b"\1\2\3\4")).replace("4", "")


def test_a_newer_minor_version_is_told_of_3_0() -> None:
    found = messages.opening(packet(3 << 16 | 2, b"user\0a\0_pq_.x\0on\0\0"))
    assert found is not None
    opening = found[0]
    assert isinstance(opening, Startup)
    assert (opening.minor, opening.extensions) == (2, ["_pq_.x"])
    assert messages.only_version_3_0(opening.extensions) == b"v\0\0\0\x13\0\0\0\0\0\0\0\1_pq_.x\0"


@pytest.mark.parametrize(
    "bad",
    [
        struct.pack("!II", 7, 3 << 16),
        struct.pack("!II", 10_001, 3 << 16),
        packet(2 << 16, b"user\0a\0\0"),
        packet(4 << 16, b"user\0a\0\0"),
        packet(3 << 16, b"user\0a\0"),
        packet(3 << 16, b"user\0\0"),
        packet(3 << 16, b"user"),
        packet(3 << 16, b"\0a\0\0"),
        packet(3 << 16, b"user\0a\0user\0b\0\0"),
        packet(3 << 16, b"a\0b\0" * 65 + b"\0"),
        packet(messages.SSL_ASKED, b"x"),
        packet(messages.CANCEL_ASKED, b"\0\0\0\1"),
        packet(messages.CANCEL_ASKED, b"\0" * 261),
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_anything_else_is_malformed(bad: bytes) -> None:
    with pytest.raises(Malformed):
        messages.opening(bad)


@given(st.lists(st.tuples(st.sampled_from([b"S", b"K", b"Z"]), st.binary(max_size=40))), st.integers(0, 100))
def test_messages_are_cut_where_they_end(sent: list[tuple[bytes, bytes]], at: int) -> None:
    whole = b"".join(messages.message(*each) for each in sent)
    first, rest = messages.split(whole[:at])
    second, left = messages.split(rest + whole[at:])
    assert [(each.letter, each.body) for each in first + second] == sent
    assert left == b""


def test_a_message_that_sign_on_has_no_use_for_is_not_collected() -> None:
    with pytest.raises(Malformed):
        messages.split(b"S" + struct.pack("!I", 65_537))
    with pytest.raises(Malformed):
        messages.split(b"S" + struct.pack("!I", 3))


def test_an_answer_is_over_with_its_last_bytes() -> None:
    ready = messages.message(b"Z", b"I")
    assert messages.at_rest(b"rows" + ready)
    assert not messages.at_rest(ready[:-1])
    assert not messages.at_rest(messages.message(b"Z", b"x"))
    assert not messages.at_rest(b"")


def test_an_error_s_code_is_read_and_nothing_else() -> None:
    assert messages.error_code(b"SFATAL\0C28P01\0Mpassword of somebody\0\0") == "28P01"
    assert messages.error_code(b"\0") == ""
