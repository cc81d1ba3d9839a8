#!/usr/bin/env python3
# Runs on Python 3.8, which a court's computer may have: no newer spelling, whatever the linter of this project prefers.
# ruff: noqa: B905, RUF005, RUF007, SIM105, UP006, UP017, UP031, UP035
"""authd の証拠ファイルを、authd なしで検証する / Verify an evidence bundle of authd, without authd.

    python3 verify_evidence.py case.zip
    python3 verify_evidence.py case.zip --key KEY --witness KEY --anchor FILE --fingerprint HEX

必要なのは Python 3.8 以降だけです。通信はしません。何も書き込みません。
Needs Python 3.8 or newer and nothing else. It talks to no network and writes nothing.

How to read this file, for an expert witness. Each part is short and rests on the parts above it:

  1 container     the zip holds the members that it names, uncompressed, and not one byte besides
  2 Ed25519       RFC 8032 section 5.1.7, from the standard library's integers and SHA-512
  3 signed notes  C2SP signed-note and tlog-checkpoint; a witness's line is C2SP tlog-cosignature (v1)
  4 tree          RFC 9162 section 2.1: the rows, with the hashes of what is not shown, give the signed root
  5 rows          what one row says; rows are never changed, only read
  6 completeness  that nothing between two places was left out
  7 answer        what follows from the rows, and what does not
  8 pages         the printed answer, made again here and compared byte for byte with the one in the bundle
  9 report        what was shown, what was not, with which grade

Take this file from the publisher of authd, not from the bundle whose maker it is to check: whoever could forge a bundle
could forge the copy of this file inside it. Its SHA-256 is printed first.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import html
import json
import re
import struct
import sys
import unicodedata
import zlib
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, NamedTuple, Sequence, Tuple, cast

FORMAT = "authd-evidence/1"
MOST_BYTES = 1 << 30
MOST_MEMBERS = 64
MOST_ROWS = 1_000_000
MOST_JSON = 16 << 20
MOST_LINES = 1_000
"""Lines of the answer on a printed page; the rows themselves are all in the bundle."""
ROW_LIMIT = 65_536
MOST_NOTE = 65_536
"""Bytes of a checkpoint with its signatures, each of which takes milliseconds to check."""
BLOCK = 65_536
"""Bytes of a member that one hash of the manifest covers, so that a changed byte is found within them."""
LONGEST_MS = 13 * 3_600_000
"""No session lasts longer than 12 h; with an hour for clocks that were set."""
DRIFT_MS = 5_000
"""Wall clock and running clock may drift apart by this much between two rows before it is said."""

Names = Dict[str, Dict[str, str]]
Said = Tuple[str, Tuple[object, ...]]
"""A sentence: its id in `WORDS`, and its values."""


class Fault(NamedTuple):
    """Something is not as it must be: where, what (an id of `WORDS`), and a detail."""

    place: str
    what: str
    detail: str = ""


class Broken(Exception):
    """The bundle cannot be read any further; carries the fault."""

    def __init__(self, place: str, what: str, detail: str = "") -> None:
        super().__init__(place)
        self.fault = Fault(place, what, detail)


# --- 1 container -----------------------------------------------------------------------------------------------------
# A zip of one shape only: members stored uncompressed, fixed dates, no comment, nothing before, between or behind. So
# every byte is either the content of a member or known beforehand, and none can be changed unseen.

NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,79}")
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_DATE = 0x21  # 1980-01-01, the first that a zip can say


def pack(members: Sequence[tuple[str, bytes]]) -> bytes:
    """Return the zip of these members: the same members, the same bytes."""
    parts: list[bytes] = []
    entries: list[bytes] = []
    at: int = 0
    for name, content in members:
        crc = zlib.crc32(content)
        parts += [_local(name, crc, len(content)), content]
        entries.append(_central(name, crc, len(content), at))
        at += len(parts[-2]) + len(content)
    return b"".join(parts + [_tail(entries, at)])


def unpack(data: bytes, faults: list[Fault]) -> dict[str, bytes]:
    """Return the members; every byte of the zip that is not a member's is compared with what it must be."""
    members: dict[str, bytes] = {}
    entries: list[bytes] = []
    at: int = 0
    while data[at : at + 4] == b"PK\x03\x04" and len(members) < MOST_MEMBERS:
        if at + _LOCAL.size > len(data):
            break
        fields = _LOCAL.unpack_from(data, at)
        size, begin = fields[7], at + _LOCAL.size + fields[9]
        name = data[at + _LOCAL.size : begin].decode("ascii", "replace")
        content = data[begin : begin + size]
        header = _local(name, fields[6], len(content)) if NAME.fullmatch(name) else b""
        if header != data[at:begin] or name in members:
            raise Broken("zip, byte %d-%d" % (at, begin - 1), "zip_header", plain(name))
        if zlib.crc32(content) != fields[6]:
            faults.append(Fault("zip, byte %d-%d / %s" % (at + 14, begin + size - 1, name), "zip_crc"))
        members[name] = content
        entries.append(_central(name, fields[6], len(content), at))
        at = begin + size
    tail = _tail(entries, at)
    if data[at:] != tail:
        raise Broken("zip, byte %d" % (at + _differs(data[at:], tail)), "zip_tail")
    return members


def _local(name: str, crc: int, size: int) -> bytes:
    encoded = name.encode()
    return _LOCAL.pack(b"PK\x03\x04", 20, 0, 0, 0, _DATE, crc, size, size, len(encoded), 0) + encoded


def _central(name: str, crc: int, size: int, at: int) -> bytes:
    head = (b"PK\x01\x02", 0x0314, 20, 0, 0, 0, _DATE, crc, size, size)
    encoded = name.encode()
    return _CENTRAL.pack(*head, len(encoded), 0, 0, 0, 0, 0o100644 << 16, at) + encoded


def _tail(entries: Sequence[bytes], at: int) -> bytes:
    directory = b"".join(entries)
    return directory + _END.pack(b"PK\x05\x06", 0, 0, len(entries), len(entries), len(directory), at, 0)


def _differs(one: bytes, other: bytes) -> int:
    return next((at for at, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))


def canonical(value: object) -> bytes:
    """Return the one spelling of a JSON value that a bundle uses."""
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode("ascii")


def object_of(value: object) -> dict[str, Any]:
    """Return a JSON object, and an empty one for what is none."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def list_of(value: object) -> list[Any]:
    """Return a JSON list, and an empty one for what is none."""
    return value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType] (of anything)


def read_json(members: dict[str, bytes], name: str) -> dict[str, Any]:
    """Return a member that is a JSON object in its one spelling."""
    raw = members.get(name)
    if raw is None:
        raise Broken(name, "missing")
    try:
        value = json.loads(raw.decode("ascii")) if len(raw) <= MOST_JSON else None
        if value and canonical(object_of(value)) == raw:
            return object_of(value)
    except (ValueError, RecursionError):
        pass
    raise Broken(name, "not_json")


def manifest_of(members: Sequence[tuple[str, bytes]]) -> bytes:
    """Return the manifest: of each member its size, its SHA-256 and that of each of its blocks; and a seal over it."""
    listed = [{"name": name, "bytes": len(content), "sha256": blocks(content)} for name, content in members]
    body = {"format": FORMAT, "members": listed}
    return canonical({**body, "seal": hashlib.sha256(canonical(body)).hexdigest()})


def blocks(content: bytes) -> list[str]:
    """Return the SHA-256 of each block of a member."""
    return [hashlib.sha256(content[at : at + BLOCK]).hexdigest() for at in range(0, len(content), BLOCK)]


def check_manifest(members: dict[str, bytes], faults: list[Fault]) -> None:
    """Every member is the one that the manifest lists, and the manifest lists every member, in order."""
    manifest = read_json(members, "manifest.json")
    body = {"format": manifest.get("format"), "members": manifest.get("members")}
    if manifest.get("seal") != hashlib.sha256(canonical(body)).hexdigest():
        faults.append(Fault("manifest.json", "seal"))
    if manifest.get("format") != FORMAT:
        raise Broken("manifest.json", "format", plain(str(manifest.get("format"))))
    listed = [object_of(line) for line in list_of(manifest.get("members"))]
    names = [text_of(line.get("name")) for line in listed]
    if ["manifest.json"] + names != list(members):
        faults.append(
            Fault("manifest.json", "other_members", plain(", ".join(sorted(set(members) ^ {"manifest.json", *names}))))
        )
    for line in listed:
        if text_of(line.get("name")) in members:
            _check_member(line, members[line["name"]], faults)


def _check_member(line: dict[str, Any], content: bytes, faults: list[Fault]) -> None:
    found, listed = blocks(content), line.get("sha256")
    if found == listed and line.get("bytes") == len(content):
        return
    wrong = [at for at, block in enumerate(found) if not isinstance(listed, list) or listed[at : at + 1] != [block]]
    begin = wrong[0] * BLOCK if wrong else len(content)
    faults.append(
        Fault("%s, byte %d-%d" % (line["name"], begin, min(begin + BLOCK, len(content)) - 1), "changed_member")
    )


# --- 2 Ed25519 (RFC 8032, section 5.1.7) -----------------------------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
Point = Tuple[int, int, int, int]


def _point(encoded: bytes) -> Point | None:
    """Decode a point (5.1.3), as (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z; None: it is none."""
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * v**3 * pow(u * v**7 % P, (P - 5) // 8, P) % P
    if (v * x * x - u) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if y >= P or (v * x * x - u) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


def _add(one: Point, other: Point) -> Point:
    (x1, y1, z1, t1), (x2, y2, z2, t2) = one, other
    a, b = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    c, d = 2 * t1 * t2 * D % P, 2 * z1 * z2 % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _times(scalar: int, point: Point) -> Point:
    total: Point = (0, 1, 1, 0)
    while scalar:
        total = _add(total, point) if scalar & 1 else total
        point, scalar = _add(point, point), scalar >> 1
    return total


def _encode(point: Point) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, P - 2, P)
    x, y = x * inverse % P, y * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


_BASE = _point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def verify_ed25519(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the signature is good. A key of small order, which would sign anything, never is."""
    if len(public_key) != 32 or len(signature) != 64 or _BASE is None:
        return False
    key, s = _point(public_key), int.from_bytes(signature[32:], "little")
    if key is None or s >= L or _encode(_times(8, key)) == _encode((0, 1, 1, 0)):
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public_key + message).digest(), "little") % L
    minus = (P - key[0], key[1], key[2], P - key[3])
    return _encode(_add(_times(s, _BASE), _times(h, minus))) == signature[:32]


