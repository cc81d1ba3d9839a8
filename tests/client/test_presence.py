from __future__ import annotations

from authd.client.presence import GOOD_FOR, Cache
from authd.client.values import Person
from authd.core.model import SECOND, Grade, Instant, SeatId, SessionId, SubjectId

START = Instant(100 * SECOND)
SATO = Person(SeatId("one"), SessionId("ses_1"), SubjectId("sub_sato"), Grade.MATCHED, "")


def known() -> Cache:
    cache = Cache()
    cache.beat(START)
    cache.put("one", SATO, cache.turn)
    return cache


def test_an_answer_is_good_for_two_seconds_beyond_the_last_beat() -> None:
    cache = known()
    assert cache.get("one") == SATO
    assert cache.knows("one", Instant(START + GOOD_FOR - 1))
    assert not cache.knows("one", Instant(START + GOOD_FOR))
    cache.beat(Instant(START + SECOND))
    assert cache.knows("one", Instant(START + GOOD_FOR))


def test_nothing_is_believed_before_the_first_beat() -> None:
    cache = Cache()
    cache.put("one", SATO, cache.turn)
    assert not cache.knows("one", START)
    assert cache.left(START) is None


def test_that_nobody_is_there_is_remembered_too() -> None:
    cache = known()
    cache.put("two", None, cache.turn)
    assert cache.knows("two", START)
    assert cache.get("two") is None


def test_whatever_happens_at_a_seat_makes_its_answer_void() -> None:
    cache = known()
    cache.put("two", None, cache.turn)
    cache.happened("one")
    assert not cache.knows("one", START)
    assert cache.knows("two", START)
    cache.happened(None)
    assert not cache.knows("two", START)


def test_an_answer_overtaken_by_the_lock_is_not_believed() -> None:
    cache = known()
    turn = cache.turn
    cache.happened("one", ended="ses_1")
    assert cache.put("one", SATO, turn) is None
    assert cache.put("one", SATO, cache.turn) is None
    assert not cache.knows("one", START)


def test_an_answer_from_before_something_happened_is_not_kept() -> None:
    cache = known()
    turn = cache.turn
    cache.happened("one")
    cache.put("one", SATO, turn)
    assert not cache.knows("one", START)


def test_a_lost_connection_is_nobody_at_once() -> None:
    cache = known()
    cache.lost()
    assert not cache.knows("one", START)
    assert cache.left(START) is None
