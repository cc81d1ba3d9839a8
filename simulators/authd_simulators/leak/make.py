"""Making the leak: the register, five exports of parts of it, and the server's files."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from authd_simulators.leak import formats
from authd_simulators.leak.innocent import Innocents
from authd_simulators.leak.residents import COLUMNS, residents

REGISTER = "register"
Row = Sequence[str]


@dataclass(frozen=True, slots=True)
class Leaked:
    """A file with residents' data: which data set it is from, and how many of its rows."""

    path: str
    data_set: str
    rows: int
    how: str


@dataclass(frozen=True, slots=True)
class Made:
    """A leak in a folder: `server/` (its files), `sets/<data set>.csv` (what left the city) and `leak.json` (this)."""

    people: int
    files: int
    seed: int
    leaked: tuple[Leaked, ...]
    sets: tuple[str, ...]


def make(folder: Path, seed: int = 2015, people: int = 680_000, files: int = 14_000) -> Made:
    """Make a leak in an empty folder."""
    sets, server = folder / "sets", folder / "server"
    sets.mkdir(parents=True)
    server.mkdir()
    dice = random.Random(f"leak-{seed}")
    lines = [",".join(row) for row in residents(people, seed)]
    heading = ",".join(COLUMNS)
    (sets / f"{REGISTER}.csv").write_text("\r\n".join([heading, *lines, ""]), "cp932", newline="")
    exports = _exports(lines, dice)
    for name, rows in exports.items():
        (sets / f"{name}.csv").write_text("\r\n".join([heading, *map(",".join, rows), ""]), "cp932", newline="")
    places = iter(dice.sample(range(files), 15))
    leaked = [_put(server, next(places), *each, dice) for each in _leaks(lines, exports, dice)]
    taken = {each.path for each in leaked}
    _fill(server, files, Innocents(seed), {int(Path(path).stem.rpartition("-")[2]) for path in taken})
    made = Made(people, files, seed, tuple(leaked), (REGISTER, *exports))
    (folder / "leak.json").write_text(json.dumps(asdict(made), ensure_ascii=False, indent=1), "utf-8")
    return made


def _exports(lines: Sequence[str], dice: random.Random) -> dict[str, list[Row]]:
    """Overlapping parts of the register: a ward's, one in a hundred, the old, the young, a few streets."""
    whole = len(lines)
    sizes = {"ward": whole // 12, "sample": whole // 100, "pensions": whole // 40, "school": whole // 50, "street": 400}
    parts: dict[str, list[Row]] = {}
    for name, size in sizes.items():
        size = max(300, min(size, whole // 3))
        begin = dice.randrange(whole - size)
        rows = lines[begin : begin + size] if name in {"ward", "street"} else dice.sample(lines, size)
        parts[name] = [line.split(",") for line in rows]
    return parts


_Leak = tuple[str, str, int, str, bytes]


def _leaks(lines: Sequence[str], exports: dict[str, list[Row]], dice: random.Random) -> Iterator[_Leak]:
    """Yield data set, ending, rows, how, content of each of the 15."""
    register = ("\r\n".join([",".join(COLUMNS), *lines, ""])).encode("cp932")
    yield REGISTER, "csv", len(lines), "whole, CP932", register
    some = [line.split(",") for line in lines[: max(50, len(lines) // 1_000)]]
    yield REGISTER, "zip", len(some), "its first rows, in a zip", formats.zipped({"名簿.csv": formats.listed(some)})
    for name, ending, how, writer in _WAYS:
        rows = _chosen(exports[name], how, dice)
        yield name, ending, len(rows), how, writer(rows)


def _chosen(rows: Sequence[Row], how: str, dice: random.Random) -> list[Row]:
    found = dice.sample(rows, len(rows) if len(rows) <= 5_000 else 5_000) if "sorted" in how else list(rows[:5_000])
    if "1 %" in how:
        found = dice.sample(rows, max(20, len(rows) // 100))
    if "columns" in how:
        return [(row[6], row[3], row[1]) for row in found]
    if "turned" in how:
        return [tuple(reversed(row)) for row in found]
    return found


def _typed(row: Row) -> str:
    """A row as somebody types it: full-width digits, the era's years, no hyphens in the telephone number."""
    year, month, day = map(int, row[3].split("-"))
    born = f"昭和{year - 1925}年{month}月{day}日" if 1926 < year < 1989 else f"{year}/{month}/{day}"
    wide = row[6].translate({ord(str(digit)): chr(0xFF10 + digit) for digit in range(10)})
    return f"{row[1]} 様  {born}  {wide}  {row[7].replace('-', '')}"


_Writer = Callable[[Sequence[Row]], bytes]
_WAYS: tuple[tuple[str, str, str, _Writer], ...] = (
    ("ward", "csv", "1 % of its rows, UTF-8", lambda rows: formats.listed(rows, "utf-8")),
    ("ward", "dat", "sorted and turned, UTF-16, renamed", lambda rows: formats.listed(rows, "utf-16", "\t")),
    ("ward", "xlsx", "its first rows", lambda rows: formats.workbook(rows, numbers=True)),
    ("ward", "html", "1 % of its rows, a page", lambda rows: _page(rows)),
    ("sample", "xlsx", "sorted, three columns", formats.workbook),
    ("sample", "csv", "sorted, quoted, UTF-8 with mark", lambda rows: formats.listed(rows, "utf-8-sig", ";")),
    ("pensions", "docx", "1 % of its rows, a table", formats.document),
    ("pensions", "txt", "1 % of its rows, typed again", lambda rows: "\r\n".join(map(_typed, rows)).encode("cp932")),
    ("pensions", "jpg", "sorted, a list with a picture's name", formats.listed),
    ("school", "pdf", "1 % of its rows, printed", lambda rows: formats.printed([" ".join(row[1:8]) for row in rows])),
    ("school", "zip", "1 % of its rows, a workbook in a zip in a zip", lambda rows: _nested(rows)),
    ("school", "sql", "1 % of its rows, a dump", lambda rows: _dump(rows)),
    ("street", "docx", "its first rows, lines", lambda rows: formats.document(lines=map(_typed, rows))),
)


def _page(rows: Sequence[Row]) -> bytes:
    cells = ("".join(f"<td>{cell}</td>\n" for cell in row) for row in rows)
    return "".join(f"<tr>{row}</tr>\n" for row in cells).encode()


def _nested(rows: Sequence[Row]) -> bytes:
    return formats.zipped({"backup.zip": formats.zipped({"school.xlsx": formats.workbook(rows)})})


def _dump(rows: Sequence[Row]) -> bytes:
    values = ",".join("('" + "', '".join(row) + "')" for row in rows)
    return f"INSERT INTO pupils VALUES {values};\n".encode()  # noqa: S608 (a file's content; nobody runs it)


def _put(
    server: Path, number: int, data_set: str, ending: str, rows: int, how: str, content: bytes, dice: random.Random
) -> Leaked:
    path = server / f"d{number % 97:02}" / f"{dice.choice(('data', 'backup', 'tmp', 'old'))}-{number:05}.{ending}"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return Leaked(str(path.relative_to(server)), data_set, rows, how)


def _fill(server: Path, files: int, innocents: Innocents, taken: set[int]) -> None:
    for number in range(files):
        if number not in taken:
            ending, content = innocents.file()
            folder = server / f"d{number % 97:02}"
            folder.mkdir(exist_ok=True)
            (folder / f"file-{number:05}.{ending}").write_bytes(content)
