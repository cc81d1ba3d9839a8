"""A contact sheet of fingers, and of what is shown to the reader in their place, to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from authd_simulators.vein_image.anatomy import anatomy, generator
from authd_simulators.vein_image.attacks import PRINTS, Injected, Species, on_screen, printed
from authd_simulators.vein_image.capture import HEIGHT, WIDTH, Image, Presentation, capture
from authd_simulators.vein_image.lamps import Lamp

LEFT, TOP = 200, 28
"""Pixels for the labels of the rows and of the columns."""
_INK = 220


def contact_sheet(
    seeds: Sequence[str], columns: Sequence[Presentation | Species], seed: int = 1, labels: Sequence[str] = ()
) -> Image:
    """Return one row a finger and one column a touch: uint8, shape (28 + 240 x rows, 200 + 320 x columns).

    labels: of the rows, the seeds themselves by default; ASCII only.
    """
    sheet = np.zeros((TOP + HEIGHT * len(seeds), LEFT + WIDTH * len(columns)), np.uint8)
    for place, column in enumerate(columns):
        _write(sheet, f"touch {place + 1}: {column.value.replace('_', ' ')}", LEFT + WIDTH * place + 6, TOP - 9)
    for row, finger in enumerate(seeds):
        top = TOP + HEIGHT * row
        for line, text in enumerate((labels[row] if labels else finger).split("/")):
            _write(sheet, text.replace("_", " "), 8, top + 30 + 22 * line)
        for place, column in enumerate(columns):
            left = LEFT + WIDTH * place
            sheet[top : top + HEIGHT, left : left + WIDTH] = shown(finger, column, f"{seed}:{finger}:{place}")
    return sheet


def shown(finger: str, what: Presentation | Species, seed: str) -> Image:
    """Take a picture of a finger, or of an attack with what was recorded of it: the same one for the same arguments."""
    rng = generator(f"sheet:{seed}")
    if isinstance(what, Presentation):
        return capture(anatomy(finger), rng, what)
    record = capture(anatomy(finger), rng)
    if what in PRINTS:
        wearer = anatomy(f"wearer of {finger}") if what is Species.PRINT_SLEEVE else None
        return printed(record, what, rng, wearer).picture(Lamp.ON, 0.0, rng)
    if what is Species.SCREEN:
        return on_screen(record, rng).picture(Lamp.ON, 0.0, rng)
    return Injected(what, [(Lamp.ON, record)]).picture(Lamp.ON, 0.0, rng)


def _write(sheet: Image, text: str, left: int, base: int) -> None:
    cv2.putText(sheet, text, (left, base), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INK, 1, cv2.LINE_AA)


def write_png(path: Path, image: Image) -> None:
    """Write a grey picture, whatever the file is called. Raises `OSError`."""
    good, data = cv2.imencode(".png", image)
    if not good:
        raise OSError(f"cannot write {path}")
    path.write_bytes(data.tobytes())
