"""How far a ledger has come: its tree, its last number, and which sessions are not finished; and the signed statement.

A checkpoint is signed over all of it, and the newest also stands in a file beside the segments, where a ledger that
went backwards (a rolled-back WAL, a restored snapshot) is seen by it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from authd.core.model import Entry, Kind
from authd.core.tlog import Check, Checkpoint, Signer, Tree, leaf_hash, open_note, read_checkpoint, sign_note

CHECKPOINT_FILE = "checkpoint"


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
        self.seq = seq
        self.tree.append(leaf_hash(raw))
        kind = entry.kind
        if entry.session is None:
            return
        if kind is Kind.GRANT or kind is Kind.SESSION_STARTED:
            self.open[entry.session] = seq
        elif kind is Kind.SESSION_ENDED or kind is Kind.VOID:
            self.open.pop(entry.session, None)


def sign_head(head: Head, signer: Signer) -> str:
    """Return the signed checkpoint note of this head."""
    return sign_note(Checkpoint(signer.name, head.tree.size, head.tree.root()).text(), signer)


def open_checkpoint(note: str, name: str, public_key: bytes) -> Checkpoint:
    """Return what the note commits to. Raises `BadNote` if this key of this name did not sign it, for this log."""
    return read_checkpoint(open_note(note, name, public_key, checker(public_key)))


def publish(folder: Path, note: str) -> None:
    """Replace the checkpoint file, durably. Only ever called with rows that are durable already."""
    fresh = folder / f"{CHECKPOINT_FILE}.new"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        os.write(descriptor, note.encode())
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
    fresh.replace(folder / CHECKPOINT_FILE)


def published(folder: Path) -> str | None:
    """Return the note in the checkpoint file, or None if there is none."""
    try:
        return (folder / CHECKPOINT_FILE).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None


def sync_folder(folder: Path) -> None:
    """Make names that were created or replaced in the folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
