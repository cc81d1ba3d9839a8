"""The stand-alone verifier: one file, the standard library alone, on Pythons as old as 3.8, and no network."""

from __future__ import annotations

import ast
import re
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from authd.core.tlog import leaf_hash, root_of
from authd.service.evidence.bundle import verify_evidence as face
from authd.service.evidence.bundle.build import tree
from tests.service.evidence.bundle.hall import OWN

SOURCE = OWN.decode()
TREE = ast.parse(SOURCE, feature_version=(3, 8))
NEWER = {
    "removeprefix",
    "removesuffix",
    "bit_count",
    "is_relative_to",
    "with_stem",
    "readlink",
    "walk",
    "pairwise",
    "batched",
    "randbytes",
    "nextafter",
    "lcm",
    "zoneinfo",
    "UTC",
    "file_digest",
    "hardlink_to",
    "aclosing",
}
"""Names of the standard library since 3.9 that one might reach for."""


def test_it_imports_nothing_but_the_standard_library() -> None:
    names = {
        alias.name.split(".")[0] for node in ast.walk(TREE) if isinstance(node, ast.Import) for alias in node.names
    }
    names |= {str(node.module).split(".")[0] for node in ast.walk(TREE) if isinstance(node, ast.ImportFrom)}
    assert names <= sys.stdlib_module_names
    assert not names & {"socket", "urllib", "http", "ssl", "subprocess", "os", "shutil", "tempfile", "ctypes"}


def test_it_uses_nothing_newer_than_python_3_8() -> None:
    used = {node.attr for node in ast.walk(TREE) if isinstance(node, ast.Attribute)}
    used |= {node.id for node in ast.walk(TREE) if isinstance(node, ast.Name)}
    assert not used & NEWER
    assert not [node for node in ast.walk(TREE) if isinstance(node, ast.keyword) and node.arg == "strict"]


def test_types_that_are_evaluated_are_spelled_for_python_3_8() -> None:
    """Annotations are not evaluated; aliases are, and `dict[...]` is no value before 3.9."""
    values = [node.value for node in TREE.body if isinstance(node, ast.Assign)]
    builtins = {"dict", "list", "tuple", "set", "type"}
    made = [node for value in values for node in ast.walk(value) if isinstance(node, ast.Subscript)]
    assert not [node for node in made if isinstance(node.value, ast.Name) and node.value.id in builtins]


def test_it_writes_no_file() -> None:
    assert not re.search(r"write_bytes|write_text|mkdir|unlink|open\([^)]*[\"'][wax]", SOURCE)


def test_every_sentence_is_there_in_both_languages() -> None:
    for what, (ja, en) in face.WORDS.items():
        assert sorted(re.findall(r"\{\d\}", ja)) == sorted(re.findall(r"\{\d\}", en)), what


def test_signatures_are_those_that_everybody_else_makes() -> None:
    for number in range(8):
        key = Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
        message, public = bytes(range(number * 9)), key.public_key().public_bytes_raw()
        signature = key.sign(message)
        assert face.verify_ed25519(public, message, signature)
        assert not face.verify_ed25519(public, message + b"\0", signature)
        assert not face.verify_ed25519(public, message, signature[:32] + bytes(32))
        more = int.from_bytes(signature[32:], "little") + face.L
        assert not face.verify_ed25519(public, message, signature[:32] + more.to_bytes(32, "little"))


@pytest.mark.parametrize(
    ("public", "message", "signature"),
    [
        (
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe2"
            "4655141438e7a100b",
        ),
        (
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302ae"
            "eb00d291612bb0c00",
        ),
    ],
)
def test_the_vectors_of_rfc_8032(public: str, message: str, signature: str) -> None:
    assert face.verify_ed25519(bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 13, 64, 100])
def test_the_tree_is_that_of_the_ledger(size: int) -> None:
    hashes = [leaf_hash(bytes([at])) for at in range(size)]
    for step in (1, 2, 5):
        known = list(range(0, size, step))
        rest = tree(size, known, lambda start, stop: root_of(hashes[start:stop]))
        assert face.root_from(size, {at: hashes[at] for at in known}, rest) == root_of(hashes)
