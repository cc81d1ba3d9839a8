"""What a web server's access log says: who was let in, from where, when. Nothing of which page.

A line that cannot be read is counted, never guessed. The file is read as it grows, across rotation and truncation; a
line and a look are bounded, so that whoever writes the log cannot fill our memory.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BufferedReader
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from authd.broker.unattributed.compare import LOCAL, Access, clean
from authd.broker.unattributed.settings import Weblog

LONGEST: Final = 16_384
"""Bytes of a line; a longer one is counted as one that cannot be read."""
MOST_BYTES: Final = 8 * 1_048_576
"""Read in one look; the rest waits for the next."""
LATEST_MS: Final = 4_102_444_800_000
"""The year 2100; a time behind it is none."""
# host ident user [time] "request" status size; whatever stands behind is the site's own (referer, agent).
_COMBINED: Final = re.compile(
    r"(?P<address>\S{1,64}) \S{1,64} (?P<account>[^\[\n]{1,120}?) \[(?P<time>[^\]\n]{1,40})\] "
    r'"(?P<request>(?:[^"\\\n]|\\.){0,15000})" (?P<status>\d{3})(?: |$)'
)
_LOGGED: Final = re.compile(
    r"(?P<day>\d\d)/(?P<month>\w{3})/(?P<year>\d{4}):(?P<time>\d\d:\d\d:\d\d) (?P<zone>[+-]\d{4})"
)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Looked:
    """What one look has brought; `unread`: lines that could not be understood."""

    accesses: Sequence[Access]
    unread: int = 0
    read: int = 0
    """Bytes; 0: there is no more now."""


class BadLine(ValueError):
    """The line is not of the format."""


def access(line: str, table: Weblog, place: str) -> Access | None:
    """Read a line; None: nobody was let in by it (an error, a redirect to somewhere else). Raises `BadLine`."""
    return _combined(line, table, place) if table.format == "combined" else _json(line, table, place)


def _open_to_all(path: str, table: Weblog) -> bool:
    """Whether a page is for everybody; one that climbs out of where it seems to be is not."""
    plain = path.partition("?")[0].lower()
    climbs = ".." in plain or "%" in plain or "\\" in plain or "//" in plain
    return not climbs and any(plain.startswith(each) for each in table.open)


def _combined(line: str, table: Weblog, place: str) -> Access | None:
    found = _COMBINED.match(line)
    if found is None:
        raise BadLine(line[:0])
    path = found["request"].split(" ")[1:2]
    if path and _open_to_all(path[0], table):
        return None
    return _made(found["account"], found["address"], place, _logged(found["time"]), int(found["status"]))


def _json(line: str, table: Weblog, place: str) -> Access | None:
    names = table.fields
    try:
        decoded: Any = msgspec.json.decode(line)
    except (msgspec.MsgspecError, RecursionError):
        raise BadLine(line[:0]) from None
    if not isinstance(decoded, dict):
        raise BadLine(line[:0])
    told = {name: str(value) for name, value in cast("dict[str, Any]", decoded).items() if value is not None}
    status = told.get(names.status, "")
    if not re.fullmatch(r"\d{3}", status, re.ASCII):
        raise BadLine(line[:0])
    if _open_to_all(told.get(names.path, ""), table):
        return None
    at = _iso(told.get(names.time, ""))
    session = told.get(names.session, "") if names.session else ""
    return _made(told.get(names.account, ""), told.get(names.address, ""), place, at, int(status), session)


def _made(account: str, address: str, place: str, at_ms: int, status: int, session: str = "") -> Access | None:
    """A request that was answered with something: 2xx, 304, or 101, a connection that went on (WebSocket)."""
    if not (200 <= status < 300 or status in (101, 304)):
        return None
    name = "" if account == "-" else clean(account)
    return Access(name, _address(address), place, at_ms, at_ms, "" if session == "-" else clean(session))


def _address(text: str) -> str:
    if text in ("unix:", "local", ""):
        return LOCAL
    try:
        return clean(str(ip_address(text)))  # behind % of an IPv6 address anything may stand
    except ValueError:
        raise BadLine(text[:0]) from None


def _logged(text: str) -> int:
    """`24/Nov/2026:13:05:00 +0900`, in every locale."""
    found = _LOGGED.fullmatch(text)
    if found is None or found["month"] not in _MONTHS:
        raise BadLine(text[:0])
    month = _MONTHS.index(found["month"]) + 1
    return _iso(f"{found['year']}-{month:02d}-{found['day']}T{found['time']}{found['zone']}")


def _iso(text: str) -> int:
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise BadLine(text[:0])
        ms = int(at.timestamp() * 1_000)
    except (ValueError, OverflowError):
        raise BadLine(text[:0]) from None
    if not 0 <= ms <= LATEST_MS:
        raise BadLine(text[:0])
    return ms


class WeblogSight:
    """One log, read as it grows; by default from its end on, if it is there when it is first looked at."""

    def __init__(self, table: Weblog, place: str, *, from_start: bool = False) -> None:
        self._table, self._place, self._path = table, place, Path(table.file)
        self._file: BufferedReader | None = None
        self._from_start = from_start
        self._rest = b""
        self._skipping = False

    def look(self) -> Looked:
        """Read what was written since the last look. Raises OSError."""
        accesses: list[Access] = []
        unread = read = 0
        for line in self._lines():
            read += len(line) + 1
            try:
                found = access(line.decode("utf-8", "replace"), self._table, self._place) if line else None
            except BadLine:
                unread += 1
                continue
            accesses += [found] if found else []
        return Looked(accesses, unread, read)

    def close(self) -> None:
        """Let the file go."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _lines(self) -> Iterator[bytes]:
        left = MOST_BYTES
        if self._file is None:
            self._open()
        while self._file is not None and left > 0:
            yield from self._read(self._file, left)
            if not self._turned(self._file):
                return
            self._open()
            left -= LONGEST

    def _open(self) -> None:
        """Open what is there now: at its end the first time, so that only what happens from now on is found."""
        self.close()
        from_start, self._from_start = self._from_start, True
        self._file = self._path.open("rb")
        self._rest, self._skipping = b"", False
        if not from_start:
            self._file.seek(0, os.SEEK_END)

    def _read(self, file: BufferedReader, most: int) -> Iterator[bytes]:
        """Whole lines; what has no end yet waits."""
        if os.fstat(file.fileno()).st_size < file.tell():
            file.seek(0)  # it was cut and begun anew
            self._rest, self._skipping = b"", False
        block = self._rest + file.read(most)
        *lines, self._rest = block.split(b"\n")
        for line in lines:
            if self._skipping or len(line) > LONGEST:
                self._skipping = False
                yield b"\0"  # no line of any format: it is counted
            else:
                yield line.rstrip(b"\r")
        if len(self._rest) > LONGEST:
            self._rest, self._skipping = b"", True

    def _turned(self, file: BufferedReader) -> bool:
        """Whether another file stands under the name, and this one is read to its end."""
        try:
            now, ours = self._path.stat(), os.fstat(file.fileno())
        except FileNotFoundError:
            return False
        return (now.st_dev, now.st_ino) != (ours.st_dev, ours.st_ino) and file.tell() >= ours.st_size
