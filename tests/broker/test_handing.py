from dataclasses import replace
from pathlib import Path

import pytest

from authd.broker.handing import NotHanded, Refused, hand
from authd.broker.secret import Secret, Shape
from authd.broker.vault import Vault
from authd.client import Person
from tests.broker.clients import AGAIN, SATO, Authd


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    made = Vault.create(tmp_path / "vault")
    made.put("tax/staff_1042", Secret("a"))
    return made


async def test_handed_for_the_session_that_is_active_now(vault: Vault) -> None:
    (secret,) = await hand(Authd().client, vault, "tax", SATO)
    assert secret.reveal() == "a"


async def test_while_it_is_replaced_both_are_handed_the_likelier_first(vault: Vault) -> None:
    staged = vault.stage("tax/staff_1042", Shape())
    assert [each.reveal() for each in await hand(Authd().client, vault, "tax", SATO)] == ["a", staged.reveal()]


@pytest.mark.parametrize(
    ("there", "person", "why"),
    [
        (None, SATO, NotHanded.NOBODY),
        (AGAIN, SATO, NotHanded.NOBODY),
        (SATO, replace(SATO, account=""), NotHanded.NO_ACCOUNT),
        (replace(SATO, account="staff_1043"), SATO, NotHanded.NO_CREDENTIAL),
    ],
)
async def test_not_handed(vault: Vault, there: Person | None, person: Person, why: NotHanded) -> None:
    with pytest.raises(Refused) as told:
        await hand(Authd(there).client, vault, "tax", person)
    assert told.value.why is why


async def test_another_system_s_password_is_not_handed(vault: Vault) -> None:
    with pytest.raises(Refused, match="no_credential"):
        await hand(Authd().client, vault, "host", SATO)
