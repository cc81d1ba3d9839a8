"""What keys mean at the locked screen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from authd.agent.keyboard import MOST, Action, Typing


def typing(wanted: bool = True) -> Typing:
    keys = Typing()
    keys.asked(wanted)
    return keys


def test_what_is_typed_goes_to_whoever_asks_once() -> None:
    keys = typing()
    assert list(keys.take(b"12x\x7f34\r")) == [Action(typed="1234")]
    assert keys.length == 0
    assert list(keys.take(b"\r\n\r")) == []


def test_where_nothing_asks_nothing_is_kept() -> None:
    keys = typing(wanted=False)
    assert list(keys.take(b"password\r\n\x1b")) == []
    keys.asked(wanted=True)
    assert list(keys.take(b"\r")) == []


def test_escape_drops_and_another_question_forgets() -> None:
    keys = typing()
    assert list(keys.take(b"12\x1b34\r")) == [Action(typed="34")]
    assert list(keys.take(b"99")) == []
    keys.asked(wanted=False)
    keys.asked(wanted=True)
    assert (keys.length, list(keys.take(b"1\n"))) == (0, [Action(typed="1")])


def test_characters_of_several_bytes_are_one() -> None:
    keys = typing()
    assert list(keys.take("鍵あ".encode())) == []
    assert keys.length == 2
    assert list(keys.take(b"\x08\n")) == [Action(typed="鍵")]


def test_help_is_asked_for_only_where_nothing_is_typed() -> None:
    assert list(typing(wanted=False).take(b"\x16\x02")) == [Action(button="vouch"), Action(button="break_glass")]
    assert list(typing().take(b"\x16\x02")) == []


@given(st.binary(max_size=2_000), st.booleans())
def test_no_bytes_break_it_and_nothing_grows(data: bytes, wanted: bool) -> None:
    keys = typing(wanted)
    for action in keys.take(data):
        assert action.typed is None or 0 < len(action.typed.encode()) <= MOST
    assert keys.length <= MOST
