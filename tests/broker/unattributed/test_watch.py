"""The watch over one system, with an authd that the test plays."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from authd.broker.unattributed.compare import Access
from authd.broker.unattributed.postgresql import MayNotEnd
from authd.broker.unattributed.settings import Postgresql, System, Weblog
from authd.broker.unattributed.watch import MOST_OPEN, QUIET_MS, UNTOLD_MS, News, Watch, iso
from authd.client import DoorError, Gone
from authd.client.unattributed import Found, How, OpenFinding, Source, Span, Terms, Why

PATTERN = "staff_{staff_number}"
DATABASE = System("db", "postgresql", Postgresql(application="resident", connect="host=x"), None)
LOG = System("web", "weblog", Weblog(application="resident", file="/var/log/x"), None)
T0 = 1_795_493_100_000


@dataclass
class Authd:
    """Plays the door, and keeps what was said to it."""

    terms: Terms = field(default_factory=lambda: Terms(end=False, grace_s=3, pattern=PATTERN))
    sessions: list[Span] = field(default_factory=list[Span])
    error: Exception | None = None
    said: list[str] = field(default_factory=list[str])
    rows: int = 0
    late: list[Span] = field(default_factory=list[Span])
    """Sessions that the second question finds."""

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error

    async def unattributed_look(self, source: Source, *, system: str | None = None, seen: int = 0) -> Terms:
        self._fail()
        assert system == "resident"
        return self.terms

    async def unattributed_sessions(self, start: str, end: str, *, system: str | None = None) -> list[Span]:
        self._fail()
        found = list(self.sessions)
        self.sessions += self.late
        return found

    async def unattributed_found(
        self,
        source: Source,
        why: Why,
        *,
        account: str,
        address: str,
        since: str,
        place: str = "",
        count: int = 1,
        system: str | None = None,
    ) -> Found:
        self._fail()
        self.rows += 1
        self.said.append(f"found {account} {why} {count}")
        return Found(self.rows, self.terms.end)

    async def unattributed_ended(self, found: int, how: How, *, count: int = 1, system: str | None = None) -> int:
        self._fail()
        self.said.append(f"ended {found} {how} {count}")
        return self.rows


@dataclass
class World:
    authd: Authd
    watch: Watch
    news: list[News]
    cut: list[str]
    now: int = T0
    set_by: int = 0
    """How far somebody has set the wall clock."""

    def set_clock(self, by: int) -> None:
        self.now, self.set_by = self.now + by, self.set_by + by

    def heard(self) -> list[str]:
        said = [each.what for each in self.news]
        self.news.clear()
        return said


def world(system: System = DATABASE, *, ends: bool = False, dry: bool = False) -> World:
    authd, news, cut = Authd(Terms(end=ends, grace_s=3, pattern=PATTERN)), list[News](), list[str]()
    made: World

    async def end(access: Access) -> bool:
        cut.append(access.handle)
        return True

    async def soon(_seconds: float) -> None:
        made.now += 300

    watch = Watch(system, authd, news.append, lambda: made.now, end, soon, dry=dry)
    watch.clock_ms = lambda: made.now - made.set_by
    made = World(authd, watch, news, cut)
    return made


def there(account: str, handle: str = "7", address: str = "10.0.0.5") -> Access:
    return Access(account, address, "db/residents", T0 - 60_000, T0, handle=handle)


def sato(end: str | None = None) -> Span:
    return Span("ses_a", "sub_1", "counter-1", "staff_1001", iso(T0 - 120_000), end)


async def test_what_belongs_to_a_session_is_left_alone() -> None:
    at = world(ends=True)
    at.authd.sessions = [sato()]
    assert await at.watch.step([there("staff_1001")]) == []
    assert (at.authd.said, at.cut, at.news) == ([], [], [])


async def test_a_session_that_is_just_being_recorded_is_waited_for() -> None:
    at = world(ends=True)
    at.authd.late = [sato()]
    assert await at.watch.step([there("staff_1001")]) == []
    assert at.cut == []


async def test_it_is_recorded_once_and_then_ended_by_the_policy() -> None:
    at = world(ends=True)
    await at.watch.step([there("juki", "7"), there("juki", "8")])
    assert (at.authd.said, at.cut) == (["found juki shared 2"], ["7", "8"])
    await at.watch.step([there("juki", "9")])  # it has come back
    assert at.authd.said == ["found juki shared 2"]
    await at.watch.step([])
    assert at.authd.said[1:] == ["ended 1 cut 3"]
    assert at.heard() == ["found", "ended"]
    await at.watch.step([])
    assert len(at.authd.said) == 2


async def test_without_the_policy_nothing_is_ended() -> None:
    at = world()
    await at.watch.step([there("juki")])
    await at.watch.step([])
    assert (at.cut, at.authd.said) == ([], ["found juki shared 1", "ended 1 gone 1"])


async def test_a_dry_look_records_and_ends_nothing() -> None:
    at = world(ends=True, dry=True)
    assert len(await at.watch.step([there("juki")])) == 1
    await at.watch.step([])
    assert (at.cut, at.authd.said, at.heard()) == ([], [], ["found", "ended"])


async def test_where_authd_is_silent_nobody_is_there_and_the_row_follows() -> None:
    at = world(ends=True)
    at.authd.sessions = [sato()]
    await at.watch.step([there("staff_1001")])
    at.authd.error, at.now = Gone("silent"), at.now + 1_000
    await at.watch.step([there("staff_1001")])
    assert at.cut == []  # what authd told is good for two seconds
    at.now += 1_500
    await at.watch.step([there("staff_1001")])
    assert at.cut == ["7"]
    assert (at.authd.said, at.heard()) == ([], ["silent", "found"])
    await at.watch.step([])
    at.authd.error = None
    await at.watch.step([])
    assert at.authd.said == ["found staff_1001 nobody 1", "ended 1 cut 1"]
    assert at.heard() == ["heard", "ended"]


async def test_a_clock_that_is_set_is_no_silence() -> None:
    at = world(ends=True)
    at.authd.sessions = [sato()]
    await at.watch.step([there("staff_1001")])
    at.set_clock(3_600_000)
    at.authd.error = Gone("for a moment")
    await at.watch.step([there("staff_1001")])
    assert (at.cut, at.news) == ([], [])
    at.set_clock(-7_200_000)
    at.now += 2_500
    await at.watch.step([Access("staff_1001", "10.0.0.5", "db/residents", at.now - 60_000, at.now, handle="7")])
    assert at.cut == ["7"]


async def test_while_authd_cannot_say_whose_it_is_nothing_is_found_and_nothing_is_over() -> None:
    for error in (DoorError("busy"), DoorError("ledger_down"), Gone("for a moment")):
        at = world()
        await at.watch.step([there("juki")])
        at.authd.error = error
        await at.watch.step([there("juki")])
        assert not at.watch.judged
        at.authd.error = None
        await at.watch.step([there("juki")])
        assert at.authd.said == ["found juki shared 1"]
        assert at.heard() == ["found"]


async def test_an_authd_that_never_can_say_is_a_silent_one() -> None:
    at = world(ends=True)
    at.authd.sessions = [sato()]
    await at.watch.step([there("staff_1001")])
    at.authd.error, at.now = DoorError("ledger_down"), at.now + 5_000
    await at.watch.step([there("staff_1001")])
    assert at.cut == []
    at.now += UNTOLD_MS
    await at.watch.step([Access("staff_1001", "10.0.0.5", "db/residents", T0, at.now, handle="7")])
    assert at.cut == ["7"]


async def test_lines_of_a_log_wait_for_an_authd_that_is_busy() -> None:
    at = world(LOG)
    at.authd.error = DoorError("busy")
    await at.watch.step([there("juki")])
    at.authd.error = None
    await at.watch.step([])
    await at.watch.step([])
    assert at.authd.said == ["found juki shared 1"]


async def test_lines_of_a_log_from_before_the_silence_are_judged_by_the_sessions_there_were() -> None:
    at = world(LOG, ends=True)
    at.authd.sessions = [sato()]
    await at.watch.step([])
    at.authd.error, at.now = Gone("silent"), at.now + 5_000
    before, since = (Access("staff_1001", "10.0.0.5", "web", ms, ms) for ms in (T0 + 1_000, T0 + 4_000))
    await at.watch.step([before])
    assert at.cut == []
    await at.watch.step([since])
    assert at.cut == [""]
    at.authd.error = None
    assert await at.watch.step([]) == []


async def test_more_than_can_be_told_of_is_ended_all_the_same() -> None:
    at = world(ends=True)
    await at.watch.step([there(f"old_{n}", str(n)) for n in range(MOST_OPEN + 1)])
    assert (at.authd.rows, len(at.cut)) == (MOST_OPEN, MOST_OPEN + 1)


async def test_a_log_whose_clock_is_ahead_finds_nobody_who_is_there() -> None:
    at = world(LOG)
    at.authd.sessions = [sato()]
    assert await at.watch.step([Access("staff_1001", "10.0.0.5", "web", T0 + 300_000, T0 + 300_000)]) == []


async def test_a_ledger_that_is_down_does_not_keep_it_from_being_ended() -> None:
    at = world(ends=True)
    await at.watch.step([])

    async def down(*_: object, **__: object) -> Found:
        raise DoorError("ledger_down")

    at.authd.unattributed_found = down  # type: ignore[method-assign] # the ledger of this one call
    await at.watch.step([there("juki")])
    assert at.cut == ["7"]


async def test_an_authd_that_takes_no_row_is_asked_once_in_a_look() -> None:
    at, asked = world(ends=True), list[str]()
    await at.watch.step([])

    async def busy(*_: object, account: str, **__: object) -> Found:
        asked.append(account)
        raise DoorError("busy")

    at.authd.unattributed_found = busy  # type: ignore[method-assign] # of this one call
    await at.watch.step([there("a", "1"), there("b", "2"), there("c", "3")])
    assert (len(asked), len(at.cut)) == (1, 3)


async def test_before_authd_was_ever_heard_nothing_is_judged() -> None:
    at = world(ends=True)
    at.authd.error = Gone("silent")
    at.now += 10_000
    assert await at.watch.step([there("juki")]) == []
    assert (at.cut, at.news) == ([], [])


async def test_what_the_role_may_not_end_is_said_once() -> None:
    at = world(ends=True)

    async def refused(access: Access) -> bool:
        raise MayNotEnd("must be a superuser")

    at.watch.cut = refused
    await at.watch.step([there("juki")])
    await at.watch.step([there("juki")])
    assert at.heard() == ["found", "kept"]


async def test_another_life_goes_on_with_what_was_found() -> None:
    at = world()
    elsewhere = OpenFinding(42, "shared", "juki", "10.0.0.5", "other/residents")
    at.authd.terms = Terms(
        False, 3, PATTERN, [elsewhere, OpenFinding(41, "shared", "juki", "10.0.0.5", "db/residents")]
    )
    await at.watch.step([there("juki")])
    assert at.authd.said == []
    await at.watch.step([])
    assert at.authd.said == ["ended 41 gone 1"]


async def test_of_a_log_it_is_over_when_it_was_not_seen_for_a_minute() -> None:
    at = world(LOG)
    await at.watch.step([there("juki")])
    await at.watch.step([])
    assert at.authd.said == ["found juki shared 1"]
    at.now += QUIET_MS
    await at.watch.step([])
    assert at.authd.said[1:] == ["ended 1 past 1"]


async def test_not_for_us_ends_the_watch() -> None:
    at = world()
    at.authd.error = DoorError("not_permitted")
    with pytest.raises(DoorError, match="not_permitted"):
        await at.watch.step([])
    at.authd.error = DoorError("busy")
    assert await at.watch.step([there("juki")]) == []
