"""A file of prints that is not one, and one that lies about itself: told, or searched within its bounds."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from authd.service.evidence.trace.form import About, BadPrints
from authd.service.evidence.trace.make import PrintsMaker
from authd.service.evidence.trace.prints import Printer
from authd.service.evidence.trace.search import Prints

KEY = bytes(32)
_HERE = tempfile.TemporaryDirectory(prefix="authd-fuzz-prints")
FOLDER = Path(_HERE.name)


def one(data: bytes) -> None:
    path = FOLDER / "x.prints"
    path.write_bytes(data)
    with Prints(path) as prints:
        prints.verify()
        field = Printer(KEY).field("1")
        place = prints.value(field)
        if place >= 0:
            prints.often(place)
            prints.holders(place)
        if prints.row(field) is not None:
            prints.checks(0)
            prints.record(0)


def declared(error: Exception) -> bool:
    return isinstance(error, BadPrints)


def seeds() -> Iterator[bytes]:
    for rows in (0, 1, 3):
        maker = PrintsMaker(KEY, ("a", "b"))
        for number in range(rows):
            maker.add([str(number), "x"], canary=number == 2)
        yield maker.write(FOLDER, About(id="seed", kind="export")).path.read_bytes()
