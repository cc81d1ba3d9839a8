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

PIPELINES = {"finger": ("TomesLeeMask", "HuangNormalization"), "region": ("NoMask", "NoNormalization")}
"""Mask and normalisation for what a picture shows: a whole finger, as in the peer's baseline, or a region of interest
that someone cut out of one. Without the normalisation whole fingers of SDUMLA were recognised worse."""

SHIPPED = (80, 90)
"""How many rows and columns the match looks away from no shift; chosen by the peer for the pictures of UTFVP."""
_UTFVP = (380, 672)


def displacements(rows: int, columns: int) -> dict[str, tuple[int, int]]:
    """What the match is tried with on maps of a size: as shipped, the same share of the map, and half of that.

    On whole fingers `scaled` was the most accurate (SDUMLA: EER 6.7 % of 53 fingers of all kinds, `near` 8.7, `shipped`
    9.0), on regions of FV-USM `near`, which is the slowest. Left out is what would leave nothing of the model, of which
    the match cuts off so much at each side.
    """
    share = [SHIPPED[0] * rows / _UTFVP[0], SHIPPED[1] * columns / _UTFVP[1]]
    tried = {
        "shipped": SHIPPED,
        "scaled": (round(share[0]), round(share[1])),
        "near": (round(share[0] / 2), round(share[1] / 2)),
    }
    return {name: (down, right) for name, (down, right) in tried.items() if 2 * down < rows and 2 * right < columns}


class Peer:
    """Veins by maximum curvature, compared by Miura's match."""

    def __init__(self, shows: str) -> None:
        cut: Any = import_module("bob.bio.vein.preprocessor")
        mask, normalisation = PIPELINES[shows]
        self._prepare = cut.Preprocessor(
            crop=cut.NoCrop(),
            mask=getattr(cut, mask)(),
            normalize=getattr(cut, normalisation)(),
            filter=cut.NoFilter(),
        )
        self._veins = import_module("bob.bio.vein.extractor").MaximumCurvature()
        self._matches = import_module("bob.bio.vein.algorithm").MiuraMatch

    def extract(self, frame: Image) -> npt.NDArray[Any]:
        """Veins as a map of zeros and ones."""
        veins: npt.NDArray[Any] = self._veins(self._prepare(frame))
        return veins

    def compare(self, a: npt.NDArray[Any], b: npt.NDArray[Any], displacement: tuple[int, int]) -> float:
        """0 to 0.5, `a` as the model."""
        rows, columns = displacement
        return float(self._matches(ch=rows, cw=columns).score(a, b))
