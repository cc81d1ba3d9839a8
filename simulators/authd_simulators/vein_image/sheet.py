"""A contact sheet of fingers, to look at."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from authd_simulators.vein_image.anatomy import anatomy, generator
from authd_simulators.vein_image.capture import Presentation, capture


def contact_sheet(seeds: Sequence[str], columns: Sequence[Presentation]) -> NDArray[np.uint8]:
    """Return one row a finger and one column a capture: uint8, shape (240 x rows, 320 x columns)."""
    rows: list[NDArray[np.uint8]] = []
    for seed in seeds:
        rng = generator(f"sheet:{seed}")
        rows.append(np.hstack([capture(anatomy(seed), rng, presentation) for presentation in columns]))
    return np.vstack(rows)


def write_png(path: str, image: NDArray[np.uint8]) -> None:
    """Write a grey picture. Raises `OSError`."""
    if not cv2.imwrite(path, image):
        raise OSError(f"cannot write {path}")
