"""Check that an event was signed by the host, for this audience. The signing half is `authd.service.bus.envelope`."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

import msgspec

from authd.client.values import SignatureError

_HEAD = b',"sig":"'
_SIG_CHARACTERS = 86
_TAIL_LENGTH = len(_HEAD) + _SIG_CHARACTERS + len(b'"}')


def verify(event: bytes | Mapping[str, object], public_key: bytes, audience: str) -> None:
    """Return if `event` (its bytes, or as parsed from them, in their order) was signed for `audience`.

    public_key: 32 raw bytes (Ed25519), as the door's `ping` tells it. Raises `SignatureError`.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    body, signature = _split(event)
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, audience.encode() + b"|" + body)
    except (InvalidSignature, ValueError) as error:
        raise SignatureError("not signed by the host for this audience") from error


def _split(event: bytes | Mapping[str, object]) -> tuple[bytes, bytes]:
    """Return the signed bytes and the signature."""
    if not isinstance(event, bytes):
        event = msgspec.json.encode(event)
    body, tail = event[:-_TAIL_LENGTH], event[-_TAIL_LENGTH:]
    sig = tail[len(_HEAD) : -2]
    try:
        signature = base64.b64decode(sig + b"==", altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise SignatureError("no signature") from error
    # One signature has one spelling: the last character's spare bits are zero.
    if tail != _HEAD + base64.urlsafe_b64encode(signature).rstrip(b"=") + b'"}':
        raise SignatureError("no signature")
    return body + b"}", signature
