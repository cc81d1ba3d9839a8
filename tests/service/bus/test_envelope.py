from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from authd.client import SignatureError, verify
from authd.core.model import EVENT_KINDS, INTERNAL_KINDS, EndReason, Entry, Epoch, Grade, Kind, SessionId
from authd.service.bus.envelope import REMEMBERED, Signer, attributes, enclose, visible
from authd.service.bus.house import Attribute, Peer, Role
from authd.service.bus.outlet import Outlet
from authd.service.bus.peers import ADMIN
from authd.service.bus.tickets import Tickets
from tests.service.bus.fakes import ONE, SATO, TWO, FakeHouse, FakeLedger, Row

STARTED = Entry(
    Kind.SESSION_STARTED,
    ONE,
    Epoch(3),
    SATO,
    SessionId("ses_1"),
    grade=Grade.MATCHED,
    data={"factor": "vein", "score": 0.93, "reference": "tpl_1@1"},
)
RESIDENT = Peer(Role.APPLICATION, "resident", frozenset({ONE}), frozenset({Attribute.NAME}))


def house() -> FakeHouse:
    return FakeHouse(FakeLedger(), Outlet(), Tickets())


def enclosed(entry: Entry, peer: Peer) -> bytes:
    return enclose(Row(7, 1_795_305_600_123, entry), peer, house())


def test_it_is_a_cloudevent() -> None:
    assert json.loads(enclosed(STARTED, RESIDENT)) == {
        "specversion": "1.0",
        "id": "7",
        "source": "authd://host-1/counter-1",
        "type": "jp.authd.session.started",
        "time": "2026-11-22T00:00:00.123Z",
        "subject": "sub_sato",
        "datacontenttype": "application/json",
        "data": {
            "seq": 7,
            "epoch": 3,
            "session": "ses_1",
            "seat": "counter-1",
            "grade": "B",
            "person": {"name": "佐藤 花子"},
            "detail": {"factor": "vein"},
        },
    }


def test_scope_decides_what_of_a_person_is_told() -> None:
    silent = Peer(Role.APPLICATION, "tax", frozenset({ONE}))
    assert "佐藤" not in enclosed(STARTED, silent).decode()
    assert json.loads(enclosed(STARTED, ADMIN))["data"]["person"]["staff_number"] == "1001"


def test_scores_and_references_stay_with_the_admin() -> None:
    assert b"tpl_1" not in enclosed(STARTED, RESIDENT)
    assert b"tpl_1" in enclosed(STARTED, ADMIN)


@pytest.mark.parametrize("purpose", ["resident/unmask", "authd/flags", "residents/unmask", "resident"])
def test_what_was_confirmed_is_told_to_the_application_that_asked(purpose: str) -> None:
    stepped = Entry(Kind.SESSION_STEPPED_UP, ONE, Epoch(3), SATO, SessionId("ses_1"), data={"purpose": purpose})
    told = json.loads(enclosed(stepped, RESIDENT))["data"].get("detail")
    assert told == ({"purpose": purpose} if purpose == "resident/unmask" else None)
    tax = Peer(Role.APPLICATION, "tax", frozenset({ONE}))
    assert purpose.encode() not in enclosed(stepped, tax)
    assert purpose.encode() in enclosed(stepped, ADMIN)


@pytest.mark.parametrize("kind", sorted(INTERNAL_KINDS))
def test_internal_kinds_are_told_to_nobody(kind: Kind) -> None:
    assert not visible(Row(1, 0, Entry(kind, ONE)), ADMIN)
    assert not visible(Row(1, 0, Entry(kind, ONE)), RESIDENT)


@pytest.mark.parametrize("kind", sorted(EVENT_KINDS))
def test_applications_hear_of_sessions_and_readers_of_their_seats_only(kind: Kind) -> None:
    wanted = kind.value.startswith(("session.", "reader."))
    assert visible(Row(1, 0, Entry(kind, ONE)), RESIDENT) is wanted
    assert not visible(Row(1, 0, Entry(kind, TWO)), RESIDENT)
    assert not visible(Row(1, 0, Entry(kind, None)), RESIDENT)
    assert visible(Row(1, 0, Entry(kind, TWO)), ADMIN)


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer(Ed25519PrivateKey.generate())


def public(signer: Signer) -> bytes:
    return base64.urlsafe_b64decode(signer.public + "==")


