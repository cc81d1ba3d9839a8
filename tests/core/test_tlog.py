"""The tree against RFC 9162's definition and the vectors of certificate-transparency; notes against Go's sumdb."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass
from hashlib import sha256

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from authd.core import tlog
from authd.core.tlog import Checkpoint, Tree, leaf_hash

# transparency-dev/merkle, testonly/constants.go: the eight leaves and roots of the CT reference implementation.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
# The same source: (leaf, size, path) and (old, size, path).
INCLUSION: list[tuple[int, int, list[str]]] = [
    (0, 1, []),
    (
        0,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        1,
        5,
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
CONSISTENCY: list[tuple[int, int, list[str]]] = [
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        5,
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]


def defined(data: list[bytes]) -> bytes:
    """MTH(D[n]) word for word as RFC 9162 section 2.1.1 defines it."""
    if not data:
        return sha256(b"").digest()
    if len(data) == 1:
        return sha256(b"\x00" + data[0]).digest()
    k = 1
    while k * 2 < len(data):
        k *= 2
    return sha256(b"\x01" + defined(data[:k]) + defined(data[k:])).digest()


def over(data: list[bytes]) -> tlog.Hashes:
    return lambda start, stop: defined(data[start:stop])


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    assert tlog.root_of(map(leaf_hash, LEAVES[:size])).hex() == ROOTS[size]
    assert defined(LEAVES[:size]).hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size", "path"), INCLUSION)
def test_inclusion_paths_are_those_of_certificate_transparency(index: int, size: int, path: list[str]) -> None:
    proof = tlog.inclusion_proof(index, size, over(LEAVES))
    assert [step.hex() for step in proof] == path
    assert tlog.verify_inclusion(leaf_hash(LEAVES[index]), index, size, proof, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("old", "size", "path"), CONSISTENCY)
def test_consistency_paths_are_those_of_certificate_transparency(old: int, size: int, path: list[str]) -> None:
    proof = tlog.consistency_proof(old, size, over(LEAVES))
    assert [step.hex() for step in proof] == path
    assert tlog.verify_consistency(old, bytes.fromhex(ROOTS[old]), size, bytes.fromhex(ROOTS[size]), proof)


data = st.lists(st.binary(max_size=9), min_size=1, max_size=70)


@given(st.lists(st.binary(max_size=9), min_size=1, max_size=70, unique=True), st.data())
def test_every_inclusion_is_proved_and_no_other(leaves: list[bytes], draw: st.DataObject) -> None:
    size, root = len(leaves), defined(leaves)
    index = draw.draw(st.integers(0, size - 1))
    proof = tlog.inclusion_proof(index, size, over(leaves))
    leaf = leaf_hash(leaves[index])
    assert tlog.verify_inclusion(leaf, index, size, proof, root)
    assert not tlog.verify_inclusion(leaf_hash(leaves[index] + b"!"), index, size, proof, root)
    assert not tlog.verify_inclusion(leaf, index, size, [*proof, root], root)
    assert not tlog.verify_inclusion(leaf, size, size, proof, root)
    for other in {index ^ 1, (index + 2) % size} - {index}:
        assert not tlog.verify_inclusion(leaf, other, size, proof, root)
    if proof:
        assert not tlog.verify_inclusion(leaf, index, size, proof[:-1], root)
        at = draw.draw(st.integers(0, len(proof) - 1))
        proof[at] = bytes([proof[at][0] ^ 1]) + proof[at][1:]
        assert not tlog.verify_inclusion(leaf, index, size, proof, root)


@given(data, st.data())
def test_every_growth_is_proved_and_no_rewriting(leaves: list[bytes], draw: st.DataObject) -> None:
    size, root = len(leaves), defined(leaves)
    old = draw.draw(st.integers(1, size))
    proof = tlog.consistency_proof(old, size, over(leaves))
    was = defined(leaves[:old])
    assert tlog.verify_consistency(old, was, size, root, proof)
    assert not tlog.verify_consistency(old, leaf_hash(was), size, root, proof)
    assert not tlog.verify_consistency(old, was, size, leaf_hash(root), proof)
    assert not tlog.verify_consistency(old, was, size, root, [*proof, root])
    assert not tlog.verify_consistency(0, was, size, root, proof)
    assert not tlog.verify_consistency(size + 1, was, size, root, proof)
    if proof:
        assert not tlog.verify_consistency(old, was, size, root, [])
        at = draw.draw(st.integers(0, len(proof) - 1))
        proof[at] = bytes([proof[at][0] ^ 1]) + proof[at][1:]
        assert not tlog.verify_consistency(old, was, size, root, proof)


@given(data, st.integers(0, 70))
def test_a_tree_goes_on_from_its_compact_range(leaves: list[bytes], at: int) -> None:
    first, rest = leaves[:at], leaves[at:]
    tree = Tree()
    for leaf in first:
        tree.append(leaf_hash(leaf))
    again = Tree.load(tree.size, tree.dump())
    for leaf in rest:
        again.append(leaf_hash(leaf))
    assert (again.size, again.root()) == (len(leaves), defined(leaves))
    assert tree.root() == defined(first)


@given(data, st.integers(0, 70))
def test_many_leaves_at_once_make_the_same_tree(leaves: list[bytes], at: int) -> None:
    hashes, one, many = [leaf_hash(leaf) for leaf in leaves], Tree(), Tree()
    for leaf in hashes:
        one.append(leaf)
    many.extend(hashes[:at])
    many.extend(hashes[at:])
    assert (many.size, many.peaks) == (one.size, one.peaks)


@pytest.mark.parametrize(("size", "dump"), [(-1, b""), (1, b""), (2, bytes(64)), (3, bytes(63)), (0, bytes(32))])
def test_a_damaged_compact_range_is_refused(size: int, dump: bytes) -> None:
    with pytest.raises(ValueError):
        Tree.load(size, dump)


@pytest.mark.parametrize("index", [-1, 3])
def test_no_proof_of_what_is_not_there(index: int) -> None:
    with pytest.raises(ValueError):
        tlog.inclusion_proof(index, 3, over(LEAVES))
    with pytest.raises(ValueError):
        tlog.consistency_proof(0 if index < 0 else 4, 3, over(LEAVES))


@dataclass
class Key:
    name: str
    key: Ed25519PrivateKey

    @property
    def public_key(self) -> bytes:
        return self.key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message)


def check_with(public_key: bytes) -> tlog.Check:
    key = Ed25519PublicKey.from_public_bytes(public_key)

    def check(signature: bytes, message: bytes) -> bool:
        try:
            key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return check


# golang.org/x/mod/sumdb/note, note_test.go.
NEUMANN_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
NEUMANN_NOTE = (
    NEUMANN_TEXT
    + "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
NEUMANN_PUBLIC = b64decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")[1:]
NEUMANN_SEED = b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]


def test_a_note_is_signed_as_go_signs_it() -> None:
    neumann = Key("PeterNeumann", Ed25519PrivateKey.from_private_bytes(NEUMANN_SEED))
    assert neumann.public_key == NEUMANN_PUBLIC
    assert tlog.key_id("PeterNeumann", NEUMANN_PUBLIC).hex() == "c74f20a3"
    assert tlog.sign_note(NEUMANN_TEXT, neumann) == NEUMANN_NOTE
    check = check_with(NEUMANN_PUBLIC)
    assert tlog.open_note(NEUMANN_NOTE, "PeterNeumann", NEUMANN_PUBLIC, check) == NEUMANN_TEXT


@pytest.mark.parametrize(
    "note",
    [
        NEUMANN_NOTE.replace("problem,", "problems,"),
        NEUMANN_NOTE.replace("PeterNeumann", "PaulNeumann"),
        NEUMANN_NOTE.replace("x08go", "y08go"),
        NEUMANN_NOTE.replace("ZJku", "ZJkv"),
        NEUMANN_NOTE.replace("AM=", "AM"),
        NEUMANN_TEXT,
        "",
        "x" * 70_000 + NEUMANN_NOTE,
    ],
)
def test_a_changed_note_is_refused(note: str) -> None:
    with pytest.raises(tlog.BadNote):
        tlog.open_note(note, "PeterNeumann", NEUMANN_PUBLIC, check_with(NEUMANN_PUBLIC))


def test_a_verifier_key_is_gos() -> None:
    vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    assert tlog.read_key(vkey + "\n") == ("PeterNeumann", NEUMANN_PUBLIC)
    assert tlog.write_key("PeterNeumann", NEUMANN_PUBLIC) == vkey
    for wrong in ("", "a", vkey.replace("Peter", "Paul"), vkey.replace("+AR", "+BR"), vkey[:-4], vkey + "!"):
        with pytest.raises(tlog.BadNote):
            tlog.read_key(wrong)


def test_other_signatures_are_passed_over() -> None:
    witnessed = NEUMANN_NOTE + "— witness.example AAAAAAAA\n"
    assert tlog.open_note(witnessed, "PeterNeumann", NEUMANN_PUBLIC, check_with(NEUMANN_PUBLIC)) == NEUMANN_TEXT


def test_a_checkpoint_is_read_back() -> None:
    checkpoint = Checkpoint("host.example/authd", 20852163, sha256(b"root").digest())
    assert checkpoint.text().splitlines()[:2] == ["host.example/authd", "20852163"]
    assert tlog.read_checkpoint(checkpoint.text()) == checkpoint
    assert tlog.read_checkpoint(checkpoint.text() + "an extension\n") == checkpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "o\n1\n",
        "o\n-1\n" + "A" * 43 + "=\n",
        "o\n01\n" + "A" * 43 + "=\n",
        "o\n1\nAAAA\n",
        "o\nx\nAAAA\n",
        "o\n1\n!!\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(tlog.BadNote):
        tlog.read_checkpoint(text)
