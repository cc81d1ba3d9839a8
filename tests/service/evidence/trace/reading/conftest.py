from __future__ import annotations

import io
from collections.abc import Sequence

import pytest

from authd.service.evidence.trace.reading import Budget, Cell, Why, read


class Heard:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.parts: list[tuple[str, str]] = []
        self.rows: list[list[str]] = []
        self.lines: list[str] = []
        self.troubles: list[tuple[str, Why]] = []
        self._kept: list[str] = []

    def part(self, path: str, kind: str) -> None:
        self.parts.append((path, kind))

    def field(self, text: str) -> int:
        self._kept.append(text)
        return len(self._kept) - 1

    def row(self, cells: Sequence[Cell]) -> None:
        self.rows.append([self._kept[cell] if isinstance(cell, int) else cell for cell in cells])

    def line(self, text: str) -> None:
        self.lines.append(text)

    def trouble(self, path: str, why: Why, detail: str) -> None:
        self.troubles.append((path, why))

    def read(self, content: bytes, budget: Budget | None = None) -> Heard:
        read(io.BytesIO(content), "file", len(content), self, budget or Budget(len(content)))
        return self


@pytest.fixture
def heard() -> Heard:
    return Heard()
