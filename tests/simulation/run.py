"""Run episodes; on a violation say which seed, and the shortest row of actions that still breaks the promise."""

from __future__ import annotations

import argparse
import logging
import sys
import time
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from authd.core import seat as machine
from authd.core.model import Instant
from tests.simulation.oracle import Violation
from tests.simulation.world import World

ACTIONS = 250
"""Of an episode."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A broken promise, and how to see it again."""

    seed: int
    violation: Violation
    actions: tuple[int, ...]
    trace: tuple[str, ...] = ()


class Count:
    """Counts the calls of `seat.step`, which is what a step is."""

    def __init__(self) -> None:
        self.steps = 0

    @contextmanager
    def counting(self) -> Generator[Count]:
        """While this lasts."""
        step = machine.step

        def counted(seat: machine.Seat, event: machine.Event, now: Instant) -> object:
            self.steps += 1
            return step(seat, event, now)

        machine.step = counted  # type: ignore[assignment]  # put back below
        level = logging.root.manager.disable
        logging.disable(logging.CRITICAL)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # coroutines that a killed process never got to
                yield self
        finally:
            machine.step = step
            logging.disable(level)


def episode(seed: int, actions: Sequence[int] = range(ACTIONS), *, tracing: bool = False) -> Broken | None:
    """Play one episode. The same seed and actions give the same, always."""
    world, done = World(seed), 0
    world.tracing = tracing
    with world.loop:
        try:
            for at in actions:
                done += 1
                world.act(at)
            world.finish()
        except Violation as violation:
            return Broken(seed, violation, tuple(actions[:done]), tuple(world.trace))
        finally:
            world.life.alive = False
            world.life.bury()
    return None


def shortest(broken: Broken, tries: int = 400) -> Broken:
    """Leave out whatever the violation does not need (delta debugging)."""
    actions, size = list(broken.actions), max(1, len(broken.actions) // 2)
    while tries > 0:
        start = 0
        while start < len(actions) and tries > 0:
            shorter = actions[:start] + actions[start + size :]
            tries -= 1
            again = episode(broken.seed, shorter)
            if again is not None and again.violation.invariant == broken.violation.invariant:
                actions = list(again.actions)
            else:
                start += size
        if size == 1:
            break
        size //= 2
    return episode(broken.seed, actions, tracing=True) or broken


def search(
    seed: int, *, steps: int, seconds: float = 1e9, told: Callable[[int, int], None] = lambda steps, seed: None
) -> tuple[int, Broken | None]:
    """Play episodes from this seed on until so many steps, so many seconds, or a violation."""
    count, ends = Count(), time.perf_counter() + seconds
    with count.counting():
        while count.steps < steps and time.perf_counter() < ends:
            broken = episode(seed)
            if broken is not None:
                return count.steps, broken
            seed += 1
            told(count.steps, seed)
    return count.steps, None


def say(broken: Broken) -> str:
    """What broke, where, and after what."""
    lines = [f"seed {broken.seed}: {broken.violation}", *broken.trace]
    lines.append(f"again: python -m tests.simulation.run --seed {broken.seed}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.run", description=__doc__)
    parser.add_argument("--seed", type=int, help="play this one episode, with its trace")
    parser.add_argument("--from", type=int, default=1, dest="first", help="first seed")
    parser.add_argument("--steps", type=int, default=200_000)
    asked = parser.parse_args()
    if asked.seed is not None:
        with Count().counting():
            broken = episode(asked.seed, tracing=True)
    else:
        start = time.perf_counter()
        steps, broken = search(asked.first, steps=asked.steps)
        sys.stderr.write(f"{steps} steps, {steps / (time.perf_counter() - start):.0f} a second\n")
    if broken is not None:
        with Count().counting():
            sys.stdout.write(say(shortest(broken)) + "\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
