"""Chromium's virtual authenticator: a key that the browser plays, over its debugging protocol."""

from __future__ import annotations

import base64
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.e2e.browser import Screen


@dataclass(frozen=True, slots=True)
class Authenticator:
    """One key; everything is in the browser."""

    screen: Screen
    id: str

    def credentials(self) -> list[dict[str, Any]]:
        """What is on it, private keys and signature counters too."""
        found: list[dict[str, Any]] = self.screen.cdp("WebAuthn.getCredentials", authenticatorId=self.id)["credentials"]
        return found

    def put(self, credential: dict[str, Any], **changes: object) -> None:
        """Put a credential on it in place of all others: another key's, or an older copy of its own."""
        self.clear()
        self.screen.cdp("WebAuthn.addCredential", authenticatorId=self.id, credential=credential | changes)

    def clear(self) -> None:
        """A key that was never enrolled."""
        self.screen.cdp("WebAuthn.clearCredentials", authenticatorId=self.id)

    def verifies(self, person: bool) -> None:
        """Whether it recognises who touches it."""
        self.screen.cdp("WebAuthn.setUserVerified", authenticatorId=self.id, isUserVerified=person)


@contextmanager
def plugged_in(screen: Screen, *, verifies: bool = True) -> Generator[Authenticator, None, None]:
    """A key with a built-in fingerprint sensor (or, without `verifies`, one that knows nobody), always touched."""
    screen.cdp("WebAuthn.enable", enableUI=False)
    options = {
        "protocol": "ctap2",
        "ctap2Version": "ctap2_1",
        "transport": "usb",
        "hasResidentKey": True,
        "hasUserVerification": verifies,
        "isUserVerified": verifies,
        "automaticPresenceSimulation": True,
    }
    made = screen.cdp("WebAuthn.addVirtualAuthenticator", options=options)["authenticatorId"]
    try:
        yield Authenticator(screen, made)
    finally:
        screen.cdp("WebAuthn.removeVirtualAuthenticator", authenticatorId=made)
        screen.cdp("WebAuthn.disable")


def b64url(raw: bytes) -> str:
    """As WebAuthn's JSON writes bytes."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
