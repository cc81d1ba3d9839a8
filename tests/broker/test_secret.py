import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authd.broker.secret import ALPHABETS, Secret, Shape


def test_a_secret_never_shows_itself() -> None:
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {[secret]} {secret!s:>40}"


def test_a_secret_is_not_pickled() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Secret("hunter2"))


@pytest.mark.parametrize("text", ["", "a\nb", "a\0b", "a\x7fb", "\ud800", "x" * 1_025, "a\u2028b"])
def test_what_no_system_could_take_is_refused_without_saying_it(text: str) -> None:
    with pytest.raises(ValueError) as told:
        Secret(text)
    assert not text or text not in str(told.value)


def test_same() -> None:
    assert Secret("a").same(Secret("a"))
    assert not Secret("a").same(Secret("b"))


@given(st.sampled_from(sorted(ALPHABETS)), st.integers(9, 256))
def test_a_new_password_has_its_shape(alphabet: str, length: int) -> None:
    made = Shape(length, alphabet).make().reveal()
    assert len(made) == length
    assert set(made) <= set(ALPHABETS[alphabet])
    assert alphabet == "digits" or made[0].isalpha()


@pytest.mark.parametrize(
    ("length", "alphabet"), [(0, "digits"), (8, "digits"), (257, "letters"), (4, "letters"), (20, "kana")]
)
def test_a_shape_that_can_be_guessed_is_refused(length: int, alphabet: str) -> None:
    with pytest.raises(ValueError):
        Shape(length, alphabet)


def test_no_two_are_the_same() -> None:
    assert len({Shape(8, "upper+digits").make().reveal() for _ in range(200)}) == 200
