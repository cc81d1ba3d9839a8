"""A fitted profile as the TOML file that a reader's settings name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

from authd_drivers.vein.engine.profile import SensorProfile
from authd_drivers.vein.study.fit import Fitted
from authd_drivers.vein.study.texts import text

NOTES = {
    "pitch": "millimetres of finger a pixel",
    "accept": "asks for about one presentation in twenty again",
    "threshold": "above all scores between two people of one half of the folder, and where one in a million may be",
    "comparisons": "between two people of whom one at least is of the other half",
}


HEAD = """\
Fitted by `authd vein profile` to {pictures} pictures of {fingers} fingers of {people} people{part}: {tried} settings
tried.
Measure it with `authd vein evaluate` on people who had no part in that. The threshold is only as good as the number of
comparisons below: a roster of more than a few people wants millions."""


def save(file: Path, fitted: Fitted, share: tuple[int, int] | None) -> None:
    """Write the file, whole or not at all. Raises `OSError`."""
    part = f" ({share[0]} of every {share[1]} people)" if share else ""
    counts = {"pictures": fitted.pictures, "fingers": fitted.fingers, "people": fitted.people, "tried": fitted.tried}
    beside = file.with_name(file.name + ".new")
    beside.write_text(written(fitted.profile, HEAD.format(part=part, **counts)), encoding="utf-8")
    beside.replace(file)


def described(fitted: Fitted, file: Path, language: str) -> Iterator[str]:
    """What was found out about the sensor, for people."""
    profile, region = fitted.profile, fitted.profile.region
    how = "whole" if not profile.edges.traced else "bright" if profile.edges.bright else "dark"
    window = f"{region.left},{region.top} - {region.right},{region.bottom}"
    yield text("fitted.head", language, file=file, name=profile.name, pictures=fitted.pictures, fingers=fitted.fingers)
    if fitted.left_out:
        yield text("fitted.left_out", language, count=fitted.left_out, size=f"{profile.width}x{profile.height}")
    yield text(f"fitted.{how}", language, window=window, turn=region.turn)
    yield text("fitted.tried", language, tried=fitted.tried, rate=f"{10**fitted.separation:.1e}")
    decision = profile.decision
    bound = f"{profile.fmr_bound:.1e}"
    yield text(
        "fitted.decision", language, threshold=decision.threshold, count=f"{decision.comparisons:,}", bound=bound
    )
    most = int(1e-4 / profile.fmr_bound)
    yield text("fitted.roster" if most else "fitted.no_roster", language, templates=most)
    yield text("fitted.next", language, file=file)


def checked_name(name: str) -> bool:
    """Whether a sensor can be called this: letters, digits, - and _."""
    return re.fullmatch(r"[A-Za-z0-9_-]{1,40}", name) is not None


def written(profile: SensorProfile, head: str) -> str:
    """Return the file's text; `head` (lines) becomes its first comment."""
    return "\n".join([*(f"# {line}".rstrip() for line in head.splitlines()), *_lines(profile)]) + "\n"


def _lines(profile: SensorProfile) -> Iterator[str]:
    """Plain settings first: in TOML they end where the first table begins."""
    tables: list[str] = []
    for field in fields(profile):
        value = getattr(profile, field.name)
        if is_dataclass(value):
            tables += ["", f"[{field.name}]", *(_line(each.name, getattr(value, each.name)) for each in fields(value))]
        elif isinstance(value, (str, int, float)):
            yield _line(field.name, value)
    yield from tables


def _line(name: str, value: object) -> str:
    note = NOTES.get(name)
    return f"{name} = {_plain(value)}" + (f"  # {note}" if note else "")


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)
