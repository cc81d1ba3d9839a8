"""Records by pseudonym: what a record, a row or a field is known by in the ledger, made with the host's record key.

A pseudonym says nothing to whoever has the ledger and not the key; whoever has both can ask for one record by its
number, and for nobody's name. Each use of the key has a key of its own (HMAC, FIPS 198-1, with SHA-256).
"""

from __future__ import annotations

import hmac
import unicodedata
from base64 import b32encode
from typing import Final, NewType

RecordId = NewType("RecordId", str)
"""`rec_` and 32 characters: a record's pseudonym."""
RESIDENT: Final = "resident"
"""Namespace of the city's common resident number (atena bango): the same person in every system."""
MOST_NUMBER: Final = 64
_BYTES: Final = 20


class BadNumber(ValueError):
    """Not a record's number: empty, too long, or more than one line."""


class Pseudonyms:
    """Makes pseudonyms. `key`: 32 bytes, `Keys.record_key`."""

    def __init__(self, key: bytes) -> None:
        self._record = derived(key, "record")

    def record(self, number: str, namespace: str = RESIDENT) -> RecordId:
        """Return a record's pseudonym; full-width digits and spaces around make no other record. Raises `BadNumber`."""
        plain = unicodedata.normalize("NFKC", number).strip()
        if not 0 < len(plain) <= MOST_NUMBER or not plain.isprintable():
            raise BadNumber("a record's number is one line of at most 64 characters")
        digest = hmac.digest(self._record, f"{namespace}\0{plain}".encode(), "sha256")[:_BYTES]
        return RecordId("rec_" + b32encode(digest).decode().lower())


def derived(key: bytes, purpose: str) -> bytes:
    """Return the key for one use of the record key, 32 bytes."""
    return hmac.digest(key, f"authd/{purpose}/1".encode(), "sha256")
