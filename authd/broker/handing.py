"""A password leaves the vault for one thing only: to sign on whoever is at the seat, in the session active now."""

from __future__ import annotations

from enum import StrEnum

from authd.broker.secret import Secret
from authd.broker.vault import NotSealed, Vault
from authd.client import Client, Person


class NotHanded(StrEnum):
    """Why not; the words are in `authd/locale`."""

    NOBODY = "nobody"
    NO_ACCOUNT = "no_account"
    NO_CREDENTIAL = "no_credential"


class Refused(Exception):
    """It stays where it is."""

    def __init__(self, why: NotHanded) -> None:
        super().__init__(why.value)
        self.why = why


async def hand(client: Client, vault: Vault, system: str, person: Person) -> tuple[Secret, ...]:
    """Return what the system may believe, the likelier first, if the person's session is active at this moment.

    Raises `Refused`, `VaultError`, and `ClientError`: authd is not heard, so nobody is there.
    """
    if not person.account:
        raise Refused(NotHanded.NO_ACCOUNT)
    there = await client.who(person.seat)
    if there is None or there.session != person.session:
        raise Refused(NotHanded.NOBODY)
    try:
        return vault.candidates(f"{system}/{there.account}")
    except NotSealed:
        raise Refused(NotHanded.NO_CREDENTIAL) from None
