"""Simulated cards: the applet by the letter of SP 800-73-4, what goes wrong on command, and the text commands."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_der_x509_certificate
from hypothesis import given
from hypothesis import strategies as st

from authd_simulators.cards import KINDS, SimulatedCard, make
from authd_simulators.cards.ber import ber, unber
from authd_simulators.cards.commands import Commands
from authd_simulators.cards.trouble import Torn

SELECT = bytes.fromhex("00a404000ba000000308000010000100" + "00")
PIN_BLOCK = b"123456\xff\xff"
ECC, RSA = make("piv", "a"), make("piv", "a", keys="rsa")


@pytest.fixture
def card() -> SimulatedCard:
    return make("piv", "a")


def word(card: SimulatedCard, apdu: str) -> int:
    return int.from_bytes(card.transmit(bytes.fromhex(apdu))[-2:], "big")


def whole(card: SimulatedCard, apdu: bytes) -> bytes:
    """Return the data of an answer, however many parts it has."""
    data = b""
    answer = card.transmit(apdu)
    while answer[-2] == 0x61:
        data += answer[:-2]
        answer = card.transmit(bytes.fromhex("00c00000") + answer[-1:])
    assert answer[-2:] == b"\x90\x00"
    return data + answer[:-2]


def verify(card: SimulatedCard, pin: bytes = PIN_BLOCK) -> int:
    return int.from_bytes(card.transmit(bytes.fromhex("0020008008") + pin)[-2:], "big")


def certificate(card: SimulatedCard, tag: str) -> Any:
    ((_, inner),) = unber(whole(card, bytes.fromhex("00cb3fff055c03" + tag + "00")))
    return load_der_x509_certificate(dict(unber(inner))[0x70])


def sign(card: SimulatedCard, slot: int, data: bytes) -> bytes:
    """Sign by a chain of commands; returns the whole answer with its word."""
    body = ber(0x7C, ber(0x82, b"") + ber(0x81, data))
    algorithm = 0x07 if len(data) == 256 else 0x11
    head = bytes([0x87, algorithm, slot])
    while len(body) > 200:
        assert card.transmit(b"\x10" + head + bytes([200]) + body[:200]) == b"\x90\x00"
        body = body[200:]
    return card.transmit(b"\x00" + head + bytes([len(body)]) + body + b"\0")


@pytest.mark.parametrize(("slot", "tag"), [(0x9E, "5fc101"), (0x9A, "5fc105")])
def test_an_ecc_key_signs_what_its_certificate_verifies(slot: int, tag: str) -> None:
    ECC.transmit(SELECT)
    verify(ECC)
    digest = hashlib.sha256(b"anything").digest()
    answer = sign(ECC, slot, digest)
    ((_, inner),) = unber(answer[:-2])
    key = certificate(ECC, tag).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(dict(unber(inner))[0x82], digest, ec.ECDSA(Prehashed(SHA256())))


@pytest.mark.parametrize(("slot", "tag"), [(0x9E, "5fc101"), (0x9A, "5fc105")])
def test_an_rsa_key_signs_in_chains_what_its_certificate_verifies(slot: int, tag: str) -> None:
    RSA.transmit(SELECT)
    verify(RSA)
    digest = hashlib.sha256(b"anything").digest()
    info = bytes.fromhex("3031300d060960864801650304020105000420") + digest
    answer = sign(RSA, slot, b"\0\1" + b"\xff" * (253 - len(info)) + b"\0" + info)
    assert answer[-2] == 0x61
    data = answer[:-2] + RSA.transmit(bytes.fromhex("00c00000") + answer[-1:])[:-2]
    ((_, inner),) = unber(data)
    key = certificate(RSA, tag).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    key.verify(dict(unber(inner))[0x82], b"anything", padding.PKCS1v15(), SHA256())


def test_9a_wants_the_pin_and_9e_does_not(card: SimulatedCard) -> None:
    card.transmit(SELECT)
    assert sign(card, 0x9A, bytes(32))[-2:] == b"\x69\x82"
    assert sign(card, 0x9E, bytes(32))[-2:] == b"\x90\x00"
    assert verify(card) == 0x9000
    assert sign(card, 0x9A, bytes(32))[-2:] == b"\x90\x00"


def test_the_pin_counts_down_and_blocks(card: SimulatedCard) -> None:
    card.transmit(SELECT)
    assert word(card, "00200080") == 0x63C3
    assert [verify(card, bytes(8)) for _ in range(4)] == [0x63C2, 0x63C1, 0x63C0, 0x6983]
    assert verify(card) == 0x6983
    assert word(card, "00200080") == 0x6983


def test_a_right_pin_gives_the_tries_back(card: SimulatedCard) -> None:
    card.transmit(SELECT)
    verify(card, bytes(8))
    assert verify(card) == 0x9000
    assert word(card, "00200080") == 0x9000
    assert word(card, "0020ff80") == 0x9000
    assert word(card, "00200080") == 0x63C3


def test_a_verified_pin_is_forgotten_without_power_and_with_another_applet() -> None:
    card = make("multi", "a")
    card.transmit(SELECT)
    verify(card)
    card.transmit(bytes.fromhex("00a4040008a0000006472f000100"))
    card.transmit(SELECT)
    assert word(card, "00200080") == 0x63C3
    verify(card)
    card.power(False)
    assert word(card, "00200080") == 0x6D00
    card.transmit(SELECT)
    assert word(card, "00200080") == 0x63C3


@pytest.mark.parametrize(
    ("apdu", "answer"),
    [
        ("00", 0x6700),
        ("80cb3fff", 0x6E00),
        ("00ff0000", 0x6D00),
        ("00a4040008a0000006472f000100", 0x6A82),
        ("00cb3fff055c035fc1ff00", 0x6A82),
        ("00cb3fff055c025fc10100", 0x6A80),
        ("00cb0000", 0x6A86),
        ("002000800431323334", 0x6A80),
        ("00200081083132333435363738", 0x6A88),
        ("0087119c00", 0x6A88),
        ("0087079e00", 0x6A86),
        ("0087119e00", 0x6A80),
        ("0087119e047c02810000", 0x6A80),
        ("ffca000000", 0x6A81),
        ("0020008008313233", 0x6700),
    ],
)
def test_what_it_answers_to_what_is_wrong(card: SimulatedCard, apdu: str, answer: int) -> None:
    card.transmit(SELECT)
    assert word(card, apdu) == answer


def test_a_chain_that_changes_its_mind_is_refused(card: SimulatedCard) -> None:
    card.transmit(SELECT)
    assert word(card, "1087119e0100") == 0x9000
    assert word(card, "00cb3fff055c035fc10100") == 0x6883
    assert word(card, "00cb3fff055c035fc10100") >> 8 == 0x61


def test_the_same_seed_is_the_same_card_and_another_is_not() -> None:
    one, same, other = make("piv", "a"), make("piv", "a"), make("piv", "b")
    for each in (one, same, other):
        each.transmit(SELECT)
    keys = [certificate(each, "5fc101").public_key().public_numbers() for each in (one, same, other)]
    assert keys[0] == keys[1] != keys[2]
    assert make("uid", "a").uid == make("uid", "a").uid != make("uid", "b").uid


@pytest.mark.parametrize("kind", KINDS)
@given(apdus=st.lists(st.binary(max_size=300), max_size=5))
def test_no_apdu_breaks_a_card(kind: str, apdus: list[bytes]) -> None:
    card = {"piv": ECC}.get(kind) or make(kind)
    card.transmit(SELECT)
    for apdu in apdus:
        assert len(card.transmit(apdu)) >= 2


# Trouble.


def test_a_scripted_word_comes_once_and_only_to_its_command(card: SimulatedCard) -> None:
    card.trouble.error(0x6982, "data")
    assert card.transmit(SELECT)[-2:] == b"\x90\x00"
    assert word(card, "00cb3fff055c035fc10100") == 0x6982
    assert word(card, "00cb3fff055c035fc10100") >> 8 == 0x61


def test_a_torn_card_answers_nothing(card: SimulatedCard) -> None:
    torn = list[str]()
    card.trouble.tear = lambda: torn.append("out")
    card.trouble.torn()
    with pytest.raises(Torn):
        card.transmit(SELECT)
    assert torn == ["out"]


def test_garbage_is_no_answer(card: SimulatedCard) -> None:
    card.trouble.garbage(times=2)
    first = card.transmit(SELECT)
    assert card.transmit(SELECT) == first
    assert card.transmit(SELECT)[-2:] == b"\x90\x00"


# Text commands.


@pytest.fixture
def commands() -> Commands:
    return Commands({kind: make(kind) for kind in ("piv", "uid")}, "127.0.0.1", 1)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("error 6982 verify 2", "ok 2 to go wrong"),
        ("GARBAGE", "ok 1 to go wrong"),
        ("TEAR sign", "ok 1 to go wrong"),
        ("SLOW 0", "ok 0 to go wrong"),
        ("RESUME", "ok 0 to go wrong"),
        ("PIN left 2", "ok 2 left"),
        ("PIN block", "ok 0 left"),
        ("PIN 654321", "ok 3 left"),
        ("REMOVE", "ok removed"),
    ],
)
async def test_commands(commands: Commands, line: str, answer: str) -> None:
    assert await commands.obey(line) == answer


@pytest.mark.parametrize(
    "line",
    ["", "DANCE", "ERROR", "ERROR xyz", "ERROR 12345", "ERROR 6982 dance", "GARBAGE sign 0", "SLOW", "SLOW 99999999",
     "PIN", "PIN 12", "PIN left 4", "INSERT dog", "AWAIT x", "AWAIT 0", "\ud800"],
)  # fmt: skip
async def test_commands_that_mean_nothing(commands: Commands, line: str) -> None:
    assert (await commands.obey(line)).startswith("error ")


async def test_a_card_does_not_go_into_a_reader_that_is_not_there(commands: Commands, monkeypatch: Any) -> None:
    monkeypatch.setattr("authd_simulators.vpcd.Slot.insert.__defaults__", (0.05,))
    assert (await commands.obey("INSERT")).startswith("error no virtual reader listens")


async def test_the_status_says_how_things_are(commands: Commands) -> None:
    assert commands.status() == {
        "kind": "card",
        "card": "piv",
        "inserted": False,
        "connected": False,
        "heard": 0,
        "pin_left": 3,
        "pin_open": False,
        "trouble": 0,
    }
    assert "INSERT" in await commands.obey("HELP")
