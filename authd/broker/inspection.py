"""Whether what lies in the vault is what the ledger says, and what the systems take. Nothing is changed by looking."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from authd.broker.rotation import Rotator, RotatorError
from authd.broker.rotation.rotate import account_of
from authd.broker.vault import Sealed, Vault, VaultError


class State(StrEnum):
    """What there is to say of a credential, the worst first; the words are in `authd/locale`."""

    DAMAGED = "damaged"
    PUT_BACK = "put_back"
    SWAPPED = "swapped"
    LOST = "lost"
    SHUT = "shut"
    SILENT = "silent"
    PENDING = "pending"
    UNRECORDED = "unrecorded"
    KNOWN = "known"
    OK = "ok"


@dataclass(frozen=True, slots=True)
class Anchor:
    """What the ledger says of the last version."""

    version: int
    digest: str


@dataclass(frozen=True, slots=True)
class Look:
    """One credential, as it was found; `sealed` None: it could not be read."""

    name: str
    state: State
    sealed: Sealed | None = None


def inspect(vault: Vault, anchors: Mapping[str, Anchor], rotator: Callable[[str], Rotator | None]) -> list[Look]:
    """Look at everything, by name. Systems are asked once for each account, with its right password."""
    names = sorted({*vault.names(), *anchors})
    return [_look(vault, name, anchors.get(name), rotator) for name in names]


def _look(vault: Vault, name: str, anchor: Anchor | None, rotator: Callable[[str], Rotator | None]) -> Look:
    if name not in vault.names():
        return Look(name, State.LOST)
    try:
        sealed = vault.about(name)
        against = _against(sealed, anchor)
        return Look(name, against if against is not State.OK else _asked(vault, sealed, rotator(name)), sealed)
    except VaultError:
        return Look(name, State.DAMAGED)


def _against(sealed: Sealed, anchor: Anchor | None) -> State:
    """Compare with the ledger. The staging of a next password is the one change that it is not told of."""
    if anchor is not None and sealed.version < anchor.version:
        return State.PUT_BACK
    if anchor is not None and sealed.version == anchor.version and sealed.digest != anchor.digest:
        return State.SWAPPED
    if sealed.pending:
        return State.PENDING
    return State.OK if anchor is not None and sealed.version == anchor.version else State.UNRECORDED


def _asked(vault: Vault, sealed: Sealed, rotator: Rotator | None) -> State:
    try:
        if rotator is not None and not rotator.opens(account_of(sealed.name), vault.get(sealed.name)):
            return State.SHUT
    except RotatorError:
        return State.SILENT
    return State.OK if sealed.rotated else State.KNOWN
