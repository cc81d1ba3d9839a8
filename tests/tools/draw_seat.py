"""Writes docs/reference/seat-machine.md from the TRANSITIONS table: `python -m tests.tools.draw_seat`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from authd.core.model import SeatState
from authd.core.seat import OWNED
from authd.core.seat.table import HOME, RULES, TRANSITIONS, Rule

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "seat-machine.md"
HEAD = """# The seat machine

Generated from `authd/core/seat/table.py` by `python -m tests.tools.draw_seat`. Do not edit.

A seat is in one state. On an event, the first rule of that state and event whose condition holds is taken: its action
is done, its target is the next state. No rule: the event changes nothing. Before and after every event:

1. **Time first.** Whatever limit has passed by then takes effect: the session fades or ends (idle, absence, maximum
   age, a key that did not come back, five seconds without a ledger), a grant goes stale, a verdict that does not come
   is given up, a touch that waits for another one is forgotten, and so is who was named or asked to help; a sentence
   leaves the screen.
2. **The picture last.** What the screen shows is computed from the new state; a prompt does not outlive what it was
   for; the readers are armed after that.

*home* is LOCKED, or OUT_OF_SERVICE while no reader can be touched. *as before* leaves the state as it is.
"""


def document() -> str:
    """Return the whole page."""
    parts = [HEAD, "## The states and what leads from one to another\n", diagram(), "## The rules, in order\n", rules()]
    return "\n".join(parts) + "\n"


def diagram() -> str:
    """Return a Mermaid state diagram: one arrow for each pair of states, with the events that lead along it."""
    arrows: dict[tuple[SeatState, SeatState], list[str]] = {}
    for state, event, rule in _each():
        for target in _targets(state, rule):
            arrows.setdefault((state, target), []).append(event)
    for state, target, limit in _by_time():
        arrows.setdefault((state, target), []).append(limit)
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> OUT_OF_SERVICE"]
    for (state, target), events in arrows.items():
        if state is not target:
            lines.append(f"    {state.name} --> {target.name}: {', '.join(dict.fromkeys(events))}")
    return "\n".join([*lines, "```\n"])


def _each() -> Iterable[tuple[SeatState, str, Rule]]:
    for state, events in TRANSITIONS.items():
        for event, found in events.items():
            for rule in found:
                yield state, event.__name__, rule


def _targets(state: SeatState, rule: Rule) -> tuple[SeatState, ...]:
    if rule.to is None:
        return ()
    if rule.to == HOME:
        return (SeatState.OUT_OF_SERVICE,) if state is SeatState.OUT_OF_SERVICE else (SeatState.LOCKED,)
    return (SeatState(rule.to),)


def _by_time() -> Iterable[tuple[SeatState, SeatState, str]]:
    yield SeatState.VERIFYING, SeatState.LOCKED, "(10 s without a verdict)"
    yield SeatState.GRANTING, SeatState.LOCKED, "(10 s after the touch)"
    yield SeatState.STEPPING_UP, SeatState.ACTIVE, "(30 s without an answer)"
    for state in (SeatState.ACTIVE, SeatState.STEPPING_UP):
        yield state, SeatState.FADING, "(limit near)"
    for state in OWNED:
        yield state, SeatState.LOCKED, "(limit reached)"


def rules() -> str:
    """Return the table, a row for each rule."""
    lines = ["| state | event | condition | action | target |", "|---|---|---|---|---|"]
    for rule in RULES:
        cells = (_states(rule.states), rule.event.__name__, _words(rule.when), _words(rule.do), _target(rule))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _states(states: tuple[SeatState, ...]) -> str:
    if set(states) == set(SeatState):
        return "every state"
    return ", ".join(state.name for state in states)


def _words(function: Callable[..., Any]) -> str:
    name = function.__name__
    return "nothing" if name == "<lambda>" else name.replace("_", " ")


def _target(rule: Rule) -> str:
    if rule.to is None:
        return "*as before*"
    return "*home*" if rule.to == HOME else SeatState(rule.to).name


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.tools.draw_seat", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if the page is not current")
    if parser.parse_args().check:
        sys.exit(0 if DOCUMENT.read_text(encoding="utf-8") == document() else 1)
    DOCUMENT.parent.mkdir(parents=True, exist_ok=True)
    DOCUMENT.write_text(document(), encoding="utf-8")


if __name__ == "__main__":
    main()
