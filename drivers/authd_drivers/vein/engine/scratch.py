"""Everything that still looks like a finger is wiped: arrays made from a capture are kept here until then."""

from __future__ import annotations

from types import TracebackType
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

_Array = TypeVar("_Array", bound=npt.NDArray[Any])


class Scratch:
    """A context in which arrays are handed over and at whose end each is overwritten.

    What OpenCV and NumPy hold inside one call (filter rows, hidden temporaries) cannot be reached; the engine writes
    into arrays of its own wherever a call lets it.
    """

    def __init__(self) -> None:
        self._arrays: list[npt.NDArray[Any]] = []

    def __call__(self, array: _Array) -> _Array:
        """Take the array over and return it."""
        self._arrays.append(array)
        return array

    def floats(self, *shape: int) -> npt.NDArray[np.float32]:
        """Return a new array of unspecified content."""
        return self(np.empty(shape, np.float32))

    def __enter__(self) -> Scratch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for array in self._arrays:
            array.fill(0)
        self._arrays.clear()
