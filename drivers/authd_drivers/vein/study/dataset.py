"""A folder of pictures and a pattern that says whose finger each shows.

The pattern is a regular expression with the named groups `subject`, `finger` and `sample`, and optionally `hand` and
`session`. It is searched (`re.search`: anchor it with ^ and $ where that matters) in each file's path relative to the
folder, written with forward slashes. Files without a picture's suffix are passed over before that.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

EXAMPLE = r"(?P<subject>\d+)/(?P<hand>left|right)/(?P<finger>\w+)_(?P<sample>\d+)\.bmp$"
REQUIRED, OPTIONAL = ("subject", "finger", "sample"), ("hand", "session")
SUFFIXES = frozenset(
    f".{kind}"
    for kinds in ("bmp dib png jpg jpeg jpe jp2 tif tiff webp avif gif", "pgm ppm pbm pnm ras sr")
    for kind in kinds.split()
)
MAX_FILES = 200_000

Numbers = npt.NDArray[np.intp]
Key = tuple[tuple[int, int, str], ...]


class DatasetError(ValueError):
    """The folder, the pattern or the list of exclusions cannot be used. id and values: of a text (texts.py)."""

    def __init__(self, id: str, /, **values: object) -> None:  # noqa: A002 (the word of authd.locale)
        super().__init__(id, values)
        self.id, self.values = id, values


@dataclass(frozen=True, slots=True)
class Picture:
    """One file, and what its path says of it. finger: with its hand; session: empty where there is no such group."""

    path: Path
    subject: str
    finger: str
    session: str
    sample: str

    @property
    def label(self) -> str:
        """The finger among all: `001/left/index`."""
        return f"{self.subject}/{self.finger}"


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Pictures by subject, finger, session and sample (numbers in names count as numbers).

    finger: number of the finger of each picture; subject: number of the person of each *finger*. skipped: files with a
    picture's suffix that the pattern does not fit.
    """

    folder: Path
    pictures: tuple[Picture, ...]
    skipped: tuple[str, ...] = ()
    fingers: tuple[str, ...] = field(init=False)
    finger: Numbers = field(init=False)
    subjects: tuple[str, ...] = field(init=False)
    subject: Numbers = field(init=False)

    def __post_init__(self) -> None:
        owners = {picture.label: picture.subject for picture in self.pictures}
        numbers = {label: number for number, label in enumerate(owners)}
        people = {name: number for number, name in enumerate(dict.fromkeys(owners.values()))}
        found = np.array([numbers[picture.label] for picture in self.pictures], np.intp)
        for name, value in (
            ("fingers", tuple(owners)),
            ("finger", found),
            ("subjects", tuple(people)),
            ("subject", np.array([people[owner] for owner in owners.values()], np.intp)),
        ):
            object.__setattr__(self, name, value)

    @property
    def paths(self) -> list[Path]:
        """Files in order."""
        return [picture.path for picture in self.pictures]

    def of(self, subjects: Iterable[str]) -> Dataset:
        """Return the part that shows these people."""
        wanted = set(subjects)
        return Dataset(self.folder, tuple(each for each in self.pictures if each.subject in wanted), self.skipped)

    def part(self, share: tuple[int, int], *, left: bool = False) -> Dataset:
        """Return so many of every so many people, all their fingers: for (1, 3) each third one; `left`: the others.

        By people, because by fingers a third of six fingers each would be everybody's index fingers.
        """
        taken, of = share
        wanted = [name for number, name in enumerate(self.subjects) if (number % of < taken) is not left]
        return self.of(wanted)

    def first(self, people: int) -> Dataset:
        """Return the part that shows the first so many people."""
        return self.of(self.subjects[:people])


