"""ATRs, APDUs, TLVs, certificates and records of hostile cards: a value, or one declared error."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authd.driver import DriverError, Fault
from authd_drivers.pcsc import record, tlv
from authd_drivers.pcsc.apdu import exchange, parse_response
from authd_drivers.pcsc.api import MAX_RESPONSE
from authd_drivers.pcsc.atr import parse_atr
from authd_drivers.pcsc.record import Credential, Number, Offered, Signed
from authd_drivers.pcsc.tlv import Algorithm, NotAllowed
from authd_simulators.cards import make
from authd_simulators.cards.ber import ber
from authd_simulators.cards.keys import KeyPair

PARSERS: list[Callable[[bytes], object]] = [
    parse_atr,
    parse_response,
    tlv.parse,
    tlv.certificate_of,
    tlv.public_key,
    record.read_given,
    record.read_enrolled,
    record.read_credential,
]


def well(parser: Callable[[bytes], object], data: bytes) -> None:
    """Fail unless it gives a value or the declared error."""
    try:
        parser(data)
    except DriverError as error:
        assert error.fault is Fault.PROTOCOL  # noqa: PT017  # a value is as good
    except NotAllowed:
        assert parser is tlv.public_key


def protocol(parser: Callable[[bytes], object], data: bytes) -> None:
    with pytest.raises(DriverError) as error:
        parser(data)
    assert error.value.fault is Fault.PROTOCOL


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.__name__)
@given(data=st.binary(max_size=300))
def test_any_bytes_are_a_value_or_the_declared_error(parser: Callable[[bytes], object], data: bytes) -> None:
    well(parser, data)


@pytest.mark.parametrize("parser", [tlv.certificate_of, tlv.public_key], ids=["object", "certificate"])
def test_a_certificate_with_any_byte_changed_is_a_value_or_the_declared_error(
    parser: Callable[[bytes], object],
) -> None:
    certificate = KeyPair("ecc", "a", "A").certificate
    whole = certificate if parser is tlv.public_key else ber(0x53, ber(0x70, certificate) + ber(0x71, b"\0"))
    dice = random.Random(1)
    for at in range(len(whole)):
        well(parser, whole[:at])
        well(parser, whole[:at] + bytes([dice.randrange(256)]) + whole[at + 1 :])


# ATR


@pytest.mark.parametrize("kind", ["piv", "uid", "multi", "blank"])
def test_the_atrs_of_simulated_cards_are_read(kind: str) -> None:
    assert parse_atr(make(kind).atr).storage == (kind == "uid")


@pytest.mark.parametrize(
    ("atr", "protocols", "historical"),
    [
        ("3b00", (0,), ""),
        ("3b0200ff", (0,), "00ff"),
        ("3b6500002063cb6800", (0,), "2063cb6800"),
        ("3b80800101", (0, 1), ""),
        ("3bfd1300008131fe158073c021c057597562694b657940", (1,), "8073c021c057597562694b6579"),
    ],
)
def test_atrs(atr: str, protocols: tuple[int, ...], historical: str) -> None:
    read = parse_atr(bytes.fromhex(atr))
    assert read.protocols == protocols
    assert read.historical == bytes.fromhex(historical)


@pytest.mark.parametrize(
    "atr",
    ["", "3b", "00" * 33, "3b" + "ff" * 40, "3bff", "3b80", "3b8080", "3b80800100", "3b0f", "3b000000", "3cff" * 16],
)
def test_bad_atrs(atr: str) -> None:
    protocol(parse_atr, bytes.fromhex(atr))


def test_an_atr_whose_interface_bytes_never_end_ends() -> None:
    protocol(parse_atr, b"\x3b\x80" + b"\x80" * 31)


# APDU


class Script:
    """A card that answers one response after the other, the last one for ever."""

    def __init__(self, *responses: str) -> None:
        self.responses = [bytes.fromhex(each) for each in responses]
        self.heard: list[bytes] = []

    def __call__(self, apdu: bytes) -> bytes:
        self.heard.append(apdu)
        return self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]


HEAD = bytes.fromhex("00cb3fff")


def test_a_short_command_is_one_apdu() -> None:
    card = Script("01029000")
    assert exchange(card, HEAD, b"\x5c\x00").data == b"\x01\x02"
    assert card.heard == [HEAD + b"\x02\x5c\x00\x00"]


def test_a_long_command_is_chained() -> None:
    card = Script("9000")
    exchange(card, HEAD, bytes(600))
    assert [(each[0], each[4], len(each)) for each in card.heard] == [(0x10, 255, 260), (0x10, 255, 260), (0, 90, 96)]


def test_a_chain_that_is_refused_is_not_gone_on_with() -> None:
    card = Script("6883")
    assert exchange(card, HEAD, bytes(600)).word == 0x6883
    assert len(card.heard) == 1


def test_a_long_answer_is_fetched_in_parts() -> None:
    card = Script("01" * 256 + "6104", "02030405" + "9000")
    assert exchange(card, HEAD).data == b"\x01" * 256 + b"\x02\x03\x04\x05"
    assert card.heard[1] == bytes.fromhex("00c0000004")


def test_another_length_is_asked_for_once() -> None:
    card = Script("6c05", "01020304059000")
    assert exchange(card, HEAD).data == bytes(range(1, 6))
    assert card.heard == [HEAD + b"\0", HEAD + b"\x05"]
    card = Script("6c05")
    assert exchange(card, HEAD).word == 0x6C05
    assert len(card.heard) == 2


def test_a_command_with_data_is_never_sent_twice() -> None:
    """A PIN that a card answers with 6C05 would cost a second try."""
    card = Script("6c05")
    assert exchange(card, bytes.fromhex("00200080"), bytes(8), le=False).word == 0x6C05
    assert len(card.heard) == 1


@pytest.mark.parametrize("response", ["6100", "01" * 256 + "6100", "6101"])
def test_an_answer_that_never_ends_ends(response: str) -> None:
    card = Script(response)
    with pytest.raises(DriverError) as error:
        exchange(card, HEAD)
    assert error.value.fault is Fault.PROTOCOL
    assert len(card.heard) <= 302


@pytest.mark.parametrize("raw", [b"", b"\x90", bytes(MAX_RESPONSE - 1) + b"\x90\x00", b"\0\0", b"data\x80\x00"])
def test_responses_without_length_or_word(raw: bytes) -> None:
    protocol(parse_response, raw)


def test_the_longest_response() -> None:
    assert parse_response(bytes(MAX_RESPONSE - 2) + b"\x90\x00").word == 0x9000


# TLV and certificates


@pytest.mark.parametrize("data", ["53", "5305", "5380", "538300000000", "1f", "1fffffff00", "5f", "53820001", "5381"])
def test_bad_tlvs(data: str) -> None:
    protocol(tlv.parse, bytes.fromhex(data))


def test_tlvs_of_all_lengths_are_read() -> None:
    for size in (0, 1, 127, 128, 255, 256, 8_000, 65_535):
        (one,) = tlv.parse(ber(0x5FC101, bytes(size)))
        assert (one.tag, len(one.value)) == (0x5FC101, size)
        assert one.raw == ber(0x5FC101, bytes(size))


def test_too_many_objects_are_refused() -> None:
    protocol(tlv.parse, b"\x01\x00" * 65)


def test_an_object_that_is_there_twice_is_refused() -> None:
    protocol(tlv.certificate_of, ber(0x53, ber(0x70, b"a") * 2))


def test_the_keys_of_certificates() -> None:
    assert tlv.public_key(KeyPair("ecc", "a", "A").certificate).algorithm is Algorithm.P_256
    assert tlv.public_key(KeyPair("rsa", "a", "A").certificate).algorithm is Algorithm.RSA_2048


def test_a_packed_certificate_is_unpacked_and_a_bomb_is_not() -> None:
    certificate = KeyPair("ecc", "a", "A").certificate
    packed = ber(0x53, ber(0x70, gzip.compress(certificate)) + ber(0x71, b"\x01"))
    assert tlv.certificate_of(packed) == certificate
    protocol(tlv.certificate_of, ber(0x53, ber(0x70, gzip.compress(bytes(10_000_000))) + ber(0x71, b"\x01")))
    protocol(tlv.certificate_of, ber(0x53, ber(0x70, b"no gzip") + ber(0x71, b"\x01")))


def test_a_key_of_another_kind_is_not_taken() -> None:
    p384 = bytes.fromhex("2b81040022")
    spki = ber(0x30, ber(0x30, ber(6, bytes.fromhex("2a8648ce3d0201")) + ber(6, p384)) + ber(3, b"\0\x04" + bytes(96)))
    body = b"".join([ber(2, b"\x01"), *[ber(0x30, b"")] * 4, spki])
    with pytest.raises(NotAllowed):
        tlv.public_key(ber(0x30, ber(0x30, body)))


# Records


@pytest.mark.parametrize(
    "one", [Signed(bytes(32), "9e", bytes(32), b"sig"), Signed(bytes(32), "9a", bytes(32), b""), Number(b"1234")]
)
def test_what_a_card_gave_is_read_as_written(one: Signed | Number) -> None:
    assert record.read_given(record.write_given(one)) == one


def test_what_was_enrolled_is_read_as_written() -> None:
    offered = Offered(bytes(32), {"9e": (b"key", b"sig"), "9a": (b"k", b"s")})
    assert record.read_enrolled(record.write_enrolled(offered)) == offered
    assert record.read_enrolled(record.write_enrolled(Number(b"1234567"))) == Number(b"1234567")


@pytest.mark.parametrize(
    "one", [Credential({"9e": b"key"}), Credential({"9e": b"k", "9a": b"l"}), Credential(uid=b"1234")]
)
def test_what_is_kept_is_read_as_written(one: Credential) -> None:
    assert record.read_credential(record.write_credential(one)) == one
    assert set(record.named(one.name)) == one.ids


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 8_000,
        b"{}",
        b"null",
        b'{"uid": 5}',
        b'{"uid": "zz"}',
        b'{"uid": "00"}',
        b'{"uid": "' + b"00" * 11 + b'"}',
        b'{"challenge": "", "slot": "9c", "key": "", "signature": ""}',
        b'{"challenge": "", "slot": "9e", "key": "", "signature": ""}',
        b'{"challenge": 1, "keys": {}}',
        b'{"keys": {"9c": "AA=="}}',
        b'{"keys": {"9e": "?"}}',
        b'{"keys": {}}',
        b" " * 9_000,
        b'{"uid": "\\ud800"}',
    ],
)
def test_bad_records(data: bytes) -> None:
    for parser in (record.read_given, record.read_enrolled, record.read_credential):
        protocol(parser, data)


def test_a_signed_message_is_never_the_bare_challenge() -> None:
    assert record.message(bytes(32)) != bytes(32)
    assert record.message(bytes(32)).startswith(b"authd piv 1\0")
