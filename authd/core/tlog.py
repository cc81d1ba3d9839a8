"""An append-only Merkle tree and its signed checkpoints: RFC 9162 section 2.1, C2SP signed-note and tlog-checkpoint.

Pure: no file, clock or key. Leaves are hashed by `leaf_hash`; a `Tree` keeps only its compact range (the roots of its
perfect subtrees, at most 64), so it restarts from a few hundred bytes. Proofs ask a `Hashes` function for the
root over a range of leaves, so that the caller chooses where leaves live. Hashes are 32 bytes (SHA-256).
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as BadBase64
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

HASH_SIZE = 32
EMPTY_ROOT = sha256(b"").digest()
NOTE_LIMIT = 65_536
"""Largest signed note that is parsed, bytes."""

Hashes = Callable[[int, int], bytes]
"""Root over the leaves `[start, stop)` of the tree, `stop` > `start`."""


class BadNote(ValueError):
    """A signed note or checkpoint is malformed, or no good signature of the named key is on it."""


def leaf_hash(data: bytes) -> bytes:
    """Hash of a leaf (RFC 9162 section 2.1.1): SHA-256(0x00 || data)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node: SHA-256(0x01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


class Tree:
    """The compact range of a growing tree: its size and the roots of its perfect subtrees, largest first."""

    __slots__ = ("peaks", "size")

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        if size < 0 or len(peaks) != size.bit_count() or any(len(peak) != HASH_SIZE for peak in peaks):
            raise ValueError("a tree of that size has other peaks")
        self.size = size
        self.peaks = list(peaks)

    def append(self, leaf: bytes) -> None:
        """Add a leaf, by its hash."""
        peaks, carry = self.peaks, self.size
        self.size = carry + 1
        while carry & 1:
            leaf = sha256(b"\x01" + peaks.pop() + leaf).digest()
            carry >>= 1
        peaks.append(leaf)

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Add many leaves, by their hashes: the same tree as by `append`, a level at a time, which is faster."""
        peaks, carry, level, fresh = self.peaks, self.size, list(leaves), list[bytes]()
        self.size = carry + len(level)
        while level:
            if carry & 1:
                level.insert(0, peaks.pop())
            if len(level) & 1:
                fresh.append(level.pop())
            pairs = zip(level[::2], level[1::2], strict=True)
            level = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
            carry >>= 1
        peaks += reversed(fresh)

    def root(self) -> bytes:
        """Root of the tree as it stands; of the empty tree SHA-256 of nothing."""
        if not self.peaks:
            return EMPTY_ROOT
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = node_hash(peak, root)
        return root

    def copy(self) -> Tree:
        """Return an independent tree of the same leaves."""
        return Tree(self.size, self.peaks)

    def dump(self) -> bytes:
        """Return the peaks, joined; with `size` all that is needed to go on."""
        return b"".join(self.peaks)

    @classmethod
    def load(cls, size: int, dump: bytes) -> Tree:
        """Take up a tree again from `size` and `dump()`. Raises ValueError if they do not fit each other."""
        return cls(size, [dump[at : at + HASH_SIZE] for at in range(0, len(dump), HASH_SIZE)])


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Root over leaf hashes."""
    tree = Tree()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


def split(count: int) -> int:
    """Return the largest power of two smaller than `count` (>= 2)."""
    return 1 << (count - 1).bit_length() - 1


def inclusion_proof(index: int, size: int, hashes: Hashes) -> list[bytes]:
    """Audit path of leaf `index` in the tree of `size` leaves, leaf end first (RFC 9162 section 2.1.3.1)."""
    if not 0 <= index < size:
        raise ValueError("no such leaf")
    start, stop, path = 0, size, list[bytes]()
    while stop - start > 1:
        middle = start + split(stop - start)
        if index < middle:
            path.append(hashes(middle, stop))
            stop = middle
        else:
            path.append(hashes(start, middle))
            start = middle
    return path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the proof shows that `leaf` (a hash) stands at `index` in the tree of `size` and `root` (2.1.3.2)."""
    if not 0 <= index < size:
        return False
    node, last = index, size - 1
    for other in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            leaf = node_hash(other, leaf)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            leaf = node_hash(leaf, other)
        node, last = node >> 1, last >> 1
    return last == 0 and leaf == root


def consistency_proof(old: int, size: int, hashes: Hashes) -> list[bytes]:
    """Proof that the tree of `size` leaves begins with the tree of `old` leaves (RFC 9162 section 2.1.4.1)."""
    if not 0 < old <= size:
        raise ValueError("no such tree")
    start, stop, whole, path = 0, size, True, list[bytes]()
    while old != stop:
        middle = start + split(stop - start)
        if old <= middle:
            path.append(hashes(middle, stop))
            stop = middle
        else:
            path.append(hashes(start, middle))
            start, whole = middle, False
    return ([] if whole else [hashes(start, stop)]) + path[::-1]


def verify_consistency(old: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the proof shows that the tree of `size` and `root` begins with that of `old` and `old_root` (2.1.4.2)."""
    if not 0 < old <= size:
        return False
    if old == size:
        return not proof and old_root == root
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        return False
    node, last = old - 1, size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
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


class Signer(Protocol):
    """Holds a signing key; passed in, so that nothing here does."""

    @property
    def name(self) -> str:
        """Of the key, and origin of the log: no white space, no `+` (C2SP signed-note)."""
        ...

    @property
    def public_key(self) -> bytes:
        """Ed25519, 32 bytes."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Ed25519 signature, 64 bytes."""
        ...


Check = Callable[[bytes, bytes], bool]
"""`check(signature, message)`: whether an Ed25519 signature is good under one public key."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log commits to: so many leaves, under this root (C2SP tlog-checkpoint)."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the note's text, which is what is signed."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"


LOG, WITNESS = 0x01, 0x04
"""Kinds of Ed25519 keys: what signs notes (C2SP signed-note), what cosigns them (C2SP tlog-cosignature)."""


def key_id(name: str, public_key: bytes, kind: int = LOG) -> bytes:
    """Four bytes that tell keys of one name apart: SHA-256(name || LF || kind || public key), truncated."""
    return sha256(name.encode() + b"\n" + bytes([kind]) + public_key).digest()[:4]


def write_key(name: str, public_key: bytes, kind: int = LOG) -> str:
    """Return the verifier key (C2SP signed-note, "vkey") that people keep outside the host: `name+id+base64`."""
    encoded = b64encode(bytes([kind]) + public_key).decode()
    return f"{name}+{key_id(name, public_key, kind).hex()}+{encoded}"


def read_key(text: str, kind: int = LOG) -> tuple[str, bytes]:
    """Return name and Ed25519 public key (32 bytes) of a verifier key of this kind. Raises `BadNote`."""
    name, _, rest = text.strip().partition("+")
    hexadecimal, _, encoded = rest.partition("+")
    key = _base64(encoded)
    if len(key) != 33 or key[0] != kind or key_id(name, key[1:], kind).hex() != hexadecimal:
        raise BadNote("not a verifier key for Ed25519")
    return name, key[1:]


def sign_note(text: str, signer: Signer) -> str:
    """Return the signed note: text, empty line, one signature line (C2SP signed-note, type 0x01)."""
    signed = b64encode(key_id(signer.name, signer.public_key) + signer.sign(text.encode())).decode()
    return f"{text}\n— {signer.name} {signed}\n"


def open_note(note: str, name: str, public_key: bytes, check: Check) -> str:
    """Return the text of a note that this key signed. Raises `BadNote`; signatures of other keys are passed over."""
    text, signatures = _text_and_signatures(note)
    for signed in _signatures(signatures, name):
        if signed[:4] == key_id(name, public_key) and check(signed[4:], text.encode()):
            return text
    raise BadNote(f"no good signature of {name}")


def cosign(note: str, signer: Signer, seconds: int) -> str:
    """Return the signed note with one more line: that this witness saw it at this time (C2SP cosignature/v1).

    `seconds`: since 1970. The witness has checked before that the log only grew.
    """
    text, _ = _text_and_signatures(note)
    signature = signer.sign(_cosigned(text, seconds))
    key = key_id(signer.name, signer.public_key, WITNESS)
    return f"{note}— {signer.name} {b64encode(key + seconds.to_bytes(8) + signature).decode()}\n"


def cosigned_at(note: str, name: str, public_key: bytes, check: Check) -> int:
    """Return when this witness saw the note, seconds since 1970. Raises `BadNote` if it did not."""
    text, signatures = _text_and_signatures(note)
    key, times = key_id(name, public_key, WITNESS), list[int]()
    for signed in _signatures(signatures, name):
        seconds = int.from_bytes(signed[4:12])
        if len(signed) == 76 and signed[:4] == key and check(signed[12:], _cosigned(text, seconds)):
            times.append(seconds)
    if not times:
        raise BadNote(f"no good cosignature of {name}")
    return max(times)


def _cosigned(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def _text_and_signatures(note: str) -> tuple[str, str]:
    if len(note) > NOTE_LIMIT or "\n\n" not in note or not note.endswith("\n"):
        raise BadNote("not a signed note")
    text, signatures = note.rsplit("\n\n", 1)
    return text + "\n", signatures


def _signatures(signatures: str, name: str) -> Iterator[bytes]:
    wanted = f"— {name} "
    for line in signatures.splitlines():
        if line.startswith(wanted):
            yield _base64(line[len(wanted) :])


def read_checkpoint(text: str) -> Checkpoint:
    """Parse the text of a checkpoint note; extension lines after the third are passed over. Raises `BadNote`."""
    lines = text.split("\n")
    if len(lines) < 4 or not lines[0] or lines[-1]:
        raise BadNote("not a checkpoint")
    size, root = lines[1], _base64(lines[2])
    if not (size.isascii() and size.isdigit() and len(size) < 20 and str(int(size)) == size) or len(root) != HASH_SIZE:
        raise BadNote("not a checkpoint")
    return Checkpoint(lines[0], int(size), root)


def _base64(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (BadBase64, ValueError) as error:
        raise BadNote("not base64") from error