# --- 3 signed notes --------------------------------------------------------------------------------------------------


class Key(NamedTuple):
    """A verifier key (C2SP signed-note, "vkey"): `name+id+base64`. `kind` 1: signs the log; 4: cosigns as a witness."""

    name: str
    kind: int
    public: bytes

    @property
    def id(self) -> bytes:
        """Four bytes that tell keys of one name apart."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]


class Checkpoint(NamedTuple):
    """What the log's key signed: so many rows, under this root; `extra`: lines that follow."""

    origin: str
    size: int
    root: bytes
    extra: tuple[str, ...]
    seen: tuple[tuple[str, int], ...]
    """Witnesses whose cosignature is good: name, and seconds since 1970."""


def read_key(text: str) -> Key:
    """Parse a verifier key."""
    name, _, rest = text.strip().partition("+")
    number, _, encoded = rest.partition("+")
    raw = unbase64(encoded)
    key = Key(name, raw[0] if raw else 0, raw[1:])
    if len(raw) != 33 or key.kind not in (1, 4) or key.id.hex() != number or not name:
        raise Broken("key", "bad_key", plain(text.strip()[:80]))
    return key


def read_note(place: str, note: bytes, log: Key, witnesses: Sequence[Key], faults: list[Fault]) -> Checkpoint:
    """Return the checkpoint, if the log's key signed it; a witness's line that is not good is a fault."""
    try:
        if len(note) > MOST_NOTE:
            raise ValueError
        text, signatures = note.decode("utf-8").rsplit("\n\n", 1)
    except (ValueError, UnicodeDecodeError):
        raise Broken(place, "not_note") from None
    message: bytes = (text + "\n").encode()
    signed: bool = False
    seen: list[tuple[str, int]] = []
    for line in signatures.splitlines():
        _, name, raw = _signature(line, place)
        if name == log.name and raw[:4] == log.id:
            signed = verify_ed25519(log.public, message, raw[4:])
            if not signed:
                raise Broken(place, "bad_signature", plain(name))
        for key in witnesses:
            if name == key.name and raw[:4] == key.id:
                at = _cosigned(key, message, raw)
                seen += [(key.name, at)] if at is not None else []
                faults += [] if at is not None else [Fault(place, "bad_cosignature", plain(name))]
    if not signed:
        raise Broken(place, "no_signature", plain(log.name))
    return _checkpoint(place, text, log, seen)


def _signature(line: str, place: str) -> tuple[str, str, bytes]:
    words = line.split(" ")
    if len(words) != 3 or words[0] != "—":
        raise Broken(place, "not_note")
    return words[0], words[1], unbase64(words[2])


def _cosigned(key: Key, message: bytes, raw: bytes) -> int | None:
    """C2SP tlog-cosignature v1: the witness signs the time, and the whole text of the note."""
    if key.kind != 4 or len(raw) != 76:
        return None
    at = int.from_bytes(raw[4:12], "big")
    return at if verify_ed25519(key.public, b"cosignature/v1\ntime %d\n" % at + message, raw[12:]) else None


def _checkpoint(place: str, text: str, log: Key, seen: Sequence[tuple[str, int]]) -> Checkpoint:
    lines = text.split("\n")
    root = unbase64(lines[2]) if len(lines) > 2 else b""
    if len(root) != 32 or not re.fullmatch("0|[1-9][0-9]{0,18}", lines[1]):
        raise Broken(place, "not_note")
    if lines[0] != log.name:
        raise Broken(place, "other_ledger", plain(lines[0]))
    return Checkpoint(lines[0], int(lines[1]), root, tuple(lines[3:]), tuple(seen))


def unbase64(text: str) -> bytes:
    """Return the bytes, or none at all where it is not base64 in its one spelling."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, ValueError):
        return b""
    return raw if base64.b64encode(raw).decode() == text else b""


# --- 4 tree (RFC 9162, section 2.1) ----------------------------------------------------------------------------------


def leaf_hash(row: bytes) -> bytes:
    """SHA-256(0x00 || row)."""
    return hashlib.sha256(b"\x00" + row).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def split(count: int) -> int:
    """Return the largest power of two below `count`: where a tree of so many leaves divides."""
    return 1 << (count - 1).bit_length() - 1


def root_from(size: int, leaves: dict[int, bytes], others: Iterator[bytes]) -> bytes:
    """Return the root over `size` leaves: `leaves` are known, whole branches without any are taken from `others`.

    It is the definition of the tree (RFC 9162, 2.1.1), walked from left to right.
    """
    known = sorted(leaves)

    def branch(start: int, stop: int, first: int, last: int) -> bytes:
        if first == last:
            return next(others)
        if stop - start == 1:
            return leaves[start]
        middle = start + split(stop - start)
        cut = first
        low, high = first, last
        while low < high:  # the first known leaf of the right half
            cut = (low + high) // 2
            low, high = (cut + 1, high) if known[cut] < middle else (low, cut)
        return node_hash(branch(start, middle, first, low), branch(middle, stop, low, last))

    return branch(0, size, 0, len(known))


def verify_consistency(old: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the tree of `size` and `root` begins with that of `old` and `old_root` (RFC 9162, 2.1.4.2)."""
    if not 0 < old <= size:
        return False
    if old == size:
        return not proof and old_root == root
    path = ([old_root] if old & (old - 1) == 0 else []) + list(proof)
    node, last = old - 1, size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    if not path:
        return False
    first = second = path[0]
    for other in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            first, second = node_hash(other, first), node_hash(other, second)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(second, other)
        node, last = node >> 1, last >> 1
    return last == 0 and first == old_root and second == root


# --- 5 rows ----------------------------------------------------------------------------------------------------------


TEXTS = ("boot", "kind", "seat", "subject", "session", "grade", "reason")


class Row(NamedTuple):
    """One row of the ledger, as its bytes say it. `leaf`: its place in the tree, from 0."""

    leaf: int
    seq: int
    wall: int
    at: int
    boot: str
    kind: str
    seat: str
    subject: str
    session: str
    grade: str
    reason: str
    data: dict[str, Any]

    @property
    def record(self) -> str:
        """Pseudonym of the resident's record it is about, or nothing."""
        return text_of(self.data.get("record"))


def text_of(value: object) -> str:
    """Return a text, and nothing for what is none."""
    return value if isinstance(value, str) else ""


