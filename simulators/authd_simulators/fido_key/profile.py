"""What a model of key can do and says of itself."""

from __future__ import annotations

from dataclasses import dataclass

from authd_simulators.fido_key.signing import EDDSA, ES256, ES384

PLAIN_AAGUID = bytes.fromhex("a1717ed05eed4e0fb1a55e0f00000001")
BIO_AAGUID = bytes.fromhex("a1717ed05eed4e0fb1a55e0f00000002")
MAX_MESSAGE = 7_609
"""What fits into one CTAPHID message: 57 bytes and 128 times 59."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One model. The defaults are a plain key with a PIN and a button."""

    aaguid: bytes = PLAIN_AAGUID
    bio: bool = False
    """A fingerprint sensor is built in."""
    attestation: str = "basic"
    """`basic`: packed, by the maker's certificate; `self`: packed, by the credential; `none`."""
    backup_eligible: bool = False
    backed_up: bool = False
    zero_counter: bool = False
    """The signature counter stays 0, as with keys that are synchronised."""
    algorithms: tuple[int, ...] = (ES256, EDDSA, ES384)
    transports: tuple[str, ...] = ("nfc", "usb")
    max_credentials: int = 25
    max_fingers: int = 5
    samples: int = 3
    """Good touches that the sensor takes to learn a finger."""
    large_blob: int = 2_048
    max_list: int = 8
    credential_id: int = 128
    """Longest id of a credential that is looked at, in bytes."""
    min_pin: int = 4
    firmware: int = 0x010000
    u2f: bool = True

    def __post_init__(self) -> None:
        if len(self.aaguid) != 16 or self.attestation not in ("basic", "self", "none"):
            raise ValueError("an AAGUID has 16 bytes, and attestation is basic, self or none")


PLAIN = Profile()
BIO = Profile(aaguid=BIO_AAGUID, bio=True)
