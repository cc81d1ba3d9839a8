"""An evaluation in words: JSON lines for programs, a table for people. Both say the same figures."""

from __future__ import annotations

import json
from collections.abc import Iterator

from authd_drivers.vein.study.evaluate import Evaluation
from authd_drivers.vein.study.figures import Figure, Section, name_of, sections, short
from authd_drivers.vein.study.texts import padded, text

LISTED = 10
"""Files without a template that the table names; the JSON lines name all."""
_LABEL = 34
_NAMED = ("size", "file", "format", "depth")


def lines(found: Evaluation) -> Iterator[str]:
    """Yield JSON lines: what was measured with what, the figures, the worst fingers, the files that do not count."""
    for content in _objects(found):
        yield json.dumps(content, ensure_ascii=False, allow_nan=False)


def table(found: Evaluation, language: str) -> Iterator[str]:
    """Yield the report for people, line by line."""
    yield from _head(found, language)
    for section in sections(found):
        yield ""
        yield _title(section, language)
        for figure in section.figures:
            yield _row(figure, language)
    yield ""
    yield from _worst(found, language)
    yield from _faults(found, language)


# JSON lines.


def _objects(found: Evaluation) -> Iterator[dict[str, object]]:
    yield _subject(found)
    for section in sections(found):
        for figure in section.figures:
            yield _object(section.name, figure)
        if section.genuine or section.impostor:
            yield {"name": f"genuine.{section.name}", "value": section.genuine, "unit": "comparisons"}
            yield {"name": f"impostor.{section.name}", "value": section.impostor, "unit": "comparisons"}
    for each in found.worst:
        misses = {"misses": each.misses.errors, "comparisons": each.misses.trials, "typical": round(each.typical, 4)}
        finger = found.data.fingers[each.finger]
        yield {"name": "worst", "finger": finger, **misses, "threshold": round(found.reference, 6)}
    for number, taken in enumerate(found.extracted.taken):
        if taken.fault:
            yield {"name": "fault", "path": _path(found, number), "fault": taken.fault, "size": list(taken.size)}
        elif not taken.passed:
            yield {"name": "gate", "path": _path(found, number), "hint": taken.hint, "quality": round(taken.quality, 4)}


def _subject(found: Evaluation) -> dict[str, object]:
    data, profile, decision = found.data, found.profile, found.profile.decision
    return {
        "name": "evaluation",
        "folder": str(data.folder),
        "pictures": len(data.pictures),
        "fingers": len(data.fingers),
        "people": len(data.subjects),
        "passed_over": len(data.skipped),
        "left_out": "{}/{}".format(*found.plan.left) if found.plan.left else None,
        "profile": profile.name,
        "profile_id": f"{profile.id:08x}",
        "threshold": decision.threshold,
        "margin": decision.margin,
        "impostors": "people" if found.plan.people_only else "fingers",
        "excluded": [list(pair) for pair in found.excluded],
        "same_picture": [[_path(found, one), _path(found, other)] for one, other in found.twins],
    }


def _object(section: str, figure: Figure) -> dict[str, object]:
    measure = figure.measure + (f"_{short(figure.fmr)}" if figure.fmr else "")
    unit = "" if figure.plain else "%"
    content: dict[str, object] = {"name": f"{measure}.{section}", "value": figure.value, "unit": unit}
    if figure.missing:
        return {**content, "why": text(f"missing.{figure.missing[0]}", "en", **figure.missing[1])}
    content |= {"bound95": figure.bound, "errors": figure.errors, "trials": figure.trials}
    return content if figure.threshold is None else {**content, "threshold": round(figure.threshold, 6)}


# The table.


def _head(found: Evaluation, language: str) -> Iterator[str]:
    data, profile, decision = found.data, found.profile, found.profile.decision
    counts = {"pictures": len(data.pictures), "fingers": len(data.fingers), "people": len(data.subjects)}
    yield text("head.pictures", language, folder=data.folder, **counts)
    if data.skipped:
        yield text("head.skipped", language, count=len(data.skipped), first=data.skipped[0])
    if found.plan.left:
        yield text("head.left", language, taken=found.plan.left[0], of=found.plan.left[1])
    yield text(
        "head.profile",
        language,
        name=profile.name,
        id=f"{profile.id:08x}",
        width=profile.width,
        height=profile.height,
        threshold=decision.threshold,
        margin=decision.margin,
    )
    yield text("head.fixed", language)
    yield text("head.impostors_people" if found.plan.people_only else "head.impostors_fingers", language)
    if found.excluded:
        yield text("head.excluded", language, pairs=", ".join(f"{one} = {other}" for one, other in found.excluded))
    if found.twins:
        first = " = ".join(_path(found, number) for number in found.twins[0])
        yield text("head.twins", language, count=len(found.twins), first=first)
    yield text("head.bounds", language)


def _title(section: Section, language: str) -> str:
    title = text(f"part.{section.title[0]}", language, **section.title[1])
    if not (section.genuine or section.impostor):
        return title
    return text("part.counted", language, title=title, genuine=f"{section.genuine:,}", impostor=f"{section.impostor:,}")


def _row(figure: Figure, language: str) -> str:
    fmr = "" if figure.fmr is None else short(figure.fmr)
    label = "  " + padded(text(f"figure.{figure.measure}", language, fmr=fmr), _LABEL)
    if figure.missing or figure.value is None or figure.bound is None:
        why, values = figure.missing or ("none", {})
        return label + text(f"missing.{why}", language, **values)
    value, bound = (_amount(rate, plain=figure.plain) for rate in (figure.value, figure.bound))
    counts = text("figure.counts", language, errors=f"{figure.errors:,}", trials=f"{figure.trials:,}")
    at = "" if figure.threshold is None else text("figure.at", language, threshold=f"{figure.threshold:.4f}")
    return f"{label}{value:>9}  <= {bound:<9} {counts}{at}"


def _amount(rate: float, *, plain: bool) -> str:
    if plain:
        return short(rate) if rate else "0"
    return f"{rate:.2f} %" if rate >= 0.1 or not rate else f"{rate:.2g} %"


def _worst(found: Evaluation, language: str) -> Iterator[str]:
    values = {"threshold": f"{found.reference:.4f}", "part": name_of(found, found.parts[0])}
    yield text("worst.title" if found.worst else "worst.nobody", language, **values)
    for each in found.worst:
        yield "  " + text(
            "worst.line",
            language,
            finger=found.data.fingers[each.finger],
            misses=each.misses.errors,
            trials=each.misses.trials,
            typical=f"{each.typical:.3f}",
        )


def _faults(found: Evaluation, language: str) -> Iterator[str]:
    faulty = [(number, taken) for number, taken in enumerate(found.extracted.taken) if taken.fault]
    if not faulty:
        return
    yield ""
    yield text("head.faults", language, count=len(faulty))
    for number, taken in faulty[:LISTED]:
        kind = taken.fault if taken.fault in _NAMED else "refused"
        size = f"{taken.size[0]}x{taken.size[1]}"
        yield f"  {_path(found, number)}: " + text(f"fault.{kind}", language, size=size, fault=taken.fault)
    if len(faulty) > LISTED:
        yield "  " + text("head.more", language, count=len(faulty) - LISTED)
    if any(taken.fault == "size" for _, taken in faulty):
        yield text("head.size", language, folder=found.data.folder)


def _path(found: Evaluation, number: int) -> str:
    return found.data.pictures[number].path.relative_to(found.data.folder).as_posix()
