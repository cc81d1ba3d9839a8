"""What belongs to one kind of sensor: sizes, settings and the decision, as data files beside the package.

A new sensor is a new TOML file, measured on that sensor's own captures, never a change of code. The verifier child
reads these too, so nothing here imports more than the standard library.
"""

from __future__ import annotations

import hashlib
import math
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

MAX_PIXELS = 16_000_000
PROFILES = Path(__file__).resolve().parent.parent / "profiles"


@dataclass(frozen=True, slots=True)
class RegionSettings:
    """What of the frame is looked at, and how large: everything after it is in pixels of this *view*.

    The window `left` to `right`, `top` to `bottom` (pixels of the frame) is turned by `turn` degrees clockwise, so that
    the finger lies along the rows, and resized to `columns` x `rows`.
    """

    left: int
    top: int
    right: int
    bottom: int
    turn: int
    columns: int
    rows: int


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """How the finger's edges are traced. `left` and `right` leave out columns where the housing is in view (pixels)."""

    traced: bool
    """False for a sensor whose frames end at the finger's edges: there is nothing to trace."""
    bright: bool
    """Whether the finger is brighter than what is around it; False where lamps shine past it."""
    left: int
    right: int
    columns: int
    rows: int
    reach: float
    """Share of the height, from above and from below, in which an edge is looked for."""
    floor: float
    """Grey levels added before the logarithm: the sensor's dark noise."""
    blur: float
    clip: float
    """Gradients beyond this count no more than this, so that a bright neighbour does not win."""
    stiffness: float


@dataclass(frozen=True, slots=True)
class UnwrapSettings:
    """How the finger is unrolled, to `rows` x `columns`, each a multiple of 32 x 64."""

    columns: int
    rows: int
    degrees: float
    """Half of the angle that is seen of the cylinder."""
    degree: int
    """Of the polynomial through each edge."""
    rounds: int
    slack: float
    """Pixels off the polynomial from which a column loses weight."""


@dataclass(frozen=True, slots=True)
class RidgeSettings:
    """How veins are found: `sigma` in unrolled pixels, `keep` the share of ridge pixels that count."""

    sigma: float
    keep: float


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """Largest shift of one template over another, in cells of 32 x 64."""

    rows: int
    columns: int


@dataclass(frozen=True, slots=True)
class QualitySettings:
    """When a person is asked to lay the finger down again.

    Quality is the logistic function of clarity (mean log curvature) minus the weighted edge residual (pixels), both in
    standard deviations of this sensor's captures; below `accept` no template is made.
    """

    clarity: float
    clarity_spread: float
    residual: float
    residual_spread: float
    residual_weight: float
    accept: float
    edge_contrast: float
    """Mean edge gradient below which there is no finger."""
    width_min: float
    width_max: float
    """Of the finger, as a share of the frame's height."""
    slope_max: float
    """Of the finger's axis: rows a column."""
    taper_min: float
    """Least width of the finger as a share of its median: less is a fingertip in view."""
    grain_max: float
    """Roughness at the finest scale (`quality.grain_of`) above which it is no finger: print, weave, text, noise."""
    odd_max: float
    """Standard deviations above usual of clarity, or of the edge residual, beyond which it is no finger."""
    crests_min: float
    crests_max: float
    """Share of the skin's pixels on a crest of curvature: noise has more of them, a smooth or striped thing fewer."""


@dataclass(frozen=True, slots=True)
class DecisionSettings:
    """The fixed threshold and what is known about it.

    `false_matches` in `comparisons` were counted between fingers of different people whose captures did not fix the
    threshold; the two numbers give the bound, nothing else does.
    """

    threshold: float
    margin: float
    """Least distance to the second-best person."""
    agree: float
    """Least score between any two presentations of an enrolment: about where one in 10,000 pairs of fingers is."""
    comparisons: int
    false_matches: int


@dataclass(frozen=True, slots=True)
class RosterSettings:
    """What identification costs among up to `people` people of two enrolled fingers each, with one touch or with two.

    `fingers` 2: two touches of different fingers, judged by the sum of their scores (engine/fusion.py). `bound`: upper
    95 % bound of the chance that a touch (or pair of them) names somebody else. `fnir_percent`: touches without a name.
    """

    people: int
    fingers: int
    threshold: float
    margin: float
    fnir_percent: float
    bound: float


