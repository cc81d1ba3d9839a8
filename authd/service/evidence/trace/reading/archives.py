"""Zip archives, read where they lie: a directory that is bounded before it is believed, members that stream."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Final

from authd.service.evidence.trace.reading.found import Budget, Unreadable, Why, pieces

_END: Final = b"PK\x05\x06"
_END_BYTES: Final = 22
_COMMENT: Final = 1 << 16
_MOST_DIRECTORY: Final = 16 << 20
_UTF8: Final = 0x800


def open_zip(file: IO[bytes], size: int, budget: Budget) -> zipfile.ZipFile:
    """Open an archive after looking at how large its directory is. Raises `Unreadable`."""
    file.seek(max(0, size - _COMMENT - _END_BYTES))
    tail = file.read(_COMMENT + _END_BYTES)
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_BYTES:
        raise Unreadable(Why.DAMAGED, "no directory")
    count, length = struct.unpack_from("<HL", tail, at + 10)
    if length > _MOST_DIRECTORY and length != 0xFFFFFFFF:
        raise Unreadable(Why.TOO_MANY, f"a directory of {length} bytes")
    if length == 0xFFFFFFFF or count == 0xFFFF:
        raise Unreadable(Why.TOO_MANY, "a directory of 64 bits")
    if count > budget.most_parts:
        raise Unreadable(Why.TOO_MANY, f"{count} members")
    try:
        return zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, struct.error, OverflowError) as error:
        raise Unreadable(Why.DAMAGED, f"zip: {error}") from None


def named(info: zipfile.ZipInfo) -> str:
    """Return a member's name as its author meant it: without the flag, Japanese Windows writes CP932."""
    if info.flag_bits & _UTF8:
        return info.filename
    try:
        return info.orig_filename.encode("cp437").decode("cp932")
    except UnicodeError:
        return info.filename


def refuse(info: zipfile.ZipInfo, name: str) -> None:
    """Refuse what is no ordinary member. Raises `Unreadable`."""
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or name[:1] in {"/", "\\"} or name[1:2] == ":" or "\0" in name:
        raise Unreadable(Why.OUTSIDE)
    if stat.S_ISLNK(info.external_attr >> 16):
        raise Unreadable(Why.SYMLINK)
    if info.flag_bits & 0x41:
        raise Unreadable(Why.ENCRYPTED, "zip")
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise Unreadable(Why.NO_READER, f"compression {info.compress_type}")


def member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget) -> Iterator[bytes]:
    """Yield what is in a member. Raises `Unreadable`."""
    try:
        with archive.open(info) as stream:
            yield from pieces(stream, budget)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError) as error:
        raise Unreadable(Why.DAMAGED, f"zip: {error}") from None
    except (struct.error, ValueError, IndexError, KeyError) as error:
        raise Unreadable(Why.DAMAGED, f"zip: {error}") from None


def whole(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget) -> bytes:
    """Return a member whole, for what must be read from its end. Give it back with `budget.held`."""
    found = bytearray()
    for piece in member(archive, info, budget):
        found += piece
        if budget.held + len(found) > budget.most_held:
            raise Unreadable(Why.TOO_LARGE, f"more than {budget.most_held >> 20} MiB inside an archive")
    return bytes(found)
