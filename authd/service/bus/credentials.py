"""Verbs about passwords of old systems: what was sealed or rotated is recorded. No password is in any of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from msgspec import Meta

from authd.service.bus import wire
from authd.service.bus.envelope import iso
from authd.service.bus.house import Error, Peer, Refused, Role
from authd.service.bus.verbs import ADMIN, FOLLOWERS, Desk, Fields, Talk, Verb
from authd.service.evidence.credentials import Credentials, Noted, What

Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}(?![\s\S])")]


class CredentialNoted(wire.Call, frozen=True, tag="credential_noted"):
    """Record that a password was sealed or rotated: the version and digest of what lies in the vault."""

    what: What
    account: wire.Name
    version: wire.Number
    digest: Digest
    system: wire.Name | None = None
    by: wire.Text = ""


class CredentialsCall(wire.Call, frozen=True, tag="credentials"):
    """Stream what the ledger knows of each."""


async def noted(desk: Desk, peer: Peer, call: CredentialNoted) -> Fields:
    """Record it; an application speaks of its own system, an administrator names it."""
    system = peer.name if peer.role is Role.APPLICATION else call.system
    if system is None or call.system not in (None, system):
        raise Refused(
            Error.NOT_PERMITTED, "an application speaks of its own passwords; an administrator names a system"
        )
    return {"seq": await _part(desk).note(Noted(call.what, system, call.account, call.version, call.digest, call.by))}


async def credentials(desk: Desk, talk: Talk, call: CredentialsCall) -> None:
    """Stream them by name."""
    for seq, wall_ms, each in _part(desk).all():
        talk.peer()
        told = {"what": each.what.value, "system": each.system, "account": each.account, "version": each.version}
        await talk.item({"item": {**told, "digest": each.digest, "seq": seq, "time": iso(wall_ms), "by": each.by}})


def _part(desk: Desk) -> Credentials:
    return desk.house.evidence.credentials


VERBS: Final[Mapping[type[wire.Call], Verb]] = {
    CredentialNoted: Verb(FOLLOWERS, waiting=noted),
    CredentialsCall: Verb(ADMIN, stream=credentials),
}
