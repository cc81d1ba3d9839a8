"""A reader without a child: the seat's own screen asks its browser for a key (WebAuthn), and hands on what it got.

It is up while a screen of the seat watches. What it hands on is a proof like any other, which only the verifier
judges; what is asked of the browser is made from the armed nonce alone, so nobody keeps a ceremony's state.
"""

from __future__ import annotations

import base64
import tomllib
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

from authd.core.model import Fault, Nonce, ReaderId, SubjectId
from authd.core.ports import Given, Heard, ReaderDown, ReaderUp, Sample
from authd.driver import Capture, Enroll, Enrolled, challenge_of
from authd.service.host.frames import Ended
from authd.service.readers.answers import Job

ALGORITHMS: Final = (-7, -8, -35)
"""ES256, EdDSA, ES384 (COSE)."""
TIMEOUT_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Office:
    """What a browser is to be told of the relying party; everything else of the office file is the verifier's."""

    rp_id: str
    name: str
    attested: bool

    @classmethod
    def read(cls, text: str) -> Office:
        """Read it from the text of an office file. Raises `ValueError`."""
        said = tomllib.loads(text)
        rp_id, name = said.get("rp_id"), said.get("name", "")
        if not isinstance(rp_id, str) or not rp_id or not isinstance(name, str):
            raise ValueError('rp_id = "..." is expected')
        return cls(rp_id, name or rp_id, said.get("attestation") == "required")


@dataclass(frozen=True, slots=True)
class Ceremony:
    """What the browser is to do: PublicKeyCredential{Request,Creation}OptionsJSON (WebAuthn level 3)."""

    kind: Literal["get", "create"]
    options: Mapping[str, Any]


class ScreenKey:
    """One such reader. The same face as a `Line`, without a child."""

    def __init__(self, reader: ReaderId, office: Office, say: Callable[[Heard], None]) -> None:
        self.reader, self._office, self._say = reader, office, say
        self._screens = 0
        self._armed: Nonce | None = None
        self._job: Job | None = None

    # What the path asks.

    def arm(self, nonce: Nonce, claim: SubjectId | None = None, *, calm: bool = False) -> None:
        """Wait for a key under this nonce; on a calm seat for none."""
        del claim
        self._cut_off()
        self._armed = None if calm else nonce

    @property
    def is_up(self) -> bool:
        """Whether a screen watches."""
        return self._screens > 0

    def enrols(self, modality: str) -> bool:
        """Whether it can make a credential of that modality."""
        return modality == "fido2"

    def disarm(self) -> None:
        """The nonce was used up elsewhere."""
        self._armed = None

    def do(self, job: Job) -> None:
        """Enrol; whatever else there is needs a key that stays, and there is none here."""
        self._cut_off()
        if not isinstance(job.op, Enroll) or not self._screens:
            job.tell(Ended() if self._screens else None)
            return
        self._job = job

    def drop(self, job: Job) -> None:
        """Whoever wanted this has gone."""
        if self._job is job:
            self._job = None

    def answer(self, typed: str) -> None:
        """The browser asks for a PIN itself."""

    # What the screen does.

    @contextmanager
    def watched(self) -> Generator[None, None, None]:
        """A screen of the seat watches for as long as the context lasts."""
        self._screens += 1
        if self._screens == 1:
            self._say(ReaderUp(self.reader))
        try:
            yield
        finally:
            self._screens -= 1
            if not self._screens:
                self._cut_off()
                self._say(ReaderDown(self.reader, Fault.REMOVED))

    def ceremony(self) -> Ceremony | None:
        """What the browser is to do now; None: no key is waited for."""
        if self._job is not None and isinstance(self._job.op, Enroll):
            return Ceremony("create", _creation(self._office, self._job.op))
        if self._armed is None or not self._screens:
            return None
        return Ceremony("get", _request(self._office, Capture(self._armed)))

    def signed(self, response: bytes) -> bool:
        """Take what the browser got from a key; False: nothing is waited for."""
        job, nonce = self._job, self._armed
        if job is not None and isinstance(job.op, Enroll):
            self._job = None
            job.tell(Enrolled(response, job.op.nonce))
            job.tell(Ended())
            return True
        if nonce is None or not self._screens:
            return False
        self._armed = None
        self._say(Sample(self.reader, nonce, response, 1.0, given=Given.PROOF))
        return True

    def _cut_off(self) -> None:
        job, self._job = self._job, None
        if job is not None:
            job.tell(None)


def _request(office: Office, asked: Capture) -> Mapping[str, Any]:
    """Whoever it is: a discoverable credential, by a person whom the key itself has verified."""
    return {
        "challenge": _text(challenge_of(asked.nonce)),
        "timeout": TIMEOUT_MS,
        "rpId": office.rp_id,
        "allowCredentials": [],
        "userVerification": "required",
    }


def _creation(office: Office, asked: Enroll) -> Mapping[str, Any]:
    account = asked.account.encode()
    return {
        "rp": {"id": office.rp_id, "name": office.name},
        "user": {"id": _text(account), "name": asked.account, "displayName": asked.account},
        "challenge": _text(challenge_of(asked.nonce)),
        "pubKeyCredParams": [{"type": "public-key", "alg": number} for number in ALGORITHMS],
        "timeout": TIMEOUT_MS,
        "excludeCredentials": [{"type": "public-key", "id": _text(each)} for each in asked.exclude],
        "authenticatorSelection": {
            "residentKey": "required",
            "requireResidentKey": True,
            "userVerification": "required",
        },
        "attestation": "direct" if office.attested else "none",
    }


def _text(data: bytes) -> str:
    """Base64url without padding, as WebAuthn's JSON has it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
