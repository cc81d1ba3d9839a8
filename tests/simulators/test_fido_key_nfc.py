"""The key as a card: chaining both ways, keep-alives, U2F, and python-fido2's own PC/SC code above it."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from fido2.ctap import CtapError
from fido2.ctap1 import Ctap1
from fido2.ctap2.base import Ctap2
from hypothesis import given, settings
from hypothesis import strategies as st

from authd_simulators.fido_key import TOUCH, Key
from authd_simulators.fido_key.apdu import ApduError, parse
from authd_simulators.fido_key.nfc import AID, ATR, NfcApplet

SELECT = bytes.fromhex("00a4040008") + AID + b"\0"
GET_INFO = bytes.fromhex("80100000010400")


class Connection:
    """What python-fido2 uses of a pyscard connection, with nothing but the applet below."""

    def __init__(self, applet: NfcApplet) -> None:
        self.applet = applet
        self.sent: list[bytes] = []

    def connect(self) -> None:
        self.applet.power(False)
        self.applet.power(True)

    def disconnect(self) -> None:
        self.applet.power(False)

    def transmit(self, apdu: list[int], protocol: int | None = None) -> tuple[list[int], int, int]:
        self.sent.append(bytes(apdu))
        answer = self.applet.transmit(bytes(apdu))
        assert len(answer) <= 258
        return list(answer[:-2]), answer[-2], answer[-1]


def selected(key: Key | None = None) -> NfcApplet:
    applet = NfcApplet(key or Key())
    assert applet.transmit(SELECT) == b"U2F_V2\x90\x00"
    return applet


def device(key: Key) -> tuple[Any, Connection]:
    from fido2.pcsc import CtapPcscDevice  # needs pyscard, which the unit tests can do without

    connection: Any = Connection(NfcApplet(key))
    return CtapPcscDevice(connection, "simulated"), connection


def test_the_answer_to_reset_adds_up() -> None:
    check = 0
    for byte in ATR[1:]:
        check ^= byte
    assert check == 0


def test_nothing_answers_before_it_is_selected() -> None:
    applet = NfcApplet(Key())
    assert applet.transmit(GET_INFO) == b"\x69\x85"
    assert applet.transmit(bytes.fromhex("00a4040005a000000308")) == b"\x6a\x82"
    applet.transmit(SELECT)
    assert applet.transmit(GET_INFO)[-2] == 0x61
    applet.power(False)
    applet.power(True)
    assert applet.transmit(GET_INFO) == b"\x69\x85"


def test_a_long_answer_is_fetched_in_parts() -> None:
    applet = selected()
    whole = applet.key.call(b"\x04")
    first = applet.transmit(GET_INFO)
    assert first[:-2] == whole[:256]
    rest = applet.transmit(b"\x00\xc0\x00\x00" + first[-1:])
    assert first[:-2] + rest == whole + b"\x90\x00"
    assert applet.transmit(b"\x00\xc0\x00\x00\x00") == b"\x69\x85"  # there is no more


def test_an_extended_apdu_needs_no_chaining() -> None:
    applet = selected()
    whole = applet.key.call(b"\x04")
    assert applet.transmit(bytes.fromhex("8010000000000104ffff")) == whole + b"\x90\x00"


def test_a_chain_that_is_too_long_is_refused() -> None:
    applet = selected()
    part = b"\x90\x10\x00\x00\xfa" + bytes(250)
    answers = [applet.transmit(part) for _ in range(31)]
    assert answers == [b"\x90\x00"] * 30 + [b"\x67\x00"]
    assert applet.transmit(GET_INFO)[-2] == 0x61


@pytest.mark.real
def test_a_platform_sees_the_wait_for_a_touch_and_can_end_it() -> None:
    key = Key()
    dev, connection = device(key)
    told: list[int] = []
    threading.Timer(0.3, key.presence.hand.give, [TOUCH]).start()
    Ctap2(dev).selection(on_keepalive=told.append)
    assert 2 in told
    assert connection.sent[-1][:2] == b"\x80\x11"
    cancel = threading.Event()
    with pytest.raises(CtapError, match="KEEPALIVE_CANCEL"):
        Ctap2(dev).selection(event=cancel, on_keepalive=lambda _: cancel.set())


@pytest.mark.real
def test_taken_away_in_mid_touch_it_forgets_the_command() -> None:
    key = Key()
    dev, connection = device(key)

    def lift(_: object) -> None:
        connection.applet.power(False)

    with pytest.raises(CtapError, match="OTHER"):
        Ctap2(dev).selection(on_keepalive=lift)
    dev.connect()
    assert Ctap2(dev).info.versions


@pytest.mark.real
def test_u2f_goes_over_apdus() -> None:
    key = Key()
    key.presence.hand.auto = True
    dev, _ = device(key)
    ctap = Ctap1(dev)
    made = ctap.register(b"\1" * 32, b"\2" * 32)
    made.verify(b"\2" * 32, b"\1" * 32)
    ctap.authenticate(b"\3" * 32, b"\2" * 32, made.key_handle).verify(b"\2" * 32, b"\3" * 32, made.public_key)


@pytest.mark.parametrize(
    ("raw", "data", "le"),
    [
        ("00030000", "", 256),
        ("0003000000", "", 256),
        ("0003000005", "", 5),
        ("0003000002aabb", "aabb", 256),
        ("0003000002aabb07", "aabb", 7),
        ("00030000000000", "", 65_536),
        ("00030000000100", "", 256),
        ("00030000000002aabb", "aabb", 65_536),
        ("00030000000002aabb0009", "aabb", 9),
    ],
)
def test_all_cases_of_apdus_are_read(raw: str, data: str, le: int) -> None:
    apdu = parse(bytes.fromhex(raw))
    assert (apdu.data.hex(), apdu.le) == (data, le)


@pytest.mark.parametrize("raw", ["", "000300", "0003000002aa", "0003000002aabb0102", "00030000000003aabb"])
def test_lengths_that_cannot_be_are_refused(raw: str) -> None:
    with pytest.raises(ApduError, match="LENGTH"):
        parse(bytes.fromhex(raw))


@given(st.lists(st.binary(max_size=300), max_size=6))
@settings(max_examples=60, deadline=None)
def test_whatever_comes_is_a_status_word(apdus: list[bytes]) -> None:
    applet = selected()
    applet.key.presence.hand.auto = True
    for apdu in apdus:
        assert 2 <= len(applet.transmit(apdu)) <= 65_538


def test_hostile_apdus_come_when_they_are_asked_for() -> None:
    applet = selected()
    applet.key.trouble.wire = 8
    said = {applet.transmit(GET_INFO) for _ in range(8)}
    assert {b"", b"\x90", b"\x91\x00", b"\x61\x00"} < said
    assert applet.transmit(GET_INFO)[-2] == 0x61
