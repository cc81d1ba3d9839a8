"""An evaluation as a list of figures by protocol: what is printed for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from authd_drivers.vein.study.evaluate import FMRS, Evaluation, Part, Search
from authd_drivers.vein.study.rates import RULE_OF_THREE, Rate

Title = tuple[str, dict[str, object]]


@dataclass(frozen=True, slots=True)
class Figure:
    """One number. measure: its name without the protocol; fmr: the false match rate it belongs to.

    value and bound: in percent, or as they are where `plain`; None where it cannot be said (missing: id and values of a
    text). The bound is that of `errors` in `trials`; of the EER it is the bound of the FNMR at its threshold.
    """

    measure: str
    value: float | None = None
    bound: float | None = None
    errors: int = 0
    trials: int = 0
    threshold: float | None = None
    fmr: float | None = None
    plain: bool = False
    missing: Title | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """One protocol. name: as in `eer_percent.<name>`; title: id and values of a text; then numbers of comparisons."""

    name: str
    title: Title
    figures: tuple[Figure, ...]
    genuine: int = 0
    impostor: int = 0


def percent(measure: str, rate: Rate, threshold: float | None = None, fmr: float | None = None) -> Figure:
    """Make the figure of a rate; without any trials it cannot be said."""
    if not rate.trials:
        return Figure(measure, fmr=fmr, missing=("none", {}))
    return Figure(measure, 100 * rate.value, 100 * rate.bound, rate.errors, rate.trials, threshold, fmr)


def sections(found: Evaluation) -> Iterator[Section]:
    """Yield the protocols, those without the gate first."""
    for gate in found.plan.gates:
        suffix = "_gate" if gate else ""
        yield Section(f"all{suffix}", (f"acquire{suffix}", {}), (percent("fta_percent", found.fta(gate)),))
        for part in (part for part in found.parts if part.gate == gate):
            title: Title = (f"{part.kind}{suffix}", {"count": found.plan.enrolled})
            figures = tuple(_part(part))
            comparisons = part.comparisons
            yield Section(name_of(found, part), title, figures, len(comparisons.genuine), len(comparisons.impostor))
        for search in (search for search in found.searches if search.gate == gate):
            rosters = search.found.rosters if search.found else 0
            title = (f"roster{suffix}" if rosters else "roster_none", {"count": search.size, "rosters": rosters})
            yield Section(f"roster{search.size}{suffix}", title, tuple(_search(search)))


def name_of(found: Evaluation, part: Part) -> str:
    """Return `single`, `enrol3_gate`, `enrol3_sessions` and so on."""
    kind = part.kind.replace("enrol", f"enrol{found.plan.enrolled}")
    return f"{kind}_gate" if part.gate else kind


def _part(part: Part) -> Iterator[Figure]:
    if part.enrolled:
        failed = part.enrolled.failed
        yield percent("fte_percent", Rate(failed, failed + len(part.enrolled.fingers)))
    comparisons = part.comparisons
    if not comparisons:
        yield Figure("eer_percent", missing=("none", {}))
        return
    equal, misses = comparisons.equal, comparisons.equal.fnmr
    bound = 100 * misses.bound
    yield Figure("eer_percent", 100 * comparisons.eer, bound, misses.errors, misses.trials, equal.threshold)
    for fmr in FMRS:
        if comparisons.supports(fmr):
            point = comparisons.at_fmr(fmr)
            yield percent("fnmr_percent", point.fnmr, point.threshold, fmr)
        else:
            yield Figure("fnmr_percent", fmr=fmr, missing=("impostor", _needed(len(comparisons.impostor), fmr)))
    if part.threshold is None:
        return
    own, false = comparisons.at(part.threshold), comparisons.at(part.threshold).fmr
    yield Figure("fmr_at_threshold", false.value, false.bound, false.errors, false.trials, own.threshold, plain=True)
    yield percent("fnmr_percent_at_threshold", own.fnmr, own.threshold)


def _needed(count: int, fmr: float) -> dict[str, object]:
    return {"count": f"{count:,}", "least": short(RULE_OF_THREE / count), "needed": f"{round(RULE_OF_THREE / fmr):,}"}


def _search(search: Search) -> Iterator[Figure]:
    if search.found is None:
        yield Figure("fnir_percent", missing=("roster", {"count": search.of}))
        return
    yield percent("fnir_percent", search.found.fnir)
    yield percent("wrong_percent", search.found.wrong)
    yield percent("rank1_percent", search.found.first)
    yield percent("fpir_percent", search.found.fpir)


def short(rate: float) -> str:
    """Write a small rate as `1e-4` or `3.2e-5`."""
    digits, _, power = f"{rate:.1e}".partition("e")
    return f"{digits.removesuffix('.0')}e{int(power)}"