def plain(text: str) -> str:
    """Return a text without anything that could begin a line, hide, or turn the direction of what follows."""
    bad = {"Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn"}
    return "".join(c if unicodedata.category(c) not in bad else "\\u%04x" % ord(c) for c in text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


_decode = json.JSONDecoder(object_pairs_hook=_once).decode


def read_row(leaf: int, raw: bytes) -> Row:
    """Read one row. Raises ValueError, also where a name stands twice and two readers could read two things."""
    value = object_of(_decode(raw.decode("utf-8"))) if len(raw) <= ROW_LIMIT else {}
    seq, wall, at = value.get("seq"), value.get("wall"), value.get("at")
    if type(seq) is not int or type(wall) is not int or type(at) is not int or abs(wall) > 1 << 53:
        raise ValueError("not a row")
    boot, kind, seat, subject, session, grade, reason = [text_of(value.get(name)) for name in TEXTS]
    return Row(leaf, seq, wall, at, boot, kind, seat, subject, session, grade, reason, object_of(value.get("data")))


def read_rows(members: dict[str, bytes], faults: list[Fault]) -> tuple[list[Row], dict[int, bytes]]:
    """Return the rows, and their hashes by leaf. A row that is not the one of its listed hash is a fault."""
    raws, listed = _lines(members, "events.jsonl"), _lines(members, "leaves.txt")
    if len(raws) != len(listed):
        faults.append(Fault("leaves.txt", "count", "%d / %d" % (len(listed), len(raws))))
    rows: list[Row] = []
    hashes: dict[int, bytes] = {}
    last: int = -1
    for number, (raw, line) in enumerate(zip(raws, listed), 1):
        leaf, _, _ = line.partition(b" ")
        place = int(leaf) if leaf.isdigit() and len(leaf) < 20 else -1
        found = leaf_hash(raw)
        if place <= last or b"%d %s" % (place, found.hex().encode()) != line:
            faults.append(Fault("events.jsonl / leaves.txt, line %d" % number, "changed_row", _number_in(raw)))
        last = max(last, place)
        hashes[place] = found
        try:
            rows.append(read_row(place, raw))
        except (ValueError, RecursionError):
            faults.append(Fault("events.jsonl, line %d" % number, "not_row"))
    return rows, hashes


def _number_in(raw: bytes) -> str:
    found = re.search(rb'"seq":(\d{1,18})', raw)
    return "#" + found.group(1).decode() if found else ""


def _lines(members: dict[str, bytes], name: str) -> list[bytes]:
    raw = members.get(name)
    if raw is None:
        raise Broken(name, "missing")
    lines = raw.split(b"\n")
    if lines.pop() or len(lines) > MOST_ROWS:
        raise Broken(name, "not_lines")
    return lines


def check_tree(members: dict[str, bytes], hashes: dict[int, bytes], head: Checkpoint, faults: list[Fault]) -> None:
    """The rows, at their places and with the hashes of the rest, give the root that was signed."""
    try:
        others = [bytes.fromhex(line.decode("ascii")) for line in _lines(members, "tree.txt")]
        if any(len(other) != 32 for other in others) or not hashes or max(hashes) >= head.size or min(hashes) < 0:
            raise ValueError
        rest = iter(others)
        root = root_from(head.size, hashes, rest)
    except (ValueError, StopIteration, RuntimeError):
        faults.append(Fault("tree.txt", "cut_proof"))
        return
    if next(rest, None) is not None:
        faults.append(Fault("tree.txt", "long_proof"))
    if root != head.root:
        faults.append(Fault("events.jsonl / tree.txt", "other_root", "%d" % head.size))


# --- 6 completeness --------------------------------------------------------------------------------------------------


class Whole(NamedTuple):
    """Whether everything that the question is about is in the bundle, and why (ids of `WORDS` with their values)."""

    shown: bool
    why: list[Said]
    first: int
    last: int
    """Numbers of the first and last row of the stretch, or of the rows that the index covers."""
    by: str = "stretch"


def completeness(
    case: dict[str, Any], rows: Sequence[Row], head: Checkpoint, members: dict[str, bytes] | None = None
) -> Whole:
    """Judge what the case says of its own completeness; what it does not prove is not shown. Raises `Broken`."""
    claim = object_of(case.get("complete"))
    first, count = claim.get("first"), claim.get("count")
    if claim.get("by") == "index":
        return _by_index(case, rows, head, members or {})
    if claim.get("by") != "stretch" or type(first) is not int or type(count) is not int:
        return Whole(False, [("whole_none", ())], 0, 0)
    found = [row for row in rows if first <= row.leaf < first + count]
    if not found or len(found) != count or first < 0:
        return Whole(False, [("whole_holes", (len(found), count))], 0, 0)
    why = _edges(case, found, head) + _ahead(case, found) + _clock(found) + _numbers(found)
    fatal = {"whole_ahead", "whole_left", "whole_right", "whole_until", "whole_back", "whole_numbers"}
    return Whole(not fatal & {name for name, _ in why}, why, found[0].seq, found[-1].seq)


def needs_from(question: dict[str, Any]) -> int:
    """Return from when on rows are needed: sessions may have begun long before the interval."""
    return int(question["from"]) - (DRIFT_MS if set(question) <= {"from", "to", "record"} else LONGEST_MS)


def _edges(case: dict[str, Any], found: Sequence[Row], head: Checkpoint) -> list[Said]:
    """The stretch must reach beyond the interval on both sides, or to the ends of the ledger."""
    why: list[Said] = []
    question, left, right = case["question"], found[0], found[-1]
    if left.leaf and left.wall >= needs_from(question):
        why.append(("whole_left", (left.seq, moment(left.wall, case))))
    if right.wall <= question["to"]:
        last = right.leaf + 1 == head.size
        why.append(("whole_until" if last else "whole_right", (right.seq, moment(right.wall, case))))
    return why


def _ahead(case: dict[str, Any], found: Sequence[Row]) -> list[Said]:
    """Nobody is cleared by a stretch that a clock set ahead brought over the end of the interval: more may follow."""
    until = case["question"]["to"] if case.get("ask") == "clear" else LAST
    over = [pair for pair in zip(found, found[1:]) if pair[0].wall <= until < pair[1].wall]
    why: list[Said] = [("whole_ahead", (one.seq, two.seq)) for one, two in over if _clock((one, two))]
    return why[:20]


def _clock(found: Sequence[Row]) -> list[Said]:
    """Wall clocks can be set; the running clock of one boot cannot."""
    why: list[Said] = []
    for one, two in zip(found, found[1:]):
        moved, ran = two.wall - one.wall, (two.at - one.at) // 1_000_000
        if moved < -DRIFT_MS:
            why.append(("whole_back", (one.seq, two.seq, -moved // 1000)))
        elif one.boot == two.boot and one.at and two.at and abs(moved - ran) > DRIFT_MS:
            why.append(("whole_set", (one.seq, two.seq, abs(moved - ran) // 1000)))
    return why[:20]


def _numbers(found: Sequence[Row]) -> list[Said]:
    """Numbers follow each other, but where a row admits a gap; such a row is told of."""
    why: list[Said] = []
    for one, two in zip(found, found[1:]):
        if two.seq != one.seq + 1 and two.kind != "ledger.gap":
            why.append(("whole_numbers", (one.seq, two.seq)))
    why += [("whole_gap", (row.seq, row.wall)) for row in found if row.kind == "ledger.gap"]
    return why[:20]


# A sorted index stands in the ledger itself (`ledger.sealed` rows): entries of key, time and leaf, in spans of rows.
# Whoever shows neighbours in it, and that they are neighbours, shows that nothing stands in between.

ENTRY = struct.Struct(">16sQQ")
HEADER = struct.Struct(">QQQQQ32s")
ZERO = 1 << 63  # added to a time, so that earlier ones sort first
LAST = (1 << 64) - 1
Span = Tuple[int, int, int, int, int, bytes]
"""First leaf, leaf behind the last, entries, earliest and latest wall-clock ms, root over the entries."""


def key_of(place: str) -> bytes:
    """Return what the index knows a place by: 16 bytes of the SHA-256 of its text."""
    return hashlib.sha256(place.encode()).digest()[:16]


def places_needed(case: dict[str, Any]) -> list[tuple[str, int]]:
    """Return the places of the index that answer the question, and from when on; empty: the index cannot."""
    question = case["question"]
    record, subject = "record:%s" % question.get("record"), "subject:%s" % question.get("subject")
    if case["ask"] == "clear":
        both = [("%s %s" % (record, subject), int(question["from"]))] if "record" in question else []
        return both + ([(subject, needs_from(question))] if "seat" in question else [])
    if "record" in question:
        return [(record, int(question["from"]))]
    return [(subject, needs_from(question))] if "subject" in question else []


def _by_index(case: dict[str, Any], rows: Sequence[Row], head: Checkpoint, members: dict[str, bytes]) -> Whole:
    """Every place that is needed has a proof, every row that a proof speaks of is here, and it covers the interval.

    Rows behind what the index covers could be of the interval if the clock was set back: nobody is cleared unless all
    of them are here; else it is said how far the index goes.
    """
    shown = {row.leaf: row for row in rows}
    proofs: dict[str, tuple[str, dict[str, Any]]] = {}
    for name in members:
        if re.fullmatch(r"complete-[0-9]\.json", name):
            proof = read_json(members, name)
            proofs[text_of(proof.get("place"))] = (name, proof)
    needed, covered = places_needed(case), head.size
    why: list[Said] = []
    for place, since in needed:
        if place not in proofs:
            return Whole(False, [("whole_place", (place,))], 0, 0, "index")
        name, proof = proofs[place]
        leaves, reached = check_index(name, proof, shown)
        covered = min(covered, reached)
        if proof["since"] > since or proof["until"] < case["question"]["to"]:
            why.append(("whole_narrow", (place,)))
        why += [("whole_missing", (place, leaf)) for leaf in leaves if leaf not in shown][:20]
        following = shown.get(reached)
        if following is None or following.wall <= case["question"]["to"]:
            why.append(("whole_covered", (reached,)))
    why += [] if needed else [("whole_none", ())]
    behind = [row for row in rows if row.leaf >= covered]
    why += _set_back(behind, case["question"]["to"])
    rest = [] if len(behind) == head.size - covered else [("whole_behind", (covered, head.size))]
    clears = case["ask"] == "clear"
    last = covered if rest else head.size
    return Whole(not why and not (rest and clears), [*why, *rest, ("whole_by_index", ())], 1, last, "index")


def _set_back(behind: Sequence[Row], until: int) -> list[Said]:
    """The first row behind the index is later than the interval; none that follows may be of it again."""
    back = [row for row in behind if row.wall <= until and behind[0].wall - row.wall > DRIFT_MS]
    return [("whole_back", (behind[0].seq, row.seq, (behind[0].wall - row.wall) // 1000)) for row in back[:1]]


def check_index(name: str, proof: dict[str, Any], shown: dict[int, Row]) -> tuple[list[int], int]:
    """Return the leaves of every row of the place in the interval, and how many rows the index covers.

    Raises `Broken` where the proof does not show what it claims.
    """
    try:
        spans: list[Span] = [_span(line) for line in list_of(proof["spans"])]
        covered = _sealed(proof, spans, shown)
        low = ENTRY.pack(key_of(proof["place"]), proof["since"] + ZERO, 0)
        high = ENTRY.pack(key_of(proof["place"]), proof["until"] + ZERO, LAST)
        touched = [at for at, span in enumerate(spans) if span[3] <= proof["until"] and span[4] >= proof["since"]]
        stretches = [object_of(stretch) for stretch in list_of(proof["stretches"])]
        if touched != [stretch["span"] for stretch in stretches]:
            raise ValueError("a span is not shown")
        leaves: list[int] = []
        for at, stretch in zip(touched, stretches):
            leaves += _entries(spans[at], stretch, low, high)
    except (ValueError, TypeError, KeyError, IndexError, struct.error, StopIteration, RuntimeError) as error:
        raise Broken(name, "bad_index", plain(str(error))) from None
    return leaves, covered


def _span(line: object) -> Span:
    first, stop, entries, earliest, latest, root = list_of(line)
    return first, stop, entries, earliest, latest, unbase64(root)


def _sealed(proof: dict[str, Any], spans: Sequence[Span], shown: dict[int, Row]) -> int:
    """The spans follow each other from the first row on, and a row of the ledger seals them all."""
    stop = 0
    hashes: dict[int, bytes] = {}
    for at, (first, after, entries, earliest, latest, root) in enumerate(spans):
        if first != stop or after <= first or earliest > latest:
            raise ValueError("the spans leave rows out")
        hashes[at] = leaf_hash(HEADER.pack(first, after, entries, earliest + ZERO, latest + ZERO, root))
        stop = after
    seal = shown[proof["seal"]]
    root = root_from(len(spans), hashes, iter(()))
    said = (seal.kind, seal.data.get("spans"), seal.data.get("index"))
    if said != ("ledger.sealed", len(spans), root.hex()) or stop > seal.leaf:
        raise ValueError("these are not the spans that were sealed")
    return stop


def _entries(span: Span, stretch: dict[str, Any], low: bytes, high: bytes) -> list[int]:
    """Adjacent entries of one span, one more on either side than those of the place."""
    entries = [unbase64(entry) for entry in list_of(stretch["entries"])]
    start, count = stretch["start"], span[2]
    if (
        type(start) is not int
        or start < 0
        or start + len(entries) > count
        or any(len(entry) != 32 for entry in entries)
    ):
        raise ValueError("entries that cannot be")
    if any(one >= two for one, two in zip(entries, entries[1:])) or (count and not entries):
        raise ValueError("entries out of order")
    rest = iter([unbase64(other) for other in list_of(stretch["hashes"])])
    known = {start + at: leaf_hash(entry) for at, entry in enumerate(entries)}
    root = root_from(count, known, rest) if count else hashlib.sha256(b"").digest()
    if root != span[5] or next(rest, None) is not None:
        raise ValueError("the span has other entries")
    if (start > 0 and entries[0] >= low) or (start + len(entries) < count and entries[-1] <= high):
        raise ValueError("an entry beside those shown could be of the place")
    return [ENTRY.unpack(entry)[2] for entry in entries if low <= entry <= high]


# --- 7 answer --------------------------------------------------------------------------------------------------------


class Stay(NamedTuple):
    """One person's session at one seat: its first row, and its last if that is known."""

    start: Row
    end: Row | None


class Answer(NamedTuple):
    """What follows from the rows for the question."""

    stays: list[Stay]
    lines: list[Row]
    sessions: dict[str, Stay]
    doubts: list[Said]
    """What does not fit together (ids of `WORDS` with their values)."""
    unshown: frozenset[int] = frozenset()
    """Numbers of the views that a refusal takes back: their session had ended before they were answered."""


def answer_of(case: dict[str, Any], rows: Sequence[Row]) -> Answer:
    """Choose and connect the rows that the question is about."""
    question, ask = case["question"], case["ask"]
    sessions, doubts = _sessions(rows)
    lines = [row for row in rows if _asked(row, question, ask)]
    named = {row.session for row in lines}
    stays = [stay for stay in sessions.values() if _stayed(stay, question, ask, named)]
    for row in lines:
        if row.kind.startswith("view."):
            doubts += _doubts(row, sessions.get(row.session))
    ended = [row.data.get("view") for row in rows if row.kind == "view.refused" and row.data.get("why") == "ended"]
    unshown = frozenset(view for view in ended if isinstance(view, int))
    return Answer(stays, lines, sessions, doubts[:100], unshown)


def _sessions(rows: Sequence[Row]) -> tuple[dict[str, Stay], list[Said]]:
    sessions: dict[str, Stay] = {}
    doubts: list[Said] = []
    for row in rows:
        if row.kind == "session.started" and row.session:
            if row.session in sessions:
                doubts.append(("doubt_twice", (row.seq,)))
            sessions.setdefault(row.session, Stay(row, None))
        elif row.kind == "session.ended" and row.session in sessions:
            stay = sessions[row.session]
            sessions[row.session] = stay._replace(end=stay.end or row)
    return sessions, doubts


def _asked(row: Row, question: dict[str, Any], ask: str) -> bool:
    """Whether the row is one of those that were asked for."""
    if not question["from"] <= row.wall <= question["to"]:
        return False
    if ask == "clear":
        helped = text_of(row.data.get("helper"))  # who vouched, or was the second of two, touched too
        return question["subject"] in (row.subject, helped) and _concerns(row, question)
    if ask == "resident":  # authd's own look-ups are left out: some of them would tell of a protection
        opened = row.kind == "view.opened" and row.data.get("system") != "authd"
        return opened and row.record == question["record"]
    asked = (("seat", row.seat), ("subject", row.subject), ("record", row.record))
    return all(question.get(name, value) == value for name, value in asked)


def _concerns(row: Row, question: dict[str, Any]) -> bool:
    """Whether a row speaks against the person who is to be cleared: the record, or work at the seat."""
    if question.get("record") and row.record == question["record"]:
        return True
    return bool(question.get("seat")) and row.seat == question["seat"]


def _stayed(stay: Stay, question: dict[str, Any], ask: str, named: set[str]) -> bool:
    """Whether the session touches the interval, at the seat and by the person asked for; of views: whose they are.

    `named`: the sessions of the rows that were asked for.
    """
    start, end = stay
    if ask == "resident" or ("record" in question and ask != "clear"):
        return start.session in named
    if ask == "clear" and not question.get("seat"):
        return False
    ran = end.wall - start.wall if end else 0
    if end and end.boot == start.boot and end.at and start.at:
        ran = max(ran, (end.at - start.at) // 1_000_000)
    inside = start.wall <= question["to"] and (end is None or start.wall + ran >= question["from"])
    asked = (("seat", start.seat), ("subject", start.subject))
    return inside and all(question.get(name, value) == value for name, value in asked)


def _doubts(row: Row, stay: Stay | None) -> list[Said]:
    """Return what is wrong with a view: a line never claims more than its session."""
    if row.kind == "view.refused":
        return []
    if stay is None:
        return [("doubt_session", (row.seq,))]
    start, end = stay
    doubts: list[Said] = []
    if (row.seat, row.subject) != (start.seat, start.subject):
        doubts.append(("doubt_other", (row.seq, start.seq)))
    if row.leaf < start.leaf or (end is not None and row.leaf > end.leaf):
        doubts.append(("doubt_outside", (row.seq, start.seq)))
    if not row.grade or (start.grade and row.grade < start.grade):
        doubts.append(("doubt_grade", (row.seq, row.grade or "-", start.grade or "-")))
    return doubts


def grade_of(row: Row, answer: Answer) -> str:
    """Return the grade a line may claim: the weaker one of its own and its session's."""
    stay = answer.sessions.get(row.session)
    grades = [grade for grade in (row.grade, stay.start.grade if stay else "") if grade in ("A", "B", "C", "D")]
    if row.kind.startswith("view.") and stay is None:
        return "D"
    return max(grades) if grades else ""


def read_case(members: dict[str, bytes]) -> tuple[dict[str, Any], Names]:
    """Return the question and the city's own words for people, seats and systems, both checked for their shape."""
    case, names = read_json(members, "case.json"), read_json(members, "names.json")
    question = object_of(case.get("question"))
    good = set(question) <= {"seat", "record", "subject", "from", "to"} and case.get("format") == FORMAT
    good = good and all(type(question.get(at)) is int and abs(question[at]) < 1 << 52 for at in ("from", "to"))
    good = good and all(isinstance(value, str) for name, value in question.items() if name not in ("from", "to"))
    good = good and type(case.get("offset")) is int and abs(case["offset"]) <= 18 * 60
    good = good and all(isinstance(case.get(name), str) for name in ("ask", "case", "made", "ledger"))
    needed = {"events": set(question) - {"from", "to"}, "clear": {"subject"}, "resident": {"record"}}
    asked = needed.get(text_of(case.get("ask")), set())
    clears = case.get("ask") != "clear" or len(question) > 3
    if not good or not asked or not asked <= set(question) or not clears or question["from"] > question["to"]:
        raise Broken("case.json", "bad_case")
    tables = [names.get(table) for table in ("people", "seats", "systems")]
    texts = [text for table in tables for text in object_of(table).values()]
    if len(names) != 3 or None in tables or not all(isinstance(text, str) for text in texts):
        raise Broken("names.json", "bad_names")
    return case, names


def moment(wall_ms: int, case: dict[str, Any]) -> str:
    """Return a row's time in the time zone of the case, to the millisecond."""
    zone = timezone(timedelta(minutes=case["offset"]))
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    try:
        at = (epoch + timedelta(milliseconds=wall_ms)).astimezone(zone)
    except OverflowError:
        return "%d ms" % wall_ms
    return at.isoformat(" ", "milliseconds")


# --- 8 pages ---------------------------------------------------------------------------------------------------------

LANGUAGES = ("ja", "en")
WORDS: dict[str, tuple[str, str]] = {
    # what can be wrong
    "zip_header": ("zip の見出しが、決められた形と違います", "a header of the zip is not what it must be"),
    "zip_crc": ("zip の検査値(CRC)が中身と合いません", "the zip's own check value does not fit the content"),
    "zip_tail": ("zip の末尾が、決められた形と違います", "the end of the zip is not what it must be"),
    "missing": ("証拠ファイルの中にありません", "is not in the bundle"),
    "not_json": ("決められた書き方の JSON ではありません", "is not JSON in its one spelling"),
    "seal": ("目録が書き換えられています", "the manifest was changed"),
    "format": ("この検証プログラムの知らない形式です", "a format that this verifier does not know"),
    "other_members": (
        "目録にある中身と実際の中身が違います",
        "the manifest lists other members than there are",
    ),
    "changed_member": ("この範囲が書き換えられています", "was changed within these bytes"),
    "bad_key": ("公開鍵ではありません", "is not a public key"),
    "not_note": ("署名付きの控え(チェックポイント)ではありません", "is not a signed checkpoint"),
    "bad_signature": ("台帳の鍵の署名が正しくありません", "the signature of the ledger's key is not good"),
    "no_signature": ("台帳の鍵の署名がありません", "the ledger's key has not signed it"),
    "bad_cosignature": ("立会人の署名が正しくありません", "the signature of a witness is not good"),
    "other_ledger": ("別の台帳のものです", "belongs to another ledger"),
    "changed_row": ("行が書き換えられています", "a row was changed"),
    "not_row": ("台帳の行ではありません", "is not a row of a ledger"),
    "not_lines": ("行の並びになっていません", "is not a list of lines"),
    "count": ("行と控えの数が違います", "there are not as many hashes as rows"),
    "cut_proof": ("証明が足りないか、行の位置が合いません", "the proof is cut, or rows have impossible places"),
    "long_proof": ("証明に余分なものがあります", "the proof has more than it needs"),
    "other_root": (
        "行と証明から計算した値が、署名された値と違います(行の削除・追加・入れ替え・別の台帳の行)",
        "rows and proof do not give the signed root (rows dropped, added, swapped, or from another ledger)",
    ),
    "inconsistent": (
        "二つの控えがつながりません。台帳が書き直されたか、枝分かれしています",
        "two checkpoints do not go on from each other: the ledger was rewritten, or there are two of them",
    ),
    "bad_case": ("質問の形が正しくありません", "the question is not well formed"),
    "bad_names": ("氏名の表の形が正しくありません", "the table of names is not well formed"),
    "other_answer": (
        "印刷用の答えが、行から導かれる答えと違います",
        "the printed answer is not what follows from the rows",
    ),
    "other_verifier": (
        "同封の検証プログラムは、いま動いているものと違います",
        "the verifier inside the bundle is not the one that is running",
    ),
    "other_fingerprint": ("添え状に書かれた指紋と違います", "is not the bundle of this fingerprint"),
    "other_key": ("渡された鍵の台帳ではありません", "is not the ledger of the key that was given"),
    "anchor": ("外で保管された控えと違います", "is not the checkpoint that was kept outside"),
    "anchor_missing": (
        "外で保管された控えと比べられません。authd evidence --anchor を付けて作り直してもらってください",
        "cannot be compared with the checkpoint kept outside: ask for a bundle made with authd evidence --anchor",
    ),
    # completeness
    "whole_shown": (
        "台帳の #{0} から #{1} まで、抜けた行はありません",
        "from #{0} to #{1} of the ledger no row is left out",
    ),
    "whole_index": (
        "索引により、台帳の {0} 行目から {1} 行目までに、ほかに該当する行はありません",
        "by the index, rows {0} to {1} of the ledger hold no other such row",
    ),
    "whole_by_index": (
        "索引が正しく作られたこと。行から作り直して確かめるのは、立会人と authd ledger verify です",
        "that the index was made as it should be: a witness, and authd ledger verify, make it again from the rows",
    ),
    "whole_place": ("索引の証明がありません: {0}", "there is no proof from the index for {0}"),
    "whole_narrow": (
        "索引の証明の期間が足りません: {0}",
        "the proof from the index is about a shorter interval: {0}",
    ),
    "whole_missing": (
        "索引にある行がここにありません: {0}、位置 {1}",
        "a row that the index knows is not here: {0}, leaf {1}",
    ),
    "whole_covered": (
        "索引は {0} 行までで、調べた期間の終わりに届いていません",
        "the index covers {0} rows and does not reach the end of the interval",
    ),
    "whole_behind": (
        "索引は台帳の最初の {0} 行についてのものです。"
        "残りの {1} 行目までに、時計が戻されてこの期間の時刻になった行がないことは示されていません",
        "the index is about the first {0} rows: that none of the rest, up to row {1}, is of this interval by a clock "
        "that was set back is not shown",
    ),
    "bad_index": ("索引の証明が正しくありません", "the proof from the index is not good"),
    "whole_none": (
        "ほかに該当する行がないことは示されていません(選ばれた行だけです)",
        "that there are no other such rows is not shown (these rows were chosen)",
    ),
    "whole_holes": (
        "続いているはずの行が {1} 行のうち {0} 行しかありません",
        "of a stretch of {1} rows only {0} are there",
    ),
    "whole_left": (
        "最初の行 #{0}({1})が遅すぎます。その前は示されていません",
        "the first row #{0} ({1}) is too late: what came before is not shown",
    ),
    "whole_right": (
        "最後の行 #{0}({1})の後が示されていません",
        "what came after the last row #{0} ({1}) is not shown",
    ),
    "whole_until": (
        "この台帳は #{0}({1})までです。それより後の時間は示されていません",
        "this ledger ends at #{0} ({1}): nothing is shown of the time after it",
    ),
    "whole_back": (
        "#{0} と #{1} の間で時計が {2} 秒戻されました。時刻で区切った「ない」は示されません",
        "between #{0} and #{1} the clock went back by {2} s: nothing is absent by time",
    ),
    "whole_set": (
        "#{0} と #{1} の間で時計が {2} 秒動かされました",
        "between #{0} and #{1} the clock was set by {2} s",
    ),
    "whole_ahead": (
        "#{0} と #{1} の間で、時計が期間の終わりを越えて進められました。その後にこの期間の行がありえます",
        "between #{0} and #{1} the clock was set over the end of the interval: rows behind may be of it again",
    ),
    "whole_numbers": ("#{0} の次が #{1} です", "#{0} is followed by #{1}"),
    "whole_gap": (
        "台帳自身が #{0} で欠落を記録しています",
        "the ledger itself admits a gap at #{0}",
    ),
    # what does not fit
    "doubt_twice": ("#{0}: 同じセッションが二度始まっています", "#{0}: the same session begins twice"),
    "doubt_session": (
        "#{0}: どの着席(セッション)で開いたかが示されていません。業務システムの申し立てとして扱います(D)",
        "#{0}: the session it was opened in is not shown; it counts as the system's word (D)",
    ),
    "doubt_other": (
        "#{0}: 着席 #{1} とは席か人が違います",
        "#{0}: another seat or person than session #{1}",
    ),
    "doubt_outside": ("#{0}: 着席 #{1} の外で開かれています", "#{0}: opened outside its session #{1}"),
    "doubt_grade": (
        "#{0}: 等級 {1} とありますが、着席の等級は {2} です。弱い方で示します",
        "#{0}: says grade {1}, but its session has {2}; the weaker one is shown",
    ),
    # grades
    "A": ("A 本人のキーによる署名", "A signed by the person's own key"),
    "B": ("B この席の装置で照合した本人の動作", "B the person's act, matched at this seat"),
    "C": ("C 装置の信号", "C what a device says"),
    "D": ("D 申し立て", "D what somebody says"),
    "": ("等級の記録なし", "no grade recorded"),
    "by_act": ("{0}: {1} に{2}をこの席で照合", "{0}: {2} matched at this seat at {1}"),
    "by_report": (
        "記録を開いたことは{0}の報告(D)",
        "that the record was opened is what {0} reported (D)",
    ),
    "vein": ("指静脈", "finger vein"),
    "fingerprint": ("指紋", "fingerprint"),
    "key": ("セキュリティキー", "security key"),
    "card": ("カード", "card"),
    "factor": ("本人の動作", "the person's act"),
    # kinds
    "session.started": ("着席(ログイン)", "sat down (login)"),
    "session.ended": ("離席(ロック・ログアウト)", "session ended (lock, logout)"),
    "session.fading": ("まもなくロック", "locking soon"),
    "session.kept": ("継続", "kept on"),
    "session.stepped_up": ("改めて本人確認", "confirmed afresh"),
    "view.opened": ("記録を開いた", "opened the record"),
    "unshown": (
        "答える前にセッションが終わって拒まれた。業務システムが従っていれば、何も表示されていない",
        "refused, as the session had ended before the answer: if the system obeyed, nothing was shown",
    ),
    "view.refused": ("記録を開く報告が拒まれた", "report of a view was refused"),
    "view.acknowledged": ("確認文を読んで開いた", "opened after reading a warning"),
    "attempt.refused": ("触れたが認められなかった", "touched, and was refused"),
    "attempt.not_recognised": ("触れたが誰とも照合されなかった", "touched, and was not recognised"),
    "carryout.exported": ("データを持ち出した", "carried data out"),
    "carryout.granted": ("持ち出しが許可された", "a carry-out was granted"),
    "carryout.requested": ("持ち出しを申請した", "asked for a carry-out"),
    "ledger.gap": ("台帳の欠落", "gap of the ledger"),
    # the page
    "title_events": ("台帳からの回答", "Answer from the ledger"),
    "title_clear": ("記録がないことの証明", "Statement of absence"),
    "title_resident": ("あなたの記録を開いた職員の一覧", "Who opened your record"),
    "case": ("事件・照会番号", "case"),
    "made": ("作成日", "made on"),
    "for": ("あて先(手書き)", "for (by hand)"),
    "interval": ("調べた期間", "interval"),
    "seat": ("席", "seat"),
    "subject": ("職員", "member of staff"),
    "record": ("住民の記録(仮名)", "resident's record (pseudonym)"),
    "stays": ("席にいた人", "Who was at the seat"),
    "sessions": ("その着席", "The sessions they were opened in"),
    "lines": ("記録された出来事", "What was recorded"),
    "lines_resident": ("開かれた記録", "When your record was opened"),
    "since": ("始まり", "from"),
    "until": ("終わり", "to"),
    "time": ("日時", "time"),
    "person": ("人", "person"),
    "what": ("出来事", "what"),
    "grade": ("証拠の等級", "grade of evidence"),
    "row": ("番号", "row"),
    "open": ("終わりの記録なし", "no end recorded"),
    "nothing": ("該当する行はありません", "no such row"),
    "more": (
        "ほか {0} 行。すべての行は events.jsonl にあります",
        "and {0} more; every row is in events.jsonl",
    ),
    "shown": ("示されたこと", "What is shown"),
    "not_shown": ("示されていないこと", "What is not shown"),
    "foot": (
        "台帳 {0}、{1} 行、ルート {2}。この紙だけでは証拠になりません。証拠ファイルと検証プログラム"
        " verify_evidence.py で、"
        "authd なしに確かめられます。",
        "Ledger {0}, {1} rows, root {2}. This paper alone is no proof: the bundle and verify_evidence.py check it "
        "without "
        "authd.",
    ),
    "foot_resident": (
        "台帳 {0}、{1} 行、ルート {2}。この紙だけでは証拠になりません。"
        "この答えが台帳の行から作られたことは、裁判所や監査が証拠ファイルを求めて確かめられます。",
        "Ledger {0}, {1} rows, root {2}. This paper alone is no proof: that it follows from the ledger, a court or an "
        "auditor can check, who may ask for a bundle.",
    ),
    "counts": (
        "期間内に該当する行 {0} 行(記録の閲覧 {1} 件、人 {2} 人)",
        "rows in the interval: {0} (views: {1}, persons: {2})",
    ),
    "count_stays": ("該当する着席 {0} 件", "sessions: {0}"),
    "opened_times": (
        "期間内に {0} 回、{1} 人の職員が開いたことが記録されています",
        "times opened in the interval: {0}; by members of staff: {1}",
    ),
    "clear_record": (
        "この職員がこの期間にこの記録を開いたという行は、台帳にありません",
        "the ledger has no row of this person opening this record in this interval",
    ),
    "clear_seat": (
        "この職員がこの期間にこの席に着いていたという行は、台帳にありません",
        "the ledger has no row of this person at this seat in this interval",
    ),
    "not_clear": (
        "「ない」とは言えません: 該当する行または着席が {0} 件あります",
        "absence cannot be said: there are {0} such rows or sessions",
    ),
    "not_whole": (
        "「ない」とは言えません: すべての行がそろっていることが示されていません",
        "absence cannot be said: that no row is left out is not shown",
    ),
    "signed_rows": (
        "すべての行は、台帳の鍵で署名された {0} 行の木の中にあります",
        "every row stands in the tree of {0} rows that the ledger's key signed",
    ),
    "witnessed": (
        "立会人 {0} が {1} にこの台帳の {2} 行までを見届けています",
        "witness {0} had seen {2} rows of this ledger at {1}",
    ),
    # what is never shown
    "no_witness": (
        "立会人の署名がありません。台帳の鍵を持つ者なら、台帳の全体を作り直せました。市の外で保管された控えと比べてください",
        "no witness has cosigned: whoever holds the ledger's key could have written all of it anew. Compare a "
        "checkpoint that was kept outside the city",
    ),
    "no_later_witness": (
        "立会人が見届けたのは {0} 行までで、示した行のうち新しいものは含まれません",
        "the witness has seen {0} rows only; the newest rows shown are behind them",
    ),
    "no_borrowed": (
        "開いたままの席を別の人が使わなかったこと。等級は着席したときの動作を示すだけです",
        "that nobody else used a seat that was left open: the grade is of the act that opened the session",
    ),
    "no_grade_a": (
        "等級 A の署名そのもの(台帳の記載によります)",
        "the signature behind a grade A itself (it is as the ledger says)",
    ),
    "no_report": (
        "業務システムが authd に報告しなかった閲覧、authd につながっていないシステム、ほかの端末、紙や電話、"
        "authd が動いていない間のこと",
        "views that a system did not report to authd, systems that are not linked, other machines, paper and "
        "telephone, whatever was done while authd did not run",
    ),
    "no_printed": (
        "持ち出されたデータ、印刷物、画面の写真を後で見たこと",
        "what was seen later of data carried out, of prints, of a picture of the screen",
    ),
    "no_record": (
        "仮名(rec_…)がその住民のものであること。市の申し立てです(D)。立会いのもとで本人の記録を開き、受領証の仮名と比べて"
        "ください",
        "that the pseudonym (rec_...) is this resident's record: that is the city's word (D). Have the record opened "
        "before you, and compare the pseudonym on the receipt",
    ),
    "no_names": (
        "氏名・席・システムの呼び名。市の名簿によります(D)。職員番号(sub_…)は台帳のものです",
        "the names of people, seats and systems: the city's lists say them (D). The ids (sub_...) are the ledger's",
    ),
    "no_clock": (
        "時計の正しさ。時刻は市の端末の時計で、時計を動かしている間の行は、動かされた時刻の行になります",
        "that the clock was right: times are by the clock of the city's machine, and a row written while it was set "
        "otherwise bears that other time",
    ),
    "no_purpose": (
        "目的の欄が本当であること。入力した人の申し立てです(D)",
        "that the purpose is true: it is the word of whoever gave it (D)",
    ),
    "no_refused": (
        "開けなかった操作(この一覧には載せていません)",
        "attempts that opened nothing (they are not on this list)",
    ),
    "no_audits": (
        "記録の画面を開かない照会(監査や確認の手続き)",
        "look-ups that open no record: audits, and checks of procedure",
    ),
    "no_elsewhere": (
        "この職員がその時間にどこで何をしていたか",
        "where this person was at the time, or what they did",
    ),
    # the report
    "r_bundle": ("証拠ファイル", "bundle"),
    "r_fingerprint": ("指紋(manifest.json の SHA-256)", "fingerprint (SHA-256 of manifest.json)"),
    "r_verifier": ("この検証プログラムの SHA-256", "SHA-256 of this verifier"),
    "r_good": (
        "結果: 証拠ファイルに改変は見つかりません",
        "RESULT: nothing in the bundle was found changed",
    ),
    "r_bad": (
        "結果: 証拠ファイルは正しくありません。何も示されていません",
        "RESULT: the bundle is not sound. Nothing is shown",
    ),
    "r_key_own": (
        "鍵は証拠ファイルの中のものです。示されたのは「この鍵を持つ者がこう記録した」ことまでです。鍵が市のものである"
        "ことは、"
        "別の道で受け取った鍵(--key)と比べてください: {0}",
        "the key is the bundle's own: shown is what the holder of this key recorded. Whose key it is, compare with one "
        "that you were given another way (--key): {0}",
    ),
    "r_key_given": ("渡された鍵の台帳です: {0}", "it is the ledger of the key that was given: {0}"),
    "r_witness_own": (
        "立会人の鍵も証拠ファイルの中のものです。別の道で受け取った鍵(--witness)と比べてください: {0}",
        "the witness's key is the bundle's own too; compare it with one that you were given another way "
        "(--witness): {0}",
    ),
    "r_witness_given": (
        "立会人の署名は、渡された鍵だけで確かめました: {0}",
        "cosignatures were checked with the witness's key that was given, and no other: {0}",
    ),
    "r_anchor": (
        "外で保管された控え({0} 行)と一致します",
        "agrees with the checkpoint that was kept outside ({0} rows)",
    ),
    "r_names": (
        "氏名の表は署名されていません。添え状の指紋(--fingerprint)と比べてください",
        "the table of names is not signed; compare the fingerprint in the covering letter (--fingerprint)",
    ),
}

CSS = """@page{size:A4;margin:16mm 14mm 18mm}*{box-sizing:border-box}
body{font:10.5pt/1.6 "Noto Sans CJK JP","Noto Sans JP","Yu Gothic","Hiragino Sans",sans-serif;color:#111;margin:0 auto;\
max-width:182mm}
h1{font-size:17pt;margin:0 0 4mm;border-bottom:.6mm solid #111;padding-bottom:2mm}
h2{font-size:12pt;margin:6mm 0 1.5mm;break-after:avoid}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.6mm 5mm;margin:0}dt{color:#444}dd{margin:0}
.box{border:.5mm solid #111;padding:2.5mm 4mm;margin:5mm 0;font-weight:600;font-size:11.5pt;break-inside:avoid}
.box p{margin:.5mm 0}
table{border-collapse:collapse;width:100%;table-layout:fixed;font-size:9pt;line-height:1.45}thead{display:table-header-group}
th{text-align:left;border-bottom:.4mm solid #111;font-weight:600;padding:.8mm 1.5mm .8mm 0}
td{vertical-align:top;border-bottom:.15mm solid #999;padding:1mm 1.5mm 1mm 0;overflow-wrap:anywhere}
tr{break-inside:avoid}
.t{width:32mm;white-space:nowrap;font-variant-numeric:tabular-nums}.n{width:12mm;text-align:right;color:#444}
.s{width:20mm}.p{width:30mm}.g{width:50mm}
ul{margin:0;padding-left:5mm}li{margin:.5mm 0;break-inside:avoid}.id{font-family:monospace;font-size:8.5pt;color:#444}
.blank{border-bottom:.2mm solid #111;display:inline-block;width:70mm;height:1.2em}
footer{margin-top:6mm;border-top:.15mm solid #999;padding-top:2mm;font-size:8pt;color:#444;overflow-wrap:anywhere}
"""


def say(what: str, language: str, *values: object) -> str:
    """Return the sentence of this id; an id that is none is shown as it is."""
    sentence = WORDS.get(what, (what, what))[LANGUAGES.index(language)]
    return re.sub(r"\{(\d)\}", lambda hole: plain(str(values[int(hole.group(1))])), sentence)


class Found(NamedTuple):
    """All that a bundle shows, once it was found sound."""

    case: dict[str, Any]
    names: Names
    head: Checkpoint
    others: list[Checkpoint]
    rows: list[Row]
    whole: Whole
    answer: Answer

    def person(self, subject: str) -> str:
        """Name a person as the city does, or by their id."""
        return plain(self.names["people"].get(subject, subject))

    def seat(self, seat: str) -> str:
        """Name a seat."""
        return plain(self.names["seats"].get(seat, seat))

    def system(self, row: Row) -> str:
        """Name the system that reported a view."""
        system = text_of(row.data.get("system"))
        return plain(self.names["systems"].get(system, system))

    def time(self, wall_ms: int) -> str:
        """Return a time of the case, to the second."""
        at = moment(wall_ms, self.case)
        return at[:19] if at[23:] else at


def conclusions(found: Found) -> list[Said]:
    """Return the answer in a few sentences."""
    case, answer, whole = found.case, found.answer, found.whole
    views = [row for row in answer.lines if row.kind == "view.opened" and row.seq not in answer.unshown]
    people = len({row.subject for row in answer.lines if row.subject and row.seq not in answer.unshown})
    if case["ask"] == "resident":
        said: list[Said] = [("opened_times", (len(views), people))]
    elif case["ask"] == "events":
        said = [("counts", (len(answer.lines), len(views), people)), ("count_stays", (len(answer.stays),))]
    elif answer.lines or answer.stays:
        return [("not_clear", (len(answer.lines) + len(answer.stays),))]
    elif not whole.shown:
        return [("not_whole", ())]
    else:
        return [("clear_" + name, ()) for name in ("record", "seat") if name in case["question"]]
    return said if whole.shown else [*said, ("whole_none", ())]


def shown(found: Found) -> list[Said]:
    """Return what the bundle shows about itself."""
    said: list[Said] = [("signed_rows", (found.head.size,))]
    if found.whole.shown:
        said.append(
            ("whole_index" if found.whole.by == "index" else "whole_shown", (found.whole.first, found.whole.last))
        )
    for point in [found.head, *found.others]:
        said += [("witnessed", (name, found.time(at * 1000), point.size)) for name, at in point.seen]
    return said


def not_shown(found: Found) -> list[Said]:
    """Return what nobody may conclude from the bundle; it is part of the answer."""
    case, question = found.case, found.case["question"]
    seen = max([point.size for point in [found.head, *found.others] if point.seen], default=0)
    said = list(found.whole.why) + list(found.answer.doubts)
    said += [("no_witness", ())] if not seen else []
    said += [("no_later_witness", (seen,))] if seen and found.rows and seen <= found.rows[-1].leaf else []
    ids = ["no_borrowed", "no_report", "no_printed"]
    ids += ["no_elsewhere"] if case["ask"] == "clear" else []
    ids += ["no_refused", "no_audits"] if case["ask"] == "resident" else []
    ids += ["no_record"] if "record" in question else []
    ids += ["no_purpose"] if any(row.kind == "view.opened" for row in found.answer.lines) else []
    ids += ["no_grade_a"] if any(row.grade == "A" for row in found.rows) else []
    return said + [(name, ()) for name in (*ids, "no_names", "no_clock")]


def page(found: Found, language: str) -> bytes:
    """Return the printable answer, A4: the same rows and names, the same bytes."""

    def said(what: str, *values: object) -> str:
        return html.escape(say(what, language, *values))

    def items(sentences: Iterable[Said]) -> str:
        return "<ul>%s</ul>" % "".join("<li>%s</li>\n" % said(what, *values) for what, values in sentences)

    case, title = found.case, said("title_" + found.case["ask"])
    box = "".join("<p>%s</p>" % said(what, *values) for what, values in conclusions(found))
    legend = " / ".join(said(grade) for grade in "ABCD")
    foot = said(
        "foot_resident" if case["ask"] == "resident" else "foot", case["ledger"], found.head.size, found.head.root.hex()
    )
    parts = [
        '<!doctype html>\n<html lang="%s"><head><meta charset="utf-8"><title>%s</title>' % (language, title),
        "<style>%s</style></head><body>\n<h1>%s</h1>\n%s" % (CSS, title, _facts(found, language)),
        '<div class="box">%s</div>\n%s%s' % (box, _stays(found, language), _table(found, language)),
        "<h2>%s</h2>%s\n<h2>%s</h2>%s\n"
        % (said("shown"), items(shown(found)), said("not_shown"), items(not_shown(found))),
        "<footer>%s<br>%s</footer></body></html>\n" % (legend, foot),
    ]
    return "".join(parts).encode("utf-8")


def _facts(found: Found, language: str) -> str:
    """What was asked."""
    case, question = found.case, found.case["question"]
    facts = [("case", html.escape(plain(case["case"]))), ("made", html.escape(plain(case["made"])))]
    facts += [("for", '<span class="blank"></span>')] if case["ask"] == "resident" else []
    interval = "%s – %s (%s)" % (found.time(question["from"]), found.time(question["to"]), _zone(case))
    facts.append(("interval", html.escape(interval)))
    for name, label in (("seat", found.seat), ("subject", found.person), ("record", plain)):
        if name in question:
            said, known = html.escape(label(question[name])), html.escape(plain(question[name]))
            facts.append((name, said if said == known else '%s <span class="id">%s</span>' % (said, known)))
    return "<dl>%s</dl>" % "".join("<dt>%s</dt><dd>%s</dd>" % (say(name, language), value) for name, value in facts)


def _zone(case: dict[str, Any]) -> str:
    hours, minutes = divmod(abs(case["offset"]), 60)
    return "UTC%s%02d:%02d" % ("-" if case["offset"] < 0 else "+", hours, minutes)


def _stays(found: Found, language: str) -> str:
    """Who sat there, or in which sessions what was asked for happened."""
    if not found.answer.stays or found.case["ask"] == "resident":
        return ""
    title = "sessions" if "record" in found.case["question"] and found.case["ask"] != "clear" else "stays"
    rows: list[Sequence[object]] = []
    for start, end in found.answer.stays[:MOST_LINES]:
        until = say("open", language) if end is None else found.time(end.wall)
        by = evidence_of(start, found, language)
        rows.append((found.time(start.wall), until, found.seat(start.seat), found.person(start.subject), by, start.seq))
    heads = ("since", "until", "seat", "person", "grade", "row")
    return _rows(title, heads, rows, len(found.answer.stays), language)


def _table(found: Found, language: str) -> str:
    """Every row that was asked for."""
    rows: list[Sequence[object]] = []
    most = None if found.case["ask"] == "resident" else MOST_LINES  # a resident has nothing else to look it up in
    for row in found.answer.lines[:most]:
        what = what_of(row, found, language)
        by = evidence_of(row, found, language)
        rows.append((found.time(row.wall), found.seat(row.seat), found.person(row.subject), what, by, row.seq))
    title = "lines_resident" if found.case["ask"] == "resident" else "lines"
    return _rows(title, ("time", "seat", "person", "what", "grade", "row"), rows, len(found.answer.lines), language)


def _rows(title: str, heads: Sequence[str], rows: Sequence[Sequence[object]], count: int, language: str) -> str:
    classes = {"since": "t", "until": "t", "time": "t", "row": "n", "seat": "s", "person": "p", "grade": "g"}
    parts = ["<h2>%s</h2>\n<table><thead><tr>" % html.escape(say(title, language))]
    named = [(classes.get(head, ""), html.escape(say(head, language))) for head in heads]
    parts += ['<th class="%s">%s</th>' % cell for cell in named]
    parts.append("</tr></thead><tbody>\n")
    for cells in rows:
        named = [(classes.get(head, ""), html.escape(str(cell))) for head, cell in zip(heads, cells)]
        parts.append("<tr>%s</tr>\n" % "".join('<td class="%s">%s</td>' % cell for cell in named))
    if count > len(rows) or not count:
        words = say("more", language, count - len(rows)) if count else say("nothing", language)
        parts.append('<tr><td colspan="%d">%s</td></tr>\n' % (len(heads), html.escape(words)))
    return "".join(parts) + "</tbody></table>\n"


def what_of(row: Row, found: Found, language: str) -> str:
    """Say what happened; of a view which system and screen, and for what."""
    said = say(row.kind, language)
    if row.kind.startswith("view."):
        facts = [found.system(row)]
        names = ("purpose",) if found.case["ask"] == "resident" else ("screen", "purpose", "call", "why")
        facts += [text_of(row.data.get(name)) for name in names]
        if "record" not in found.case["question"]:
            facts.append(row.record)
        if row.seq in found.answer.unshown:
            facts.append(say("unshown", language))
    else:
        facts = [row.reason] + [
            str(row.data[name]) for name in ("factor", "reader", "why", "helper") if name in row.data
        ]
    told = " / ".join(plain(fact)[:200] for fact in facts if fact)
    return plain(said) + (": " + told if told else "")


def evidence_of(row: Row, found: Found, language: str) -> str:
    """Say how strong the evidence is, in words: never more than its grade."""
    grade = grade_of(row, found.answer)
    if not (row.kind.startswith("view.") or row.kind == "session.started"):
        return say(grade, language)
    stay = found.answer.sessions.get(row.session)
    if stay is None:
        return say("D", language)
    factor = text_of(stay.start.data.get("factor"))
    act = say(
        "by_act",
        language,
        grade or "-",
        found.time(stay.start.wall),
        say(factor if factor in WORDS else "factor", language),
    )
    if row.kind == "session.started":
        return act
    return act + ("。" if language == "ja" else "; ") + say("by_report", language, found.system(row) or "-")


# --- 9 report --------------------------------------------------------------------------------------------------------


class Trust(NamedTuple):
    """What whoever verifies was given another way than with the bundle."""

    key: Key | None = None
    witnesses: tuple[Key, ...] = ()
    anchor: bytes | None = None
    fingerprint: str = ""


NOTHING_GIVEN = Trust()


class Verdict(NamedTuple):
    """What came of it: with no fault, what was found; and what was compared with things from outside."""

    faults: list[Fault]
    found: Found | None
    compared: list[Said]
    fingerprint: str


def verify(data: bytes, trust: Trust = NOTHING_GIVEN, own: bytes | None = None) -> Verdict:
    """Verify a whole bundle. `own`: the bytes of this file, to compare the copy in the bundle with."""
    faults: list[Fault] = []
    compared: list[Said] = []
    fingerprint, found = "", None
    try:
        members = unpack(data, faults)
        fingerprint = hashlib.sha256(members.get("manifest.json", b"")).hexdigest()
        check_manifest(members, faults)
        if trust.fingerprint and trust.fingerprint != fingerprint:
            faults.append(Fault("manifest.json", "other_fingerprint", fingerprint))
        if own is not None and members.get("verify_evidence.py") != own:
            faults.append(Fault("verify_evidence.py", "other_verifier"))
        found = read_found(members, trust, faults, compared)
        for language in LANGUAGES if not faults else ():
            name = "answer.%s.html" % language
            if members.get(name) != page(found, language):
                faults.append(Fault(name, "other_answer" if name in members else "missing"))
        if trust.witnesses and not faults:
            found = _by_given_witnesses(members, found, trust, faults)
    except Broken as broken:
        faults.append(broken.fault)
    return Verdict(faults, None if faults else found, compared, fingerprint)


def read_found(members: dict[str, bytes], trust: Trust, faults: list[Fault], compared: list[Said]) -> Found:
    """Check and read all that the bundle holds, but for the printed pages."""
    case, names = read_case(members)
    log, witnesses = _keys(members, trust, compared)
    head = read_note("checkpoint.txt", members.get("checkpoint.txt", b""), log, witnesses, faults)
    others = _others(members, head, log, witnesses, faults)
    if case["ledger"] != head.origin:
        faults.append(Fault("case.json", "other_ledger", plain(case["ledger"])))
    _anchored(trust, [head, *others], log, faults, compared)
    rows, hashes = read_rows(members, faults)
    check_tree(members, hashes, head, faults)
    return Found(case, names, head, others, rows, completeness(case, rows, head, members), answer_of(case, rows))


def _by_given_witnesses(members: dict[str, bytes], found: Found, trust: Trust, faults: list[Fault]) -> Found:
    """Go by the keys of witnesses that were given, and no more by the bundle's own."""
    log = read_key(_lines(members, "keys.txt")[0].decode("ascii"))
    head = read_note("checkpoint.txt", members["checkpoint.txt"], log, trust.witnesses, faults)
    return found._replace(head=head, others=_others(members, head, log, trust.witnesses, faults))


def _keys(members: dict[str, bytes], trust: Trust, compared: list[Said]) -> tuple[Key, list[Key]]:
    """Return the keys to verify with: those that were given, else the bundle's own, and it is said which."""
    try:
        keys = [read_key(line.decode("ascii")) for line in _lines(members, "keys.txt")[:MOST_MEMBERS]]
    except UnicodeDecodeError:
        raise Broken("keys.txt", "bad_key") from None
    logs, witnesses = [key for key in keys if key.kind == 1], [key for key in keys if key.kind == 4]
    if len(logs) != 1 or logs[0] != keys[0]:
        raise Broken("keys.txt", "bad_key")
    if trust.key is not None and trust.key != logs[0]:
        raise Broken("keys.txt", "other_key", plain(trust.key.name))
    compared.append(("r_key_given" if trust.key else "r_key_own", (write_key(logs[0]),)))
    given = trust.witnesses
    compared += [("r_witness_given" if given else "r_witness_own", (write_key(key),)) for key in given or witnesses]
    return logs[0], witnesses


def write_key(key: Key) -> str:
    """Return a key as people keep it."""
    return "%s+%s+%s" % (key.name, key.id.hex(), base64.b64encode(bytes([key.kind]) + key.public).decode())


def _others(
    members: dict[str, bytes], head: Checkpoint, log: Key, witnesses: Sequence[Key], faults: list[Fault]
) -> list[Checkpoint]:
    """Return the older checkpoints of the bundle; each must be the beginning of the newest."""
    others: list[Checkpoint] = []
    for name in members:
        size = re.fullmatch(r"checkpoint-(\d{1,19})\.txt", name)
        if size is None:
            continue
        point = read_note(name, members[name], log, witnesses, faults)
        proof = _lines(members, "consistency-%s.txt" % size.group(1))
        hashes = [bytes.fromhex(line.decode("ascii")) if re.fullmatch(b"[0-9a-f]{64}", line) else b"" for line in proof]
        good = point.size == int(size.group(1)) and all(hashes)
        if not good or not verify_consistency(point.size, point.root, head.size, head.root, hashes):
            faults.append(Fault(name, "inconsistent", "%d / %d" % (point.size, head.size)))
        others.append(point)
    return others


def _anchored(
    trust: Trust,
    points: Sequence[Checkpoint],
    log: Key,
    faults: list[Fault],
    compared: list[Said],
) -> None:
    if trust.anchor is None:
        return
    anchor = read_note("--anchor", trust.anchor, log, (), faults)
    same = [point for point in points if point.size == anchor.size]
    if not same:
        faults.append(Fault("--anchor", "anchor_missing", "%d" % anchor.size))
    elif same[0].root != anchor.root:
        faults.append(Fault("--anchor", "anchor", "%d" % anchor.size))
    else:
        compared.append(("r_anchor", (anchor.size,)))


def report(verdict: Verdict, path: str, own: bytes, trust: Trust, language: str) -> Iterator[str]:
    """Yield the lines of the report in one language."""
    yield "%s: %s" % (say("r_bundle", language), plain(path))
    yield "%s: %s" % (say("r_fingerprint", language), verdict.fingerprint or "-")
    yield "%s: %s" % (say("r_verifier", language), hashlib.sha256(own).hexdigest())
    found = verdict.found
    if found is None:
        yield say("r_bad", language)
        for place, what, detail in verdict.faults[:20]:
            yield "  NG %s: %s%s" % (plain(place), say(what, language), " (%s)" % plain(detail) if detail else "")
        return
    yield say("r_good", language)
    for what, values in verdict.compared:
        yield "  " + say(what, language, *values)
    if not trust.fingerprint:
        yield "  " + say("r_names", language)
    yield from _told(found, language)


def _told(found: Found, language: str) -> Iterator[str]:
    question = found.case["question"]
    yield ""
    yield "%s — %s" % (say("title_" + found.case["ask"], language), plain(found.case["case"]))
    asked = [
        "%s %s" % (say(name, language), plain(question[name]))
        for name in ("seat", "subject", "record")
        if name in question
    ]
    yield "  %s, %s – %s (%s)" % (
        ", ".join(asked),
        found.time(question["from"]),
        found.time(question["to"]),
        _zone(found.case),
    )
    for what, values in conclusions(found):
        yield "  => " + say(what, language, *values)
    for row in found.answer.lines[:20]:
        cells = (found.time(row.wall), found.seat(row.seat), found.person(row.subject), what_of(row, found, language))
        yield "  #%d %s  [%s]" % (row.seq, "  ".join(cells), evidence_of(row, found, language))
    if len(found.answer.lines) > 20:
        yield "  " + say("more", language, len(found.answer.lines) - 20)
    for title, sentences in (("shown", shown(found)), ("not_shown", not_shown(found))):
        yield say(title, language) + ":"
        for what, values in sentences:
            yield "  - " + say(what, language, *values)


def main(words: Sequence[str] | None = None) -> int:
    """Verify one bundle; 0: sound, 1: not sound, 2: cannot be read."""
    parser = argparse.ArgumentParser(description="authd の証拠ファイルを検証する / verify an evidence bundle of authd")
    parser.add_argument("bundle", help="case.zip")
    parser.add_argument("--key", help="台帳の公開鍵 / public key of the ledger, or a file with it")
    parser.add_argument("--witness", action="append", default=[], help="立会人の公開鍵 / public key of a witness")
    parser.add_argument("--anchor", help="外で保管された控え / a checkpoint that was kept outside")
    parser.add_argument("--fingerprint", default="", help="添え状の指紋 / fingerprint in the covering letter")
    parser.add_argument("--lang", choices=("ja", "en", "both"), default="both")
    args = parser.parse_args(words)
    try:
        trust = Trust(
            _given(args.key) if args.key else None,
            tuple(_given(key) for key in args.witness),
            Path(args.anchor).read_bytes()[:ROW_LIMIT] if args.anchor else None,
            args.fingerprint.strip().lower(),
        )
        own = Path(__file__).read_bytes()
        data = _limited(Path(args.bundle))
    except (OSError, ValueError, Broken) as error:
        fault = error.fault if isinstance(error, Broken) else Fault("", str(error))
        sys.stderr.write("%s %s %s\n" % (fault.place, " / ".join(WORDS.get(fault.what, (fault.what,))), fault.detail))
        return 2
    verdict = verify(data, trust, own)
    for language in LANGUAGES if args.lang == "both" else (args.lang,):
        for line in report(verdict, args.bundle, own, trust, language):
            _write(line)
        _write("")
    return 1 if verdict.faults else 0


def _given(text: str) -> Key:
    path = Path(text)
    try:
        text = path.read_text(encoding="ascii") if path.is_file() else text
    except OSError:
        pass  # a key is no path, and may be too long for one
    return read_key(text)


def _limited(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError("more than %d bytes" % MOST_BYTES)
    return data


def _write(line: str) -> None:
    """Write a line; on a terminal of another encoding what it cannot show is spelled out."""
    encoding = sys.stdout.encoding or "ascii"
    sys.stdout.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")


if __name__ == "__main__":
    sys.exit(main())