def read_folder(folder: Path, pattern: str) -> Dataset:
    """Find the pictures of a folder. Raises `DatasetError` with what was seen and an example."""
    if not folder.is_dir():
        raise DatasetError("no_folder", folder=folder)
    compiled = compile_pattern(pattern)
    pictures: dict[tuple[str, ...], Picture] = {}
    skipped: list[str] = []
    for name in sorted(islice(_files(folder), MAX_FILES + 1)):
        picture = _picture(folder, name, compiled)
        if picture is None:
            skipped.append(name)
            continue
        key = (picture.subject, picture.finger, picture.session, picture.sample)
        if key in pictures:
            one = pictures[key].path.relative_to(folder).as_posix()
            raise DatasetError("duplicate", one=one, other=name, key="/".join(filter(None, key)))
        pictures[key] = picture
    if len(pictures) + len(skipped) > MAX_FILES:
        raise DatasetError("too_many_files", limit=MAX_FILES)
    if not pictures:
        _say_none(folder, pattern, skipped)
    return Dataset(folder, tuple(pictures[key] for key in sorted(pictures, key=_natural)), tuple(skipped))


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile the pattern and check its groups. Raises `DatasetError`."""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise DatasetError("bad_pattern", detail=error, pattern=pattern, example=EXAMPLE) from None
    if missing := [name for name in REQUIRED if name not in compiled.groupindex]:
        raise DatasetError("no_group", groups=", ".join(missing), pattern=pattern, example=EXAMPLE)
    if unknown := [name for name in compiled.groupindex if name not in REQUIRED + OPTIONAL]:
        raise DatasetError("unknown_group", groups=", ".join(unknown), known=", ".join(REQUIRED + OPTIONAL))
    return compiled


def read_exclusions(entries: Sequence[str], dataset: Dataset) -> tuple[tuple[str, str], ...]:
    """Pairs of fingers that are not compared because they are one: `A=B`, or a file with one such line a pair.

    Raises `DatasetError`, also for a finger that the folder does not show.
    """
    pairs: list[tuple[str, str]] = []
    for line in _lines(entries):
        one, equals, other = (part.strip() for part in line.partition("="))
        if not equals:
            raise DatasetError("bad_exclusion", line=line, example=" = ".join(_two(dataset)))
        for label in (one, other):
            if label not in dataset.fingers:
                raise DatasetError("unknown_finger", finger=label, example=dataset.fingers[0])
        pairs.append((one, other))
    return tuple(pairs)


def _two(dataset: Dataset) -> tuple[str, str]:
    return dataset.fingers[0], dataset.fingers[min(1, len(dataset.fingers) - 1)]


def _lines(entries: Sequence[str]) -> Iterator[str]:
    for entry in entries:
        if "=" in entry and not Path(entry).is_file():
            yield entry
            continue
        try:
            text = Path(entry).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DatasetError("no_exclusions", file=entry, detail=error) from None
        yield from filter(None, (line.partition("#")[0].strip() for line in text.splitlines()))


def _files(folder: Path) -> Iterator[str]:
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in names:
            if Path(name).suffix.lower() in SUFFIXES:
                yield Path(place, name).relative_to(folder).as_posix()


def _picture(folder: Path, name: str, pattern: re.Pattern[str]) -> Picture | None:
    found = pattern.search(name)
    said: Mapping[str, str | None] = found.groupdict() if found else {}
    subject, finger, sample = (said.get(group) or "" for group in REQUIRED)
    if not (subject and finger and sample):
        return None
    hand, session = (said.get(group) or "" for group in OPTIONAL)
    return Picture(folder / name, subject, f"{hand}/{finger}" if hand else finger, session, sample)


def _say_none(folder: Path, pattern: str, skipped: Sequence[str]) -> None:
    if not skipped:
        raise DatasetError("no_pictures", folder=folder, suffixes=" ".join(sorted(SUFFIXES)))
    raise DatasetError("no_match", pattern=pattern, count=len(skipped), seen=skipped[0], example=EXAMPLE)


def _natural(names: Iterable[str]) -> tuple[Key, ...]:
    """Sort key by which sample 10 comes after sample 9."""
    return tuple(
        tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"([0-9]+)", name) if part)
        for name in names
    )
