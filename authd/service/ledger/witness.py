"""A witness: somebody else's host that looks at a ledger again and again, and cosigns only what it has recomputed.

It sees that the tree only grew (each row is hashed), that the checkpoint is the log's, and that the completeness
index says what the rows say. What it remembers is durable before a cosignature is given away, so that it never signs
two histories.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import msgspec

from authd.core.complete import NotComplete
from authd.core.model import Kind
from authd.core.ports import PortError
from authd.core.tlog import BadNote, Checkpoint, Signer, Tree, cosign, leaf_hash
from authd.service.ledger.head import open_checkpoint, sync_folder
from authd.service.ledger.record import BadRow
from authd.service.ledger.seals import read_seal
from authd.service.ledger.source import Source
from authd.service.ledger.spans import build

MOST_UNSEALED = 1 << 20
"""Rows behind the last sealed span that are held in memory; a ledger that does not seal is not cosigned."""


class _Kind(msgspec.Struct, frozen=True, gc=False):
    kind: str


_kind = msgspec.json.Decoder(_Kind).decode


class Doubt(StrEnum):
    """Why nothing is cosigned; ids of sentences in `authd/locale`."""

    NOTE = "note"
    """No checkpoint that the log's key signed."""
    BACK = "back"
    """The ledger has fewer rows than it had: a restored snapshot, a tail that was cut off."""
    CHANGED = "changed"
    """Rows that were there are no longer the same."""
    ROWS = "rows"
    """The rows do not come to the checkpoint's root, or cannot be read."""
    INDEX = "index"
    """The completeness index does not say what the rows say."""
    UNSEALED = "unsealed"
    """Too many rows are in no sealed span."""


class Doubted(Exception):
    """The witness does not cosign."""

    def __init__(self, doubt: Doubt, detail: str) -> None:
        super().__init__(f"{doubt}: {detail}")
        self.doubt, self.detail = doubt, detail


class Memory(msgspec.Struct):
    """What a witness remembers of one ledger."""

    origin: str
    size: int = 0
    root: str = ""
    """Hex, of the largest tree that it cosigned."""
    covered: int = 0
    peaks: str = ""
    """Hex, of the tree of the rows that sealed spans cover."""
    spans: int = 0
    headers: str = ""
    """Hex, of the tree over the spans' headers."""


@dataclass
class Audit:
    """One look at a ledger, from the last sealed span that is known."""

    memory: Memory
    tree: Tree
    covered: Tree
    headers: Tree
    rows: list[tuple[int, bytes, bytes]] = field(default_factory=list[tuple[int, bytes, bytes]])
    """Leaf, bytes and leaf hash of those behind the last span."""

    @classmethod
    def of(cls, memory: Memory) -> Audit:
        """Begin where the memory ends."""
        covered = Tree.load(memory.covered, bytes.fromhex(memory.peaks))
        return cls(memory, covered.copy(), covered, Tree.load(memory.spans, bytes.fromhex(memory.headers)))

    def row(self, leaf: int, raw: bytes) -> None:
        """Take one row. Raises `Doubted`."""
        hashed = leaf_hash(raw)
        self.tree.append(hashed)
        self.rows.append((leaf, raw, hashed))
        if len(self.rows) > MOST_UNSEALED:
            raise Doubted(Doubt.UNSEALED, f"{len(self.rows)} rows behind leaf {self.covered.size}")
        if self.tree.size == self.memory.size and self.tree.root().hex() != self.memory.root:
            raise Doubted(Doubt.CHANGED, f"among the first {self.tree.size} rows")
        if leaf >= self.memory.size and _sealed(leaf, raw):  # those before are counted
            self._seal(leaf, raw)

    def _seal(self, leaf: int, raw: bytes) -> None:
        try:
            seal = read_seal(raw, leaf)
        except (NotComplete, BadRow) as error:
            raise Doubted(Doubt.INDEX, f"the row at leaf {leaf}: {error}") from error
        inside = [row for row in self.rows if row[0] < seal.span.stop]
        try:
            made, _ = build(((at, row) for at, row, _ in inside))
        except ValueError as error:  # no row, or what is none
            raise Doubted(Doubt.ROWS, f"the span that #{seal.seq} seals: {error}") from error
        self.headers.append(made.span.hash())
        said = (seal.span, seal.spans, seal.index)
        if said != (made.span, self.headers.size, self.headers.root()) or seal.span.stop > leaf:
            raise Doubted(Doubt.INDEX, f"the span that #{seal.seq} seals")
        self.covered.extend([hashed for _, _, hashed in inside])
        self.rows = self.rows[len(inside) :]

    def end(self, checkpoint: Checkpoint) -> Memory:
        """Return what to remember. Raises `Doubted`."""
        if (self.tree.size, self.tree.root()) != (checkpoint.size, checkpoint.root):
            raise Doubted(Doubt.ROWS, f"{self.tree.size} rows of {checkpoint.size}")
        return Memory(
            checkpoint.origin,
            checkpoint.size,
            checkpoint.root.hex(),
            self.covered.size,
            self.covered.dump().hex(),
            self.headers.size,
            self.headers.dump().hex(),
        )


def _sealed(leaf: int, raw: bytes) -> bool:
    """Whether it is a row that seals a span. Raises `Doubted`."""
    try:
        return _kind(raw).kind == Kind.LEDGER_SEALED
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Doubted(Doubt.ROWS, f"the row at leaf {leaf}: {error}") from error


def witness(source: Source, name: str, public_key: bytes, state: Path, signer: Signer, seconds: int) -> str:
    """Look at a ledger, remember it in the file `state`, and return its checkpoint, cosigned at this time.

    `name`, `public_key`: of the log. Raises `Doubted`, with nothing remembered; OSError if the memory cannot be kept.
    """
    memory = remembered(state, name)
    try:
        note = source.note()
        checkpoint = open_checkpoint(note, name, public_key)
    except (BadNote, OSError) as error:
        raise Doubted(Doubt.NOTE, str(error)) from error
    if checkpoint.size < memory.size:
        raise Doubted(Doubt.BACK, f"from {memory.size} to {checkpoint.size} rows")
    audit = Audit.of(memory)
    try:
        for leaf, raw in source.rows(memory.covered, checkpoint.size):
            audit.row(leaf, raw)
    except (PortError, OSError, LookupError, ValueError, msgspec.MsgspecError) as error:
        raise Doubted(Doubt.ROWS, str(error)) from error
    remember(state, audit.end(checkpoint))
    return cosign(note, signer, seconds)


def remembered(state: Path, origin: str) -> Memory:
    """Return what the file holds, or the memory of somebody who never saw the log. Raises `Doubted`, OSError."""
    try:
        memory = msgspec.json.decode(state.read_bytes(), type=Memory)
    except FileNotFoundError:
        return Memory(origin)
    except msgspec.MsgspecError as error:
        raise Doubted(Doubt.NOTE, f"{state} is not a witness's memory") from error
    if memory.origin != origin:
        raise Doubted(Doubt.NOTE, f"{state} is about {memory.origin}")
    return memory


def remember(state: Path, memory: Memory) -> None:
    """Keep it, durably."""
    fresh = state.with_name(f"{state.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(memory))
        file.flush()
        os.fdatasync(file.fileno())
    fresh.replace(state)
    sync_folder(state.absolute().parent)
