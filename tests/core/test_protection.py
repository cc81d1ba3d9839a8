"""A later set beats an earlier or queued release, in every interleaving (Hirakata 2019, Meguro 2025, Kyoto 2025)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authd.core.protection import NOTHING, Act, Asked, Standing, heard, overtaken

Hear = Callable[[Standing, Act], Standing]
Overtaken = Callable[[Standing, Asked, Sequence[Asked]], bool]


@st.composite
def histories(draw: st.DrawFn) -> list[Act]:
    """Up to six acts; each release takes back some set that came before it."""
    acts: list[Act] = []
    for version in range(1, draw(st.integers(1, 6)) + 1):
        sets = [act.version for act in acts if not act.of]
        of = draw(st.sampled_from([0, *sets])) if sets else 0
        acts.append(Act(version, of))
    return acts


def expected(acts: Sequence[Act]) -> bool:
    """The rule in its own words: protected, while there is a set that no release has seen."""
    return any(all(act.of < each.version for act in acts) for each in acts if not each.of)


def check_every_order(hear: Hear, acts: Sequence[Act]) -> None:
    for order in itertools.permutations(acts):
        standing = NOTHING
        for act in (*order, order[0]):  # one of them is heard twice
            standing = hear(standing, act)
        assert standing.protected is expected(acts)


@given(histories())
def test_every_order_of_hearing_ends_the_same(acts: list[Act]) -> None:
    check_every_order(heard, acts)


@dataclass
class Registry:
    """One record: two persons for each change, as the daemon does it, with its rules passed in."""

    hear: Hear
    overtaken: Overtaken
    standing: Standing = NOTHING
    clock: int = 0
    waiting: dict[int, Asked] = field(default_factory=dict[int, Asked])
    last_set: int = 0
    """When a set was last asked for, of those that were approved."""
    releases: list[int] = field(default_factory=list[int])
    """When each release was asked for that was carried out."""

    def ask(self, number: int, *, release: bool) -> None:
        self.clock += 1
        if not release or self.standing.protected:
            self.waiting[number] = Asked(self.clock, self.standing.set_in if release else 0)

    def approve(self, number: int) -> None:
        self.clock += 1
        asked = self.waiting.pop(number, None)
        if asked is None:
            return
        if asked.of:
            if self.overtaken(self.standing, asked, list(self.waiting.values())):
                return
            self.releases.append(asked.at)
        else:
            self.last_set = max(self.last_set, asked.at)
        self.standing = self.hear(self.standing, Act(self.clock, asked.of))


def play(script: Sequence[tuple[str, int]], hear: Hear, rule: Overtaken) -> None:
    """Ask and approve in this order: whatever is released, was not asked for before the newest set."""
    registry = Registry(hear, rule)
    for word, number in script:
        if word == "approve":
            registry.approve(number)
        else:
            registry.ask(number, release=word == "release")
        if registry.last_set and all(at < registry.last_set for at in registry.releases):
            assert registry.standing.protected, script


def scripts() -> list[list[tuple[str, int]]]:
    """Every interleaving of two sets and two releases, each asked for and then approved."""
    changes = [("set", 1), ("release", 2), ("set", 3), ("release", 4)]
    found: list[list[tuple[str, int]]] = []
    for order in itertools.permutations([1, 1, 2, 2, 3, 3, 4, 4]):
        words = {number: word for word, number in changes}
        said: set[int] = set()
        script: list[tuple[str, int]] = []
        for number in order:
            script.append(("approve", number) if number in said else (words[number], number))
            said.add(number)
        found.append(script)
    return [list(each) for each in dict.fromkeys(tuple(each) for each in found)]


SCRIPTS = scripts()


def test_there_are_2520_interleavings() -> None:
    assert len(SCRIPTS) == 2520


def test_no_interleaving_lets_a_release_beat_a_later_set() -> None:
    for script in SCRIPTS:
        play(script, heard, overtaken)


def test_a_set_that_is_only_asked_for_holds_a_queued_release_back() -> None:
    standing = heard(NOTHING, Act(1))
    release = Asked(2, of=1)
    assert not overtaken(standing, release, [Asked(1)])
    assert overtaken(standing, release, [Asked(3)])
    assert overtaken(heard(standing, Act(4)), release, [])


def last_heard_wins(standing: Standing, act: Act) -> Standing:
    return Standing(act.version, act.version if act.of else 0)


def highest_version_wins(standing: Standing, act: Act) -> Standing:
    if act.of:
        return Standing(standing.set_in, max(standing.taken_back, act.version))
    return heard(standing, act)


def release_forgets(standing: Standing, act: Act) -> Standing:
    return NOTHING if act.of else heard(standing, act)


@pytest.mark.parametrize("bug", [last_heard_wins, highest_version_wins, release_forgets])
def test_a_seeded_bug_in_the_order_is_found(bug: Hear) -> None:
    acts = [Act(1), Act(2), Act(3, of=1)]
    with pytest.raises(AssertionError):
        check_every_order(bug, acts)


def test_a_seeded_bug_in_the_queue_is_found() -> None:
    """The release that waited is carried out on whatever stands when it is approved."""

    def never(standing: Standing, release: Asked, waiting: Sequence[Asked]) -> bool:
        del standing, release, waiting
        return False

    def all_of_them() -> None:
        for script in SCRIPTS:
            play(script, highest_version_wins, never)

    with pytest.raises(AssertionError):
        all_of_them()