def test_what_is_signed_verifies_as_bytes_and_as_parsed(signer: Signer) -> None:
    event = signer.sign(enclosed(STARTED, RESIDENT), "resident")
    verify(event, public(signer), "resident")
    verify(json.loads(event), public(signer), "resident")


@pytest.mark.parametrize("audience", ["tax", "", "resident|", "residen"])
def test_an_event_for_one_audience_is_worth_nothing_to_another(signer: Signer, audience: str) -> None:
    event = signer.sign(enclosed(STARTED, RESIDENT), "resident")
    with pytest.raises(SignatureError):
        verify(event, public(signer), audience)


def test_another_hosts_key_does_not_verify(signer: Signer) -> None:
    event = Signer(Ed25519PrivateKey.generate()).sign(enclosed(STARTED, RESIDENT), "resident")
    with pytest.raises(SignatureError):
        verify(event, public(signer), "resident")


def test_any_change_of_any_byte_is_found(signer: Signer) -> None:
    event = signer.sign(enclosed(STARTED, RESIDENT), "resident")

    @given(st.integers(0, len(event) - 1), st.integers(1, 255))
    def check(at: int, change: int) -> None:
        changed = bytearray(event)
        changed[at] ^= change
        with pytest.raises(SignatureError):
            verify(bytes(changed), public(signer), "resident")

    check()


def test_a_signature_has_one_spelling(signer: Signer) -> None:
    event = signer.sign(enclosed(STARTED, RESIDENT), "resident")
    for other in (event[-3] ^ 1, event[-3] + 1):  # the second differs in bits that carry nothing
        with pytest.raises(SignatureError):
            verify(event[:-3] + bytes([other]) + event[-2:], public(signer), "resident")


@pytest.mark.parametrize("event", [b"", b"{}", b'{"sig":""}', {"id": "1"}, {"sig": "x" * 86}])
def test_an_event_without_a_signature_is_refused(signer: Signer, event: bytes | dict[str, object]) -> None:
    with pytest.raises(SignatureError):
        verify(event, public(signer), "resident")


def test_why_a_session_ended_is_told() -> None:
    ended = Entry(Kind.SESSION_ENDED, ONE, Epoch(3), SATO, SessionId("ses_1"), reason=EndReason.ABSENCE)
    assert json.loads(enclosed(ended, RESIDENT))["data"]["reason"] == "absence"


@pytest.mark.parametrize(
    ("number", "account"), [("10001", "staff_10001"), ("A-7", "staff_A-7"), ("1 or 1=1", ""), ("", "")]
)
def test_what_an_application_calls_a_person_is_a_safe_name_or_nothing(number: str, account: str) -> None:
    peer = Peer(Role.APPLICATION, "tax", frozenset({ONE}), account="staff_{staff_number}")
    sato = house().person(SATO)
    assert sato is not None
    person = replace(sato, staff_number=number)
    assert attributes(person, peer).get("account", "") == account
    assert "account" not in attributes(person, replace(peer, account=""))


def test_what_is_remembered_of_an_event_is_of_what_the_peer_may_see_now(signer: Signer) -> None:
    """A narrower scope, another application, a person with a new name: each is told what is true of it now."""
    hall, row = house(), Row(7, 1_795_305_600_123, STARTED)
    told = signer.told(row, RESIDENT, hall)
    assert signer.told(row, replace(RESIDENT), hall) is told
    verify(told, public(signer), "resident")
    assert "佐藤" not in signer.told(row, replace(RESIDENT, scope=frozenset()), hall).decode()
    verify(signer.told(row, replace(RESIDENT, name="tax"), hall), public(signer), "tax")
    hall.people_known[SATO] = replace(hall.people_known[SATO], name="鈴木 花子")
    assert "鈴木" in signer.told(row, RESIDENT, hall).decode()


def test_what_is_remembered_is_bounded() -> None:
    hall, signer = house(), Signer(Ed25519PrivateKey.generate())
    first = signer.told(Row(1, 0, STARTED), RESIDENT, hall)
    for seq in range(2, REMEMBERED + 2):
        signer.told(Row(seq, 0, STARTED), RESIDENT, hall)
    again = signer.told(Row(1, 0, STARTED), RESIDENT, hall)
    assert again == first
    assert again is not first
