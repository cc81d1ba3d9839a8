"""A short storm: the core keeps every promise, and the oracle notices when it does not. The long one is a bench."""

from __future__ import annotations

import asyncio

import pytest

from tests.simulation.loop import Dice, Loop
from tests.simulation.mutations import BY_NAME, MUTATIONS, Mutation
from tests.simulation.run import Count, episode, search, shortest


def test_the_core_keeps_every_promise() -> None:
    steps, broken = search(2_026, steps=40_000)
    assert broken is None
    assert steps >= 40_000


@pytest.mark.parametrize(
    ("name", "invariant"),
    [
        ("any nonce will do", "I1"),
        ("whoever sits elsewhere stays", "I2"),
        ("a sleep is ignored", "I1 I3 I7"),
        ("an end without its row", "I4"),
        ("a restart forgets the counters", "I5"),
        ("a start closes nothing", "I6"),
        ("a fault is ignored", "I1 I7"),
        ("the ledger's grace never ends", "I8"),
        ("nobody asks who is disabled", "I14"),
        ("the same finger twice is two", "I1"),
        ("what cancels a nonce keeps the first finger", "I1"),
        ("a first finger waits for ever", "I1"),
        ("half a login is a login", "I1"),
        ("a silent sample is a touch", "I1"),
        ("one person breaks the glass", "I1"),
        ("a key that is taken out ends nothing", "I3"),
        ("a prompt stays over other work", "I4"),
        ("a busy reader makes keys wait", "I5"),
        ("an old act is young", "I1"),
        ("a desktop that nothing covers stays open", "I1 I7"),
        ("an agent that is back is not heard", "I4"),
    ],
)
def test_a_bug_sown_on_purpose_is_found(name: str, invariant: str) -> None:
    with BY_NAME[name].sow():
        _, broken = search(1, steps=100_000)
    assert broken is not None
    assert broken.violation.invariant in invariant.split()


def test_the_bugs_have_names_of_their_own() -> None:
    assert len(BY_NAME) == len(MUTATIONS) >= 80


def test_a_seed_replays_exactly_and_its_trace_gets_shorter() -> None:
    with BY_NAME["whoever sits elsewhere stays"].sow():
        seed = 1
        while True:  # one that is not short already
            _, found = search(seed, steps=100_000)
            assert found is not None
            if len(found.actions) > 10:
                break
            seed = found.seed + 1
        with Count().counting():
            again, short = episode(found.seed), shortest(found, tries=40)
    assert again is not None
    assert str(again.violation) == str(found.violation)
    assert len(short.actions) < len(found.actions)
    assert short.trace


def test_a_seed_does_the_same_step_for_step() -> None:
    counts: list[int] = []
    for _ in range(2):
        with Count().counting() as count:
            assert episode(7) is None
        counts.append(count.steps)
    assert counts[0] == counts[1]


# The loop itself.


def order(seed: int) -> list[int]:
    said: list[int] = []

    async def say(number: int) -> None:
        await asyncio.sleep(0)
        said.append(number)

    with Loop(Dice(seed)) as loop:
        for number in range(8):
            loop.start(say(number))
        loop.run()
    return said


def test_what_is_ready_runs_in_an_order_that_the_seed_decides() -> None:
    orders = [order(seed) for seed in range(20)]
    assert order(3) == orders[3]
    assert len({tuple(each) for each in orders}) > 10


def test_timeouts_and_task_groups_work_in_virtual_time() -> None:
    async def work() -> str:
        try:
            async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
                tasks.create_task(asyncio.sleep(60))
        except TimeoutError:
            return "late"
        return "done"

    with Loop(Dice(1)) as loop:
        task = loop.start(work())
        loop.spend(4.9)
        assert not task.done()
        loop.spend(0.2)
        assert task.result() == "late"
        assert loop.time() == pytest.approx(5.1)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_every_bug_can_be_sown_and_taken_out_again(mutation: Mutation) -> None:
    with mutation.sow():
        pass
