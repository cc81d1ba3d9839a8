"""What is wrong with a policy bundle: one error, one line for a person, made of where and what is expected."""

from __future__ import annotations


class BundleError(Exception):
    """A bundle that must not be used. `file` is relative to its folder, `line` counts from 1."""

    def __init__(self, file: str, line: int, expected: str) -> None:
        super().__init__(file, line, expected)
        self.file = file
        self.line = line
        self.expected = " ".join(expected.split())

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.expected}"
