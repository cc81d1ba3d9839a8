"""The client's half of SCRAM-SHA-256 (RFC 5802, RFC 7677), with channel binding `tls-server-end-point` (RFC 5929).

Pure: the nonce is passed in. The server proves that it knows the password as well, or nothing goes on.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import unicodedata
from typing import Final

MECHANISM: Final = "SCRAM-SHA-256"
BOUND: Final = "SCRAM-SHA-256-PLUS"
LEAST_ITERATIONS, MOST_ITERATIONS = 4_096, 20_000
"""Fewer would let whoever records a sign-on guess; more would let a server keep us busy."""
LONGEST: Final = 4_096


class ScramFailed(Exception):
    """The server does not follow the RFC, or does not know the password itself."""


class Scram:
    """One exchange: `first`, then `final` on the server's first answer, then `check` on its last one."""

    def __init__(self, password: str, nonce: str, binding: bytes | None = None, name: str = "") -> None:
        """Begin. binding: what `tls-server-end-point` is of this connection; None: there is no TLS, or no `-PLUS`.

        name: left empty for PostgreSQL, which takes it from the startup packet.
        """
        self._password = _prepared(password)
        self._nonce = nonce
        self._bare = f"n={name},r={nonce}".encode("ascii")
        self._gs2 = b"n,," if binding is None else b"p=tls-server-end-point,,"
        self._binding = binding or b""
        self._proof = b""
        """Of the server, that it knows the password."""

    @property
    def mechanism(self) -> str:
        """What is answered to the server's offer."""
        return BOUND if self._binding else MECHANISM

    def first(self) -> bytes:
        """Return the first message."""
        return self._gs2 + self._bare

    def final(self, answer: bytes) -> bytes:
        """Return the proof, by the server's nonce, salt and iterations. Raises `ScramFailed`."""
        nonce, salt, iterations = self._challenge(answer)
        key = hashlib.pbkdf2_hmac("sha256", self._password, salt, iterations)
        client = _hmac(key, b"Client Key")
        without = b"c=" + base64.b64encode(self._gs2 + self._binding) + b",r=" + nonce
        said = b",".join((self._bare, answer, without))
        signature = _hmac(hashlib.sha256(client).digest(), said)
        self._proof = _hmac(_hmac(key, b"Server Key"), said)
        proof = bytes(a ^ b for a, b in zip(client, signature, strict=True))
        return without + b",p=" + base64.b64encode(proof)

    def _challenge(self, answer: bytes) -> tuple[bytes, bytes, int]:
        """Read `r=nonce,s=salt,i=iterations`."""
        parts = answer.split(b",") if len(answer) <= LONGEST else []
        if [part[:2] for part in parts[:3]] != [b"r=", b"s=", b"i="]:
            raise ScramFailed("not a challenge")
        nonce, salt, iterations = (part[2:] for part in parts[:3])
        mine = self._nonce.encode("ascii")
        if not nonce.startswith(mine) or nonce == mine:
            raise ScramFailed("the challenge is of another exchange")
        if not iterations.isdigit() or len(iterations) > 9:
            raise ScramFailed("no number of iterations")
        if not LEAST_ITERATIONS <= int(iterations) <= MOST_ITERATIONS:
            raise ScramFailed(f"iterations must be {LEAST_ITERATIONS} to {MOST_ITERATIONS}")
        return nonce, _base64(salt), int(iterations)

    def check(self, answer: bytes) -> None:
        """Return if the server has shown that it knows the password. Raises `ScramFailed`."""
        head, _, proof = answer.partition(b"=")
        given = _base64(proof.partition(b",")[0]) if head == b"v" else b""
        if not self._proof or not hmac.compare_digest(given, self._proof):
            raise ScramFailed("the server does not know the password itself")


def _hmac(key: bytes, said: bytes) -> bytes:
    return hmac.digest(key, said, "sha256")


def _base64(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ScramFailed("not base64") from error


def _prepared(password: str) -> bytes:
    """What SASLprep (RFC 4013) makes of it, for the passwords that are made here: all of ASCII."""
    return (password if password.isascii() else unicodedata.normalize("NFKC", password)).encode()
