"""One rotation from its beginning to its end. At no point does the system believe what the vault does not hold.

    vault: current           the system believes current
    vault: current, next     either: the change was asked for, and perhaps made
    vault: next              the system was seen to refuse the old one and to take the new one

Whoever was killed in between leaves the second line, and the next rotation begins by asking which of them it is.
"""

from __future__ import annotations

from authd.broker.rotation.port import Rotator, RotatorError
from authd.broker.secret import Secret
from authd.broker.vault import NotSealed, Sealed, Vault


class StillOpens(RotatorError):
    """The system said that it changed the password, and still takes the old one."""


class NeitherOpens(RotatorError):
    """Somebody changed the password behind authd's back: nothing that the vault holds opens the account."""


def seal(vault: Vault, name: str, secret: Secret, rotator: Rotator | None, above: int = 0) -> Sealed:
    """Take a password from whoever knows it, once it is sure that it is the right one.

    rotator None: the system has none, and nothing can be asked. above: as `Vault.put`. Raises `RotatorError`,
    `VaultError`.
    """
    if rotator is not None and not rotator.opens(account_of(name), secret):
        raise NeitherOpens(f"{name}: this password does not open the account; nothing was sealed, type it again")
    return vault.put(name, secret, above)


def rotate(vault: Vault, name: str, rotator: Rotator) -> Sealed:
    """Replace a password by one that nobody has seen. Raises `RotatorError`, `VaultError`; then begin it again.

    A try with a wrong password comes before one with a right one wherever that can be: old systems count them.
    """
    cut_short = vault.about(name).pending
    current, following = vault.get(name), vault.stage(name, rotator.shape)
    account = account_of(name)
    if not (cut_short and rotator.opens(account, following)):
        _change(rotator, name, current, following, doubtful=cut_short)
    if rotator.opens(account, current):
        raise StillOpens(f"{name}: the system still takes the old password; see its own log, then rotate again")
    if not rotator.opens(account, following):
        raise NeitherOpens(f"{name}: the system takes neither password; both are kept, see its own log")
    return vault.promote(name)


def healed(vault: Vault, name: str, rotator: Rotator) -> Sealed | None:
    """Finish a rotation that was cut short, if this one was. Raises as `rotate`."""
    try:
        return rotate(vault, name, rotator) if vault.about(name).pending else None
    except NotSealed:
        return None


def account_of(name: str) -> str:
    """Return the account of a credential's name."""
    return name.partition("/")[2]


def _change(rotator: Rotator, name: str, current: Secret, following: Secret, *, doubtful: bool) -> None:
    """Ask for the change. Where it is doubtful what the system believes, only once it is sure that `current` opens."""
    account = account_of(name)
    if doubtful and not rotator.commanding and not rotator.opens(account, current):
        raise NeitherOpens(
            f"{name}: nothing that is sealed opens the account: somebody changed it elsewhere; "
            "let the system's administrator set a password, and seal that: authd credentials seal"
        )
    rotator.change(account, current, following)