@dataclass(frozen=True, slots=True)
class PadSettings:
    """What a living finger measures in one of the cues of engine/pad.py: beyond `least` or `most` it is an attack.

    Fixed on living fingers alone, so that an attack that nobody thought of is judged by the same limits.
    """

    cue: str
    usual: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class SensorProfile:
    """One kind of sensor: `width` x `height` pixels, one of which is `pitch` millimetres of finger."""

    name: str
    width: int
    height: int
    pitch: float
    tries: int
    """Frames of one touch that are tried before the person gets a hint."""
    region: RegionSettings
    edges: EdgeSettings
    unwrap: UnwrapSettings
    ridges: RidgeSettings
    search: SearchSettings
    quality: QualitySettings
    decision: DecisionSettings
    roster: tuple[RosterSettings, ...] = ()
    """By people, then by fingers; none where nobody has measured it."""
    pad: tuple[PadSettings, ...] = ()
    """Cues against false fingers; none where nobody has measured any: then nothing is done against them."""

    @property
    def id(self) -> int:
        """Stands for the sensor in every template: 32 bits of a hash over the name and all that shapes a template.

        Captures of two sensors, or of one under other settings, are never compared.
        """
        shaping = (self.name, self.width, self.height, self.region, self.edges, self.unwrap, self.ridges)
        return int.from_bytes(hashlib.sha256(repr(shaping).encode()).digest()[:4])

    @property
    def fmr_bound(self) -> float:
        """Exact upper 95 % bound of the false match rate of one comparison at the threshold."""
        return upper_bound(self.decision.false_matches, self.decision.comparisons)


class ProfileError(ValueError):
    """No such profile, or its file is wrong; the message names the file and the key."""


def profile_names() -> list[str]:
    """Names of the profiles that ship with the driver."""
    return sorted(path.stem for path in PROFILES.glob("*.toml"))


@cache
def load_profile(name: str) -> SensorProfile:
    """Read a shipped profile by name. Raises `ProfileError`."""
    if name not in profile_names():
        raise ProfileError(f"profile {name[:40]!r}: one of {', '.join(profile_names())} is expected")
    return read_profile(PROFILES / f"{name}.toml")


def named(name: str) -> SensorProfile:
    """Return a shipped profile by its name, or that of a file by its path (`/etc/mine.toml`). Raises `ProfileError`."""
    return read_profile(Path(name)) if name.endswith(".toml") else load_profile(name)


def read_profile(path: Path) -> SensorProfile:
    """Read a profile from a file. Raises `ProfileError`."""
    try:
        return parse_profile(path.read_text("utf-8"), path.name)
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"{path.name}: {error}") from error


def parse_profile(text: str, where: str) -> SensorProfile:
    """Read a profile from the text of a file, `where` for messages. Raises `ProfileError`."""
    try:
        table = tomllib.loads(text)
    except ValueError as error:
        raise ProfileError(f"{where}: {error}") from error
    parts = {key: _filled(kind, table.get(key), f"{where}: [{key}]") for key, kind in _PARTS.items()}
    lists = {
        key: tuple(_filled(kind, row, f"{where}: [[{key}]]") for row in _listed(table, key, where))
        for key, kind in _LISTS.items()
    }
    profile = _filled(SensorProfile, {**table, **parts, **lists}, where)
    for wrong, why in _wrongs(profile):
        if wrong:
            raise ProfileError(f"{where}: {why}")
    return profile


def readable_profiles(texts: Iterable[str]) -> Iterator[SensorProfile]:
    """Profiles from texts; a wrong one is left out, and the reader that names it says what is wrong with it."""
    for text in texts:
        with suppress(ProfileError):
            yield parse_profile(text, "shared")


