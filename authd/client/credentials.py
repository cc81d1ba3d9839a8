"""Questions about passwords of old systems: what was sealed or rotated is recorded; no password is in any of them."""

from __future__ import annotations

from typing import Literal

import msgspec

from authd.client.asking import Asking
from authd.client.waiting import Waiting

What = Literal["sealed", "rotated"]


class CredentialRow(msgspec.Struct, frozen=True):
    """What the ledger knows of a password: its last row. `time`: wall clock, RFC 3339."""

    what: What
    system: str
    account: str
    version: int
    digest: str
    seq: int
    time: str
    by: str = ""


class _Row(msgspec.Struct, frozen=True):
    seq: int


class CredentialCalls(Asking):
    """Part of `Client`."""

    async def credential_noted(
        self, what: What, account: str, *, version: int, digest: str, system: str | None = None, by: str = ""
    ) -> int:
        """Record the version and digest (SHA-256, hex) of what lies in the vault now; returns the row's number.

        system: an administrator names it, an application is its own. Raises `DoorError` (`refused`) for a version that
        is not newer than the last one.
        """
        fields: dict[str, object] = {"what": what, "account": account, "version": version, "digest": digest, "by": by}
        fields |= {} if system is None else {"system": system}
        return (await self._ask(_Row, "credential_noted", None, **fields)).seq

    async def credentials(self) -> list[CredentialRow]:
        """Return the last row of every password, by name (administrators)."""
        return await self._collect(CredentialRow, "credentials", {})


class SyncCredentialCalls(Waiting):
    """Part of `SyncClient`."""

    def credential_noted(
        self, what: What, account: str, *, version: int, digest: str, system: str | None = None, by: str = ""
    ) -> int:
        """See `Client.credential_noted`."""
        asked = self._client.credential_noted(what, account, version=version, digest=digest, system=system, by=by)
        return self._wait(asked)

    def credentials(self) -> list[CredentialRow]:
        """See `Client.credentials`."""
        return self._wait(self._client.credentials())
