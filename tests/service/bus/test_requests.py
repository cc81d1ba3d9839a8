from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authd.service.bus import requests, wire
from authd.service.bus.house import Error

WHO = b'{"id":1,"verb":"who","seat":"counter-1"}'


def test_a_request_is_read() -> None:
    assert requests.decode(WHO) == wire.Who(id=1, seat="counter-1")


def test_history_has_from_and_to() -> None:
    call = requests.decode(b'{"id":1,"verb":"history","seat":"s","from":"a","to":"b"}')
    assert call == wire.History(id=1, seat="s", start="a", end="b")


@pytest.mark.parametrize(
    ("frame", "error", "number"),
    [
        (b"", Error.BAD_REQUEST, None),
        (b"null", Error.BAD_REQUEST, None),
        (b"[]", Error.BAD_REQUEST, None),
        (b'{"id":1}', Error.BAD_REQUEST, None),
        (b'{"verb":"who","seat":"s"}', Error.BAD_REQUEST, None),
        (b'{"id":-1,"verb":"ping"}', Error.BAD_REQUEST, None),
        (b'{"id":1.5,"verb":"ping"}', Error.BAD_REQUEST, None),
        (b'{"id":9007199254740992,"verb":"ping"}', Error.BAD_REQUEST, None),
        (b'{"id":"1","verb":"ping"}', Error.BAD_REQUEST, None),
        (b'{"id":1,"verb":"open"}', Error.UNKNOWN_VERB, 1),
        (b'{"id":1,"verb":"WHO","seat":"s"}', Error.UNKNOWN_VERB, 1),
        (b'{"id":1,"verb":"who"}', Error.BAD_REQUEST, 1),
        (b'{"id":1,"verb":"who","seat":"s","role":"admin"}', Error.BAD_REQUEST, 1),
        (b'{"id":1,"verb":"press","seat":"s","button":"unlock"}', Error.BAD_REQUEST, 1),
        (WHO + WHO, Error.BAD_REQUEST, None),
        (b'{"id":1,"verb":"who","seat":"\xff"}', Error.BAD_REQUEST, 1),
        (b"\xef\xbb\xbf" + WHO, Error.BAD_REQUEST, None),
    ],
)
def test_anything_else_is_refused(frame: bytes, error: Error, number: int | None) -> None:
    with pytest.raises(requests.Malformed) as caught:
        requests.decode(frame)
    assert (caught.value.error, caught.value.id) == (error, number)


@pytest.mark.parametrize("name", ["", "../x", "a b", "a/b", r"a\n", r"a\u0000", r"\u202ea", "a" * 65, "é", r"a\r"])
def test_a_name_is_one_plain_word(name: str) -> None:
    with pytest.raises(requests.Malformed):
        requests.decode(b'{"id":1,"verb":"who","seat":"%b"}' % name.encode())


@pytest.mark.parametrize("text", [r"two\nlines", r"end\n", r"\u001b[31m", r"\u202eright", r"\u2028", "x" * 201])
def test_a_text_is_one_line_in_one_direction(text: str) -> None:
    with pytest.raises(requests.Malformed):
        requests.decode(b'{"id":1,"verb":"step_up","session":"s","purpose":"%b"}' % text.encode())


def test_size_and_depth_are_bounded() -> None:
    padded = WHO + b" " * (wire.LONGEST - len(WHO))
    assert requests.decode(padded)
    with pytest.raises(requests.Malformed, match="64 kB"):
        requests.decode(padded + b" ")
    for deep in (b"[" * 60_000, b'{"id":1,"verb":"ping","x":' + b"[" * 60_000, b'{"a":' * 12_000):
        with pytest.raises(requests.Malformed):
            requests.decode(deep)


def test_nothing_but_declared_errors_for_any_bytes() -> None:
    @given(st.binary(max_size=200) | st.text(st.characters(codec="utf-8"), max_size=100).map(str.encode) | mutated())
    def check(frame: bytes) -> None:
        with suppress(requests.Malformed):
            assert isinstance(requests.decode(frame), wire.Call)

    check()


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good request with one byte changed or cut."""
    at = draw(st.integers(0, len(WHO) - 1))
    return WHO[:at] + draw(st.binary(max_size=2)) + WHO[at + 1 :]
