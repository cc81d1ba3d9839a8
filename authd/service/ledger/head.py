"""How far a ledger has come: its tree, its last number, and which sessions are not finished; and the signed statement.

A checkpoint is signed over all of it, and the newest also stands in a file beside the segments, where a ledger that
went backwards (a rolled-back WAL, a restored snapshot) is seen by it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from authd.core.model import Entry, Kind
from authd.core.tlog import Check, Checkpoint, Signer, Tree, leaf_hash, open_note, read_checkpoint, sign_note
from authd.service.ledger.record import Recorded

CHECKPOINT_FILE = "checkpoint"
WITNESSED_FILE = "witnessed"
"""The newest checkpoint that came back cosigned."""
_BEGINS = {id(Kind.GRANT), id(Kind.SESSION_STARTED)}
_ENDS = {id(Kind.VOID), id(Kind.SESSION_ENDED)}
"""By identity: an enum's own hash is slow."""


class KeySigner:
    """An Ed25519 key, or its 32-byte seed. `name` is the ledger's origin, such as `city.example/desk-3`."""

    def __init__(self, name: str, key: Ed25519PrivateKey | bytes) -> None:
        if not name or len(name) > 200 or "+" in name or any(c.isspace() or not c.isprintable() for c in name):
            raise ValueError("the name of a key has no white space and no +")
        self.name = name
        self._key = Ed25519PrivateKey.from_private_bytes(key) if isinstance(key, bytes) else key
        self.public_key = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature."""
        return self._key.sign(message)


def checker(public_key: bytes) -> Check:
    """Return the function that checks signatures of this Ed25519 public key (32 bytes)."""
    key = Ed25519PublicKey.from_public_bytes(public_key)

    def check(signature: bytes, message: bytes) -> bool:
        try:
            key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return check


@dataclass(slots=True)
class Head:
    """The state that the next row builds upon."""

    tree: Tree
    seq: int
    """Number of the last row; above `tree.size` by what gaps passed over."""
    open: dict[str, int]
    """Session -> number of its grant or start, while neither void nor end has followed."""

    @classmethod
    def new(cls) -> Head:
        """Return the head of a ledger without rows."""
        return cls(Tree(), 0, {})

    def copy(self) -> Head:
        """Return an independent head at the same place."""
        return Head(self.tree.copy(), self.seq, dict(self.open))

    def take(self, seq: int, raw: bytes, entry: Entry) -> None:
        """Go on over one row."""
        self.tree.append(leaf_hash(raw))
        self._pass(seq, entry)

    def take_all(self, rows: Sequence[Recorded]) -> list[bytes]:
        """Go on over many rows at once; return their leaf hashes."""
        leaves = [leaf_hash(row.bytes) for row in rows]
        self.tree.extend(leaves)
        for row in rows:
            self._pass(row.seq, row.entry)
        return leaves

    def _pass(self, seq: int, entry: Entry) -> None:
        self.seq = seq
        session = entry.session
        if session is None:
            return
        kind = id(entry.kind)
        if kind in _BEGINS:
            self.open[session] = seq
        elif kind in _ENDS:
            self.open.pop(session, None)


def sign_head(head: Head, signer: Signer) -> str:
    """Return the signed checkpoint note of this head."""
    return sign_note(Checkpoint(signer.name, head.tree.size, head.tree.root()).text(), signer)


def open_checkpoint(note: str, name: str, public_key: bytes) -> Checkpoint:
    """Return what the note commits to. Raises `BadNote` if this key of this name did not sign it, for this log."""
    return read_checkpoint(open_note(note, name, public_key, checker(public_key)))


def publish(folder: Path, note: str) -> None:
    """Replace the checkpoint file, durably. Only ever called with rows that are durable already."""
    _keep(folder, CHECKPOINT_FILE, note)


def keep_witnessed(folder: Path, note: str) -> None:
    """Replace the cosigned checkpoint, durably."""
    _keep(folder, WITNESSED_FILE, note)


def _keep(folder: Path, name: str, note: str) -> None:
    fresh = folder / f"{name}.new"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        os.write(descriptor, note.encode())
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
    fresh.replace(folder / name)


def published(folder: Path, name: str = CHECKPOINT_FILE) -> str | None:
    """Return the note in the checkpoint file (or the one of this name), or None if there is none."""
    try:
        return (folder / name).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None


def sync_folder(folder: Path) -> None:
    """Make names that were created or replaced in the folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
