"""What a key signs, made by hand and byte by byte: nothing here uses the library that checks it."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from authd.driver import Reference, challenge_of
from authd_simulators.fido_key.cbor import encode

RP_ID = "seats.town.example"
OFFICE = f'rp_id = "{RP_ID}"\nname = "Town"\norigins = ["http://localhost:8780"]\n'
ORIGIN = f"authd://{RP_ID}"
NONCE, OTHER = "0123456789abcdef" * 2, "fedcba9876543210" * 2
ANN, BOB = "sub_ann", "sub_bob"
AAGUID = bytes(range(16))
UP, UV, BE, BS, AT, ED = 1, 4, 8, 16, 64, 128


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass(frozen=True)
class Said:
    """One answer of a key, every part of which a test may replace."""

    kind: str = "get"
    challenge: bytes = challenge_of(NONCE)
    origin: str = ORIGIN
    cross: bool = False
    rp_id: str = RP_ID
    flags: int = UP | UV
    counter: int = 1
    handle: bytes | None = ANN.encode()
    extensions: bytes = b""

    @property
    def client(self) -> bytes:
        said = {"type": f"webauthn.{self.kind}", "challenge": b64(self.challenge), "origin": self.origin}
        return json.dumps(said | {"crossOrigin": self.cross}).encode()

    def data(self, attested: bytes = b"") -> bytes:
        flags = self.flags | AT * bool(attested) | ED * bool(self.extensions)
        head = hashlib.sha256(self.rp_id.encode()).digest() + bytes([flags])
        return head + self.counter.to_bytes(4, "big") + attested + self.extensions


@dataclass
class SoftKey:
    """One credential of one person."""

    id: bytes = b"credential-1"
    person: str = ANN
    aaguid: bytes = AAGUID
    private: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def cose(self) -> bytes:
        numbers = self.private.public_key().public_numbers()
        return encode({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})

    def sign(self, message: bytes) -> bytes:
        return self.private.sign(message, ec.ECDSA(hashes.SHA256()))

    def table(self, said: Said | None = None, **changes: Any) -> dict[str, Any]:
        """Return an AuthenticationResponse as a table."""
        said = replace(said or Said(handle=self.person.encode()), **changes)
        data, client = said.data(), said.client
        response = {
            "clientDataJSON": b64(client),
            "authenticatorData": b64(data),
            "signature": b64(self.sign(data + hashlib.sha256(client).digest())),
        }
        if said.handle is not None:
            response["userHandle"] = b64(said.handle)
        return {"id": b64(self.id), "rawId": b64(self.id), "type": "public-key", "response": response}

    def answer(self, said: Said | None = None, **changes: Any) -> bytes:
        return json.dumps(self.table(said, **changes)).encode()

    @property
    def attested(self) -> bytes:
        return self.aaguid + len(self.id).to_bytes(2, "big") + self.id + self.cose

    def registration(
        self,
        said: Said | None = None,
        *,
        form: str = "none",
        statement: dict[str, Any] | None = None,
        discoverable: bool | None = True,
        **changes: Any,
    ) -> bytes:
        """Return a RegistrationResponse; `form` `self` is packed, signed with the credential itself."""
        said = replace(said or Said("create"), **changes)
        data, client = said.data(self.attested), said.client
        if statement is None:
            signature = self.sign(data + hashlib.sha256(client).digest())
            statement = {"alg": -7, "sig": signature} if form == "self" else {}
        form = "packed" if form == "self" else form
        attestation = encode({"fmt": form, "authData": data, "attStmt": statement})
        results: dict[str, Any] = {} if discoverable is None else {"credProps": {"rk": discoverable}}
        return json.dumps(
            {
                "id": b64(self.id),
                "rawId": b64(self.id),
                "type": "public-key",
                "response": {"clientDataJSON": b64(client), "attestationObject": b64(attestation)},
                "clientExtensionResults": results,
            }
        ).encode()

    def reference(self, record: bytes, version: int = 1) -> Reference:
        return Reference(self.person, f"tpl_{self.id.decode()}@{version}", record)
