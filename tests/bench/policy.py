"""Decisions a second with 4,000 staff and 1,000 seats, against pycasbin with the same rules in the same run.

`python -m tests.bench.policy [--decisions N]`; needs `pip install casbin==1.43.0`, which nothing else of authd uses.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from authd.core.model import Action, Factor, Grade, Kind, Request, SeatId, SubjectId
from authd.service.pdp import LocalTime, Pdp, PersonAttrs, SeatAttrs, Source, installed, load
from authd.service.pdp.replay import Past, replay
from tests.bench.policy_casbin import Casbin
from tests.bench.report import Report

STAFF, SEATS, SECTIONS = 4_000, 1_000, 40
BLOCK = 50
NOON = LocalTime(minute=720, weekday=2, date="2026-11-24", trusted=True)


def people(count: int) -> list[PersonAttrs]:
    """Staff spread over the sections; some disabled, lent, helping or in training."""
    return [
        PersonAttrs(
            SubjectId(f"sub_{n}"),
            f"section-{n % SECTIONS}",
            disabled=n % 50 == 0,
            groups=frozenset({"counter-helpers"} if n % 20 == 1 else {"trainees"} if n % 20 == 2 else set[str]()),
            seats=frozenset({SeatId(f"seat-{n * 7 % SEATS}")} if n % 10 == 3 else set[SeatId]()),
        )
        for n in range(count)
    ]


def seats(count: int) -> list[SeatAttrs]:
    """Counters and offices of the sections."""
    return [
        SeatAttrs(SeatId(f"seat-{n}"), "counter" if n % 2 else "office", f"section-{n % SECTIONS}", f"host-{n // 4}")
        for n in range(count)
    ]


def requests(count: int, staff: int, places: int) -> list[Request]:
    """Mostly good logins and keeps, as at a counter, and one in five that must be refused."""
    rng = random.Random(20261124)
    return [_request(rng, rng.randrange(staff), places) for _ in range(count)]


def _request(rng: random.Random, person: int, places: int) -> Request:
    section = person % SECTIONS
    seat = SeatId(f"seat-{(section + SECTIONS * rng.randrange(max(1, places // SECTIONS))) % places}")
    subject, vein = SubjectId(f"sub_{person}"), frozenset({Factor.VEIN})
    working = rng.random() < 0.8  # else the seat's own key is the second factor with which their shift begins
    shown = vein if working else vein | {Factor.SEAT_KEY}
    login = Request(Action.OPEN_SESSION, subject, seat, shown, working, Grade.MATCHED, 0.1, fresh=shown)
    kind = rng.random()
    if kind < 0.2:
        return replace(login, action=Action.KEEP_SESSION, owner=subject)
    if kind < 0.3:
        return replace(login, seat=SeatId(f"seat-{rng.randrange(places)}"))
    if kind < 0.35:
        return replace(login, margin=rng.random() * 0.02)
    if kind < 0.4:
        return replace(login, fresh=frozenset({Factor.CARD}), grade=rng.choice([Grade.DEVICE, Grade.SIGNED]))
    return login


@dataclass
class Timed:
    """Nanoseconds of each decision of one engine, by two clocks, and what it decided.

    A decision is computation on one thread. CPU time is what it costs; wall time adds what neighbours on a shared
    machine take in between, so the bars are put on CPU time and wall time is printed beside it.
    """

    decide: Callable[[Request], bool]
    cpu: list[int] = field(default_factory=list[int])
    wall: list[int] = field(default_factory=list[int])
    permitted: list[bool] = field(default_factory=list[bool])

    def run(self, asked: Sequence[Request]) -> None:
        """Decide one block."""
        for request in asked:
            wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
            permitted = self.decide(request)
            self.cpu.append(time.thread_time_ns() - cpu)
            self.wall.append(time.perf_counter_ns() - wall)
            self.permitted.append(permitted)

    def per_s(self) -> float:
        """Decisions a second of CPU time, by the median block."""
        blocks = [self.cpu[at : at + BLOCK] for at in range(0, len(self.cpu), BLOCK)]
        return 1e9 / statistics.median(sum(block) / len(block) for block in blocks)


def quantile_ms(spent: Sequence[int], share: float) -> float:
    """Return a quantile of single decisions, in milliseconds."""
    return sorted(spent)[min(len(spent) - 1, int(len(spent) * share))] / 1e6


def interleave(engines: Sequence[Timed], asked: Sequence[Request]) -> None:
    """Give every engine the same blocks in turn, so that all see the same machine."""
    for at in range(0, len(asked), BLOCK):
        for engine in engines:
            engine.run(asked[at : at + BLOCK])


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=4_000)
    count = parser.parse_args().decisions
    report = Report()
    begun = time.perf_counter_ns()
    bundle = load(Source(installed()))
    report.figure("policy.load_ms", (time.perf_counter_ns() - begun) / 1e6, "ms")
    hall, small = Pdp(bundle, lambda: NOON), Pdp(bundle, lambda: NOON)
    hall.directory.set_people(people(STAFF))
    hall.directory.set_seats(seats(SEATS))
    small.directory.set_people(people(SECTIONS))
    small.directory.set_seats(seats(SECTIONS))
    with tempfile.TemporaryDirectory() as folder:
        rows, single = (Casbin(people(STAFF), seats(SEATS), one, Path(folder)) for one in (False, True))
    ours = Timed(lambda request: hall.decide(request).permitted)
    theirs = Timed(lambda request: rows.decide(bundle.settings, NOON, request))
    fastest = Timed(lambda request: single.decide(bundle.settings, NOON, request))
    asked = requests(count, STAFF, SEATS)
    Timed(ours.decide).run(asked[:BLOCK])  # warm up
    interleave((ours, theirs, fastest), asked)
    few = Timed(lambda request: small.decide(request).permitted)
    many = Timed(ours.decide)
    for at in range(0, count, BLOCK):
        few.run(requests(BLOCK, SECTIONS, SECTIONS))
        many.run(asked[at : at + BLOCK])
    print_figures(report, ours, theirs, fastest, quantile_ms(many.cpu, 0.5) / quantile_ms(few.cpu, 0.5))
    print_replayed(report, hall, asked)
    report.exit()


def print_replayed(report: Report, hall: Pdp, asked: Sequence[Request]) -> None:
    """Put questions again as `authd policy diff` does: under the same bundle every one comes out the same."""
    decided = [(request, hall.decide(request)) for request in asked]
    rows = [
        Past(n, n, request.seat, request.subject, Kind.GRANT, each.permitted, each.rules, each.bundle, each.asked)
        for n, (request, each) in enumerate(decided)
    ]
    began = time.thread_time()
    found = replay(rows, hall.bundle)
    report.figure("policy.replayed_per_s", len(rows) / (time.thread_time() - began), "1/s")
    report.at_most("policy.replayed_otherwise", len(rows) - found.same, "decisions", 0)


def print_figures(report: Report, ours: Timed, theirs: Timed, fastest: Timed, growth: float) -> None:
    """Print what was measured, and whether all engines agree on every decision."""
    per_s = [engine.per_s() for engine in (ours, theirs, fastest)]
    share = sum(ours.permitted) / len(ours.permitted)
    differ = sum(a != b or a != c for a, b, c in zip(ours.permitted, theirs.permitted, fastest.permitted, strict=True))
    report.figure("policy.decisions_per_s", per_s[0], "1/s")
    report.figure("policy.p50_ms", quantile_ms(ours.cpu, 0.5), "ms")
    report.at_most("policy.p99_ms", quantile_ms(ours.cpu, 0.99), "ms", 1)
    report.figure("policy.p50_wall_ms", quantile_ms(ours.wall, 0.5), "ms")
    report.figure("policy.p99_wall_ms", quantile_ms(ours.wall, 0.99), "ms")
    report.figure("policy.permitted_share", share, "")
    report.at_most("policy.differs_from_casbin", differ, "decisions", 0)
    report.figure("policy.casbin_per_s", per_s[1], "1/s")
    report.at_least("policy.against_casbin", per_s[0] / per_s[1], "x", 5)
    report.figure("policy.casbin_single_matcher_per_s", per_s[2], "1/s")
    report.figure("policy.against_casbin_single_matcher", per_s[0] / per_s[2], "x")
    report.at_most("policy.p50_growth_4000_staff_against_40", growth, "x", 1.5)


if __name__ == "__main__":
    main()
