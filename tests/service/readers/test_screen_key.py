"""The seat's screen as a reader: what its browser is asked, and what is taken from it."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from authd.core.model import Fault, Nonce, ReaderId, SeatId
from authd.core.ports import Given, Heard, ReaderDown, ReaderUp, Sample
from authd.driver import Confirm, Enroll, Enrolled, challenge_of
from authd.service.host.frames import Ended
from authd.service.host.manifest import ManifestError
from authd.service.readers import HostReaders, ReaderPlan
from authd.service.readers.answers import Job
from authd.service.readers.screen_key import Office, ScreenKey
from authd.service.registry import find_driver

R, SEAT = ReaderId("screen-1"), SeatId("counter-1")
N1, N2 = Nonce("01" * 16), Nonce("02" * 16)
OFFICE = Office("seats.town.example", "Town hall", attested=False)


class Heads:
    """A screen's reader, and what was heard of it."""

    def __init__(self, office: Office = OFFICE) -> None:
        self.words: list[Heard] = []
        self.key = ScreenKey(R, office, self.words.append)


def unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def test_it_is_up_while_any_screen_watches() -> None:
    heads = Heads()
    with heads.key.watched():
        with heads.key.watched():
            pass
        assert heads.words == [ReaderUp(R)]
    assert heads.words == [ReaderUp(R), ReaderDown(R, Fault.REMOVED)]


def test_a_browser_is_asked_for_any_key_of_the_office_under_the_armed_nonce() -> None:
    heads = Heads()
    with heads.key.watched():
        assert heads.key.ceremony() is None
        heads.key.arm(N1)
        asked = heads.key.ceremony()
        assert asked is not None
        assert asked.kind == "get"
        assert asked.options["challenge"] == unpadded(challenge_of(N1))
        assert asked.options["rpId"] == "seats.town.example"
        assert asked.options["userVerification"] == "required"
        assert asked.options["allowCredentials"] == []


def test_what_the_browser_got_is_a_proof_once() -> None:
    heads = Heads()
    with heads.key.watched():
        heads.key.arm(N1)
        assert heads.key.signed(b"{}")
        assert not heads.key.signed(b"{}")
        assert heads.words[1:] == [Sample(R, N1, b"{}", 1.0, given=Given.PROOF)]
        assert heads.key.ceremony() is None


@pytest.mark.parametrize("end", ["calm", "elsewhere"])
def test_nothing_is_asked_on_a_calm_seat_or_once_the_nonce_is_used(end: str) -> None:
    heads = Heads()
    with heads.key.watched():
        heads.key.arm(N1)
        if end == "calm":
            heads.key.arm(N2, calm=True)
        else:
            heads.key.disarm()
        assert heads.key.ceremony() is None
        assert not heads.key.signed(b"{}")


def test_without_a_screen_there_is_no_reader() -> None:
    heads, said = Heads(), list[object]()
    heads.key.arm(N1)
    assert heads.key.ceremony() is None
    assert not heads.key.signed(b"{}")
    heads.key.do(Job(Enroll(N1, "sub_a"), said.append))
    assert said == [None]


def test_an_enrolment_makes_a_credential_of_the_person() -> None:
    heads, said = Heads(Office("rp", "Town", attested=True)), list[object]()
    with heads.key.watched():
        heads.key.do(Job(Enroll(N1, "sub_a", exclude=(b"\x01\x02",)), said.append))
        asked = heads.key.ceremony()
        assert asked is not None
        assert asked.kind == "create"
        assert asked.options["user"] == {"id": unpadded(b"sub_a"), "name": "sub_a", "displayName": "sub_a"}
        assert asked.options["challenge"] == unpadded(challenge_of(N1))
        assert asked.options["attestation"] == "direct"
        assert asked.options["excludeCredentials"] == [{"type": "public-key", "id": "AQI"}]
        assert asked.options["authenticatorSelection"]["residentKey"] == "required"
        assert heads.key.signed(b"{}")
    assert said == [Enrolled(b"{}", N1), Ended()]


def test_an_enrolment_ends_with_the_last_screen() -> None:
    heads, said = Heads(), list[object]()
    with heads.key.watched():
        heads.key.do(Job(Enroll(N1, "sub_a"), said.append))
    assert said == [None]


def test_there_is_nothing_to_look_for_silently() -> None:
    heads, said = Heads(), list[object]()
    with heads.key.watched():
        heads.key.do(Job(Confirm(N1, b"id"), said.append))
    assert said == [Ended()]


@pytest.mark.parametrize("text", ["", "rp_id = 3", "rp_id = ''", "rp_id", "rp_id = 'a'\nname = 1"])
def test_an_office_that_names_no_relying_party_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Office.read(text)
    path = tmp_path / "office.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ManifestError, match="screen-1: office"):
        HostReaders({SEAT: [R]}, [ReaderPlan(R, find_driver("webauthn"), {"office": str(path)})])


def test_a_seat_finds_its_screen_and_no_other() -> None:
    readers = HostReaders({SEAT: []}, [])
    with readers.watched(SEAT):
        assert readers.ceremony(SEAT) is None
        assert not readers.signed(SEAT, b"{}")
        assert not readers.signed(SeatId("nowhere"), b"{}")


async def test_a_real_office_file_makes_a_reader(tmp_path: Path) -> None:
    path = tmp_path / "office.toml"
    path.write_text("rp_id = 'rp.example'\norigins = []\n", encoding="utf-8")
    readers = HostReaders({SEAT: [R]}, [ReaderPlan(R, find_driver("webauthn"), {"office": str(path)})])
    with readers.watched(SEAT):
        readers.arm(SEAT, N1)
        asked = readers.ceremony(SEAT)
        assert asked is not None
        assert asked.options["rpId"] == "rp.example"
        assert readers.signed(SEAT, b"x")
    heard = readers.listen(SEAT)
    assert [await anext(heard) for _ in range(3)] == [
        ReaderUp(R),
        Sample(R, N1, b"x", 1.0, given=Given.PROOF),
        ReaderDown(R, Fault.REMOVED),
    ]
