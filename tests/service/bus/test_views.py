from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import create_autospec

import pytest

from authd.client import Client, DoorError, Person, SignatureError, check_receipt, connect
from authd.core.model import Grade, Instant, SeatId
from authd.service.bus.views import ERRORS
from authd.service.evidence.records import Pseudonyms
from authd.service.evidence.views import Said, View, ViewRefused, Views, Why
from tests.service.bus.fakes import ONE, SATO, World
from tests.service.evidence.views.ground import sitting

NAMES = Pseudonyms(bytes(32))
ROW = bytes(range(32))


class Taken:
    """Views that take everything, or refuse it for one reason."""

    def __init__(self) -> None:
        self.why: Why | None = None
        self.said: list[Said] = []
        self.change: dict[str, Any] = {}

    async def report(self, said: Said, seats: frozenset[SeatId]) -> View:
        assert seats == {ONE}
        self.said.append(said)
        if self.why is not None:
            raise ViewRefused(self.why)
        session = sitting(ONE, SATO, said.session, Instant(1))
        view = View(said, ONE, session, 1_795_305_600_000, 7, 5, ROW, 1_795_305_651_000, 1)
        return replace(view, **self.change)


@pytest.fixture
def taken(host: World) -> Taken:
    taken, views = Taken(), create_autospec(Views, instance=True)
    views.report.side_effect = taken.report
    views.pseudonym.side_effect = NAMES.record
    evidence: Any = host.house.evidence
    evidence.views = views
    return taken


def client(host: World) -> Client:
    return connect(host.router, key=host.resident.secret, server_key=host.door.public)


async def person(host: World, client: Client) -> Person:
    host.house.open(ONE, SATO)
    found = await client.who(ONE)
    assert found is not None
    return found


async def test_a_receipt_says_who_with_what_evidence_and_where_it_stands(taken: Taken, served: World) -> None:
    async with client(served) as resident:
        sato = await person(served, resident)
        receipt = await resident.view(sato, "20481", screen="juminhyo", purpose="certificate")
    (said,) = taken.said
    assert (said.system, said.session, said.subject, said.screen) == ("resident", sato.session, SATO, "juminhyo")
    assert (receipt.seq, receipt.leaf, receipt.row) == (7, 5, ROW)
    assert (receipt.subject, receipt.seat, receipt.session) == (SATO, ONE, sato.session)
    assert (receipt.grade, receipt.factor) == (Grade.MATCHED, "vein")
    assert receipt.record == NAMES.record("20481")
    assert b'"name":"\xe4\xbd\x90' in receipt.raw, "the person's attributes, within the scope"
    assert b"1001" not in receipt.raw, "and no more than the scope"
    assert b"20481" not in receipt.raw


async def test_a_kept_receipt_can_be_checked_and_a_changed_one_is_found(taken: Taken, served: World) -> None:
    async with client(served) as resident:
        sato = await person(served, resident)
        receipt = await resident.view(sato, "20481", screen="juminhyo", purpose="certificate")
        key = resident._caller.host.event_key  # pyright: ignore[reportPrivateUsage] (what `ping` tells)
    assert check_receipt(receipt.raw, key, "resident") == receipt
    with pytest.raises(SignatureError):
        check_receipt(receipt.raw, key, "tax")
    with pytest.raises(SignatureError):
        check_receipt(receipt.raw, bytes(32), "resident")
    for at in range(0, len(receipt.raw), 7):
        changed = bytearray(receipt.raw)
        changed[at] ^= 1
        with pytest.raises(SignatureError):
            check_receipt(bytes(changed), key, "resident")


async def test_a_receipt_of_another_view_is_none(taken: Taken, served: World) -> None:
    async with client(served) as resident:
        sato = await person(served, resident)
        taken.change = {"said": replace(_said(sato), nonce="another-nonce-0001")}
        with pytest.raises(SignatureError, match="another view"):
            await resident.view(sato, "20481", screen="juminhyo", purpose="certificate")


def _said(person: Person) -> Said:
    return Said("resident", person.session, NAMES.record("20481"), "", "x", "", "", 0)


@pytest.mark.parametrize("why", list(Why))
async def test_every_refusal_is_told_in_one_line(taken: Taken, served: World, why: Why) -> None:
    taken.why = why
    async with client(served) as resident:
        sato = await person(served, resident)
        with pytest.raises(DoorError) as caught:
            await resident.view(sato, "20481", screen="juminhyo", purpose="certificate")
    assert caught.value.code == ERRORS.get(why, "refused")
    assert caught.value.message == ViewRefused(why).told
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("number", ["x" * 65, "\n", "2048\n1", " "])
async def test_what_is_no_number_of_a_record(taken: Taken, served: World, number: str) -> None:
    async with client(served) as resident:
        sato = await person(served, resident)
        with pytest.raises(DoorError, match="bad_request"):
            await resident.view(sato, number, screen="juminhyo", purpose="certificate")
    assert taken.said == []
