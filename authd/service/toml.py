"""A strict reader of TOML that knows the line of every key, for errors that a person can act on: one line each."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar, cast

Path = tuple[str, ...]
_T = TypeVar("_T")
LONGEST = 400
"""Characters of an error: what was found instead may be anything, and as long as a file."""


class BadText(Exception):
    """A file that must not be used as it is. `line` counts from 1."""

    def __init__(self, file: str, line: int, expected: str) -> None:
        super().__init__(file, line, expected)
        self.file = file
        self.line = line
        self.expected = " ".join(expected.split())

    def __str__(self) -> str:
        return one_line(f"{self.file}:{self.line}: {self.expected}")


def one_line(text: str) -> str:
    """Return the text as one line of bounded length that cannot steer a terminal."""
    short = text if len(text) <= LONGEST else text[: LONGEST - 4] + " ..."
    return "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in short)


class Reader:
    """One TOML text. Methods raise `BadText` where it is not as asked; a missing key has its default."""

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        try:
            self._data: Mapping[str, Any] = tomllib.loads(text)
        except ValueError as error:  # TOMLDecodeError is one; a number of 5,000 digits is another
            raise BadText(file, _line_in(str(error), text), f"expected TOML: {error}") from error
        except RecursionError as error:
            raise BadText(file, 1, "expected TOML that is less deeply nested") from error
        self._lines = _lines(text)

    def fail(self, path: Path, expected: str) -> NoReturn:
        """Refuse what stands at `path`."""
        raise BadText(self.file, self.line(path), expected)

    def line(self, path: Path) -> int:
        """Return the line of what stands at `path`, else that of the nearest table around it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self._lines:
                return self._lines[path[:length]]
        return 1

    def _at(self, path: Path, default: object) -> object:
        found: Any = self._data
        for name in path:
            if not isinstance(found, dict) or name not in found:
                return default
            found = cast("dict[str, Any]", found)[name]
        return found

    def names(self, path: Path) -> Sequence[str]:
        """Keys of the table at `path`; none if it is missing."""
        table = self._at(path, {})
        if not isinstance(table, dict):
            self.fail(path, f"{'.'.join(path)} must be a table, got {table!r}")
        return list(cast("dict[str, Any]", table))

    def only(self, path: Path, known: Sequence[str]) -> None:
        """Refuse every key of the table at `path` that is not known."""
        for name in self.names(path):
            if name not in known:
                self.fail((*path, name), f"unknown key {name}, expected one of: {', '.join(known)}")

    def number(self, path: Path, default: float, low: float, high: float, standard: str) -> float:
        """Return a number from `low` to `high`; `standard` says who sets those bounds."""
        value = self._at(path, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.fail(path, f"{path[-1]} must be a number, got {value!r}")
        if not low <= value <= high:
            bound = f">= {low:g}" if value < low else f"<= {high:g}"
            self.fail(path, f"{path[-1]} must be {bound} ({standard}), got {value!r}")
        return float(value)

    def flag(self, path: Path, default: bool) -> bool:
        """Return true or false."""
        value = self._at(path, default)
        if not isinstance(value, bool):
            self.fail(path, f"{path[-1]} must be true or false, got {value!r}")
        return value

    def string(self, path: Path, default: str) -> str:
        """Return a string."""
        value = self._at(path, default)
        if not isinstance(value, str):
            self.fail(path, f"{path[-1]} must be a string, got {value!r}")
        return value

    def choice(self, path: Path, default: str, known: Sequence[str]) -> str:
        """Return one of the known strings."""
        value = self.string(path, default)
        if value not in known:
            self.fail(path, f"{path[-1]} must be one of {', '.join(known)}, got {value!r}")
        return value

    def one_of(self, path: Path, default: _T, known: Sequence[_T]) -> _T:
        """Return one of the known values, each of its own type: `1` is not `true`."""
        value = self._at(path, default)
        found = [each for each in known if type(value) is type(each) and value == each]
        if found:
            return found[0]
        return self.fail(path, f"{path[-1]} must be one of {', '.join(map(repr, known))}, got {value!r}")

    def strings(self, path: Path, default: list[str], good: Callable[[str], bool], each: str) -> Sequence[str]:
        """Return a list of strings, each of which is `good`; `each` says what that is."""
        values = self._at(path, default)
        if not isinstance(values, list):
            self.fail(path, f"{path[-1]} must be a list, got {values!r}")
        for value in cast("list[object]", values):
            if not isinstance(value, str) or not good(value):
                self.fail(path, f"{path[-1]} must hold {each}, got {value!r}")
        return cast("list[str]", values)


def _line_in(message: str, text: str) -> int:
    if "at end of document" in message:
        return text.rstrip("\n").count("\n") + 1
    match = re.search(r"at line (\d+)", message)
    return int(match[1]) if match else 1


def _lines(text: str) -> Mapping[Path, int]:
    """Line of every table header and of every key at the start of a line."""
    table: Path = ()
    lines: dict[Path, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if stripped.startswith("["):
            table = _path(stripped) or table
            for length in range(1, len(table) + 1):
                lines.setdefault(table[:length], number)
        elif key := _path(stripped.partition("=")[0] + " = {}"):
            lines.setdefault(table + key, number)
    return lines


def _path(text: str) -> Path:
    """The names in `[a.b]` or `a.b = {}`; none where the text is neither."""
    try:
        found: Any = tomllib.loads(text)
    except (ValueError, RecursionError):
        return ()
    names: list[str] = []
    while isinstance(found, dict) and len(cast("dict[str, Any]", found)) == 1:
        name, found = next(iter(cast("dict[str, Any]", found).items()))
        names.append(name)
    return tuple(names)