def _wrongs(profile: SensorProfile) -> Iterator[tuple[bool, str]]:
    """What a profile can be wrong about, and how to say it."""
    region, edges, unwrap = profile.region, profile.edges, profile.unwrap
    yield not 1 <= profile.width * profile.height <= MAX_PIXELS, f"frames of at most {MAX_PIXELS} pixels are expected"
    yield not 1 <= profile.tries <= 20, "tries: 1 to 20 are expected"
    yield profile.pitch <= 0, "pitch: more than 0 is expected"
    inside = 0 <= region.left < region.right <= profile.width and 0 <= region.top < region.bottom <= profile.height
    yield not inside, "[region]: a window inside the frame is expected"
    yield region.turn not in (0, 90, 180, 270), "[region]: turn: 0, 90, 180 or 270 is expected"
    yield not (16 <= region.columns <= 4096 and 16 <= region.rows <= 4096), "[region]: 16 to 4096 pixels are expected"
    yield not 0 <= edges.left < edges.right <= region.columns, "[edges]: columns inside the view are expected"
    yield (
        not (8 <= edges.columns <= 1024 and 16 <= edges.rows <= 1024),
        "[edges]: a grid of 8x16 to 1024x1024 is expected",
    )
    whole = 64 <= unwrap.columns <= 1024 and 32 <= unwrap.rows <= 1024
    yield (
        not whole or unwrap.columns % 64 != 0 or unwrap.rows % 32 != 0,
        "[unwrap]: multiples of 64 columns and 32 rows are expected",
    )
    yield not 0 < unwrap.degrees < 90, "[unwrap]: degrees: more than 0 and less than 90 are expected"
    yield not 0.3 <= profile.ridges.sigma <= 30, "[ridges]: sigma: 0.3 to 30 are expected"
    yield not 0 < profile.ridges.keep <= 1, "[ridges]: keep: more than 0, at most 1 is expected"
    yield profile.search.rows < 0 or profile.search.columns < 0, "[search]: 0 or more cells are expected"
    yield not -1 <= profile.decision.threshold <= 1, "[decision]: threshold: -1 to 1 is expected"
    good = all(row.people >= 1 and row.fingers in (1, 2) and 0 < row.bound <= 1 for row in profile.roster)
    yield not good, "[[roster]]: people, 1 or 2 fingers and a bound up to 1 are expected"
    yield any(not row.least < row.usual < row.most for row in profile.pad), "[[pad]]: least < usual < most is expected"


_PARTS: Mapping[str, type[Any]] = {
    "region": RegionSettings,
    "edges": EdgeSettings,
    "unwrap": UnwrapSettings,
    "ridges": RidgeSettings,
    "search": SearchSettings,
    "quality": QualitySettings,
    "decision": DecisionSettings,
}
_LISTS: Mapping[str, type[Any]] = {"roster": RosterSettings, "pad": PadSettings}
_Part = TypeVar("_Part")
_KINDS: Mapping[str, type] = {"bool": bool, "int": int, "float": float, "str": str}


def _listed(table: Mapping[str, Any], key: str, where: str) -> list[object]:
    """Return the rows of `[[roster]]` or `[[pad]]`. Raises `ProfileError`."""
    rows = table.get(key, [])
    if not isinstance(rows, list):
        raise ProfileError(f"{where}: [[{key}]]: an array of tables is expected")
    return cast("list[object]", rows)


def _filled(kind: type[_Part], content: object, where: str) -> _Part:
    """Make a `kind` from a table that has exactly its keys. Raises `ProfileError`."""
    if not isinstance(content, dict):
        raise ProfileError(f"{where}: a table is expected")
    table = cast("dict[str, Any]", content)
    expected = {field.name: str(field.type) for field in fields(cast("Any", kind))}
    if wrong := set(table) ^ set(expected):
        raise ProfileError(f"{where}: {min(wrong)} is missing or unknown")
    for key, name in expected.items():
        plain = _KINDS.get(name)
        if plain and not (type(table[key]) is plain or (plain is float and type(table[key]) is int)):
            raise ProfileError(f"{where}: {key}: {name} is expected")
        if plain is float and not math.isfinite(table[key]):
            raise ProfileError(f"{where}: {key}: a finite number is expected")
    return kind(**table)


def upper_bound(errors: int, trials: int, confidence: float = 0.95) -> float:
    """Exact one-sided upper bound of a rate after `errors` in `trials` (Clopper and Pearson 1934), by bisection."""
    if not 0 <= errors < trials:
        return 1.0
    low, high = errors / trials, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        if _at_most(errors, trials, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _at_most(errors: int, trials: int, rate: float) -> float:
    """Probability of at most `errors` in `trials`, summed from the largest term down in logarithms."""
    if rate >= 1.0:
        return 0.0
    term = math.lgamma(trials + 1) - math.lgamma(errors + 1) - math.lgamma(trials - errors + 1)
    term += errors * math.log(rate) + (trials - errors) * math.log1p(-rate) if rate > 0 else 0.0
    odds = rate / (1 - rate)
    total, ratio = 1.0, 1.0
    for k in range(errors, 0, -1):
        ratio *= k / ((trials - k + 1) * odds)
        total += ratio
        if ratio < 1e-17 * total:
            break
    return math.exp(min(0.0, term + math.log(total)))
