"""The peer, bob.bio.vein: its own maximum curvature baseline, called as its documentation shows.

Runs in the peer's environment only (`make peer-vein`), in a process of its own. The peer is under GPLv3 and no part of
the project: it is called here to be measured.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

FINGER, REGION = "finger", "region"
"""What a picture shows: a whole finger, or a region of interest that someone cut out of one."""

SHIPPED = (80, 90)
_TUNED_ON = (380, 672)
"""Rows and columns of UTFVP, for whose pictures the shipped displacements were chosen."""


def scaled(rows: int, columns: int) -> tuple[int, int]:
    """The same share of a picture of another size."""
    return round(SHIPPED[0] * rows / _TUNED_ON[0]), round(SHIPPED[1] * columns / _TUNED_ON[1])


class Peer:
    """Veins by maximum curvature, compared by Miura's match."""

    def __init__(self, shows: str = FINGER, displacement: tuple[int, int] = SHIPPED) -> None:
        cut: Any = import_module("bob.bio.vein.preprocessor")
        whole = shows == FINGER
        self._prepare = cut.Preprocessor(
            crop=cut.NoCrop(),
            mask=cut.TomesLeeMask() if whole else cut.NoMask(),
            normalize=cut.HuangNormalization() if whole else cut.NoNormalization(),
            filter=cut.NoFilter(),
        )
        self._veins = import_module("bob.bio.vein.extractor").MaximumCurvature()
        rows, columns = displacement
        self._match = import_module("bob.bio.vein.algorithm").MiuraMatch(ch=rows, cw=columns)

    def extract(self, frame: Image) -> npt.NDArray[Any]:
        """Veins as a map of zeros and ones."""
        veins: npt.NDArray[Any] = self._veins(self._prepare(frame))
        return veins

    def compare(self, a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
        """0 to 0.5, `a` as the model."""
        return float(self._match.score(a, b))
