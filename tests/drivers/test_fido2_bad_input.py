"""Whatever a key, a browser or a file says: one declared error, in little time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from fido2.ctap import CtapError
from hypothesis import example, given
from hypothesis import strategies as st

from authd.driver import DriverError, Fault
from authd_drivers.fido2 import office
from authd_drivers.fido2.ctap import parse_ctap
from authd_drivers.fido2.hid import Assembler, packets, parse_descriptor
from authd_drivers.fido2.messages import MAX_CBOR_BYTES, MAX_RESPONSE_BYTES, parse_response
from authd_drivers.fido2.nfc import parse_apdu
from authd_drivers.fido2.record import Credential, unpack
from authd_simulators.fido_key import Key
from authd_simulators.fido_key.trouble import GARBAGE
from tests.drivers.softkey import SoftKey, b64

FIDO = bytes.fromhex("06d0f10901a1010920150026ff007508954081020921150026ff00750895409102c0")
KEYBOARD = bytes.fromhex("05010906a101050719e029e71500250175019508810295017508810195057501050819012905c0")


def one_error(parse: Callable[[bytes], object], data: bytes) -> None:
    begun = time.process_time()
    try:
        parse(data)
    except DriverError as error:
        assert error.fault is Fault.PROTOCOL  # noqa: PT017  # or none at all
    except CtapError:
        assert parse is parse_ctap  # a status is an answer
        assert len(data) == 1
    assert time.process_time() - begun < 1.0  # a safeguard against endless ones; the bar is the fuzzing's


def test_what_is_good_is_read() -> None:
    assert parse_response(SoftKey().answer())
    assert parse_response(SoftKey().registration())
    assert parse_ctap(Key().call(b"\x04"))[1]
    assert parse_descriptor(FIDO)
    assert not parse_descriptor(KEYBOARD)
    assert parse_apdu(b"\x01\x90\x00") == (b"\x01", 0x9000)


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    for parse in (parse_response, parse_ctap, parse_descriptor, parse_apdu, unpack):
        one_error(parse, data)


@pytest.mark.parametrize("data", [*GARBAGE, b"\x00" + b"\x81" * MAX_CBOR_BYTES, b"\x00" + b"\x80" * 7_608])
def test_hostile_cbor(data: bytes) -> None:
    with pytest.raises((DriverError, CtapError)) if len(data) != 1 else pytest.raises(ZeroDivisionError):
        assert parse_ctap(data) == {}
        raise ZeroDivisionError  # an answer without a body is one
    table = json.loads(SoftKey().registration())
    table["response"]["attestationObject"] = b64(data[1:])
    one_error(parse_response, json.dumps(table).encode())


def test_a_status_with_a_tail_is_no_answer() -> None:
    with pytest.raises(CtapError):
        parse_ctap(b"\x2e")
    with pytest.raises(DriverError):
        parse_ctap(b"\x2e\x00")


def test_a_string_that_is_cut_short_is_no_string() -> None:
    with pytest.raises(DriverError):
        parse_ctap(b"\x00\xa1\x01\x44abc")


def change(path: str, value: object) -> bytes:
    table = json.loads(SoftKey().answer())
    *folders, last = path.split(".")
    place: Any = table
    for folder in folders:
        place = place[folder]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return json.dumps(table).encode()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("id", None),
        ("id", "AAAA"),
        ("rawId", 7),
        ("type", "password"),
        ("response", []),
        ("response", None),
        ("response.signature", None),
        ("response.signature", "not base64url!"),
        ("response.signature", "AA=="),
        ("response.signature", "A"),
        ("response.signature", "AB"),  # its last bits are lost in decoding
        ("response.signature", "A" * 2_000),
        ("response.authenticatorData", ""),
        ("response.authenticatorData", b64(bytes(36))),
        ("response.authenticatorData", b64(bytes(38))),
        ("response.authenticatorData", b64(bytes(32) + b"\x45" + bytes(4))),
        ("response.authenticatorData", b64(bytes(32) + b"\x85" + bytes(4) + b"\x81" * 5_000)),
        ("response.userHandle", b64(bytes(65))),
        ("response.clientDataJSON", b64(b"[]")),
        ("response.clientDataJSON", b64(b"[" * 3_000)),
        ("response.clientDataJSON", b64(b'{"type":"webauthn.get","challenge":"","origin":[]}')),
        ("response.clientDataJSON", b64(b'{"type":7,"challenge":"","origin":""}')),
        ("response.clientDataJSON", b64(b'{"type":"webauthn.get","origin":""}')),
        ("response.clientDataJSON", b64(b"\xff\xfe")),
        ("response.clientDataJSON", b64(b"1" * 4_000)),
        ("response.attestationObject", b64(b"\xa0")),
        ("response.attestationObject", b64(b"\xa3")),
    ],
)
def test_a_response_with_one_thing_wrong(path: str, value: object) -> None:
    with pytest.raises(DriverError) as error:
        parse_response(change(path, value))
    assert error.value.fault is Fault.PROTOCOL


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"null",
        b"[" * 30_000,
        b"9" * 30_000,
        b'{"response":' * 2_000,
        b" " * (MAX_RESPONSE_BYTES + 1),
        SoftKey().answer()[:-1],
        "\ufeff{}".encode(),
    ],
)
def test_what_is_no_response(data: bytes) -> None:
    with pytest.raises(DriverError):
        parse_response(data)


def test_oversize_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json, "loads", None)
    with pytest.raises(DriverError, match="too long"):
        parse_response(b" " * (MAX_RESPONSE_BYTES + 1))


@pytest.mark.parametrize("key", ["attestationObject", "authenticatorData"])
def test_long_cbor_is_refused_before_it_is_decoded(key: str) -> None:
    table = json.loads(SoftKey().registration() if key == "attestationObject" else SoftKey().answer())
    table["response"][key] = b64(bytes(MAX_CBOR_BYTES + 1))
    with pytest.raises(DriverError, match="too long"):
        parse_response(json.dumps(table).encode())


@given(st.binary(max_size=MAX_CBOR_BYTES), st.integers(0, 0x7F))
@example(b"", 0x10)
def test_packets_come_together_again(body: bytes, command: int) -> None:
    assembler, found = Assembler(7), list[tuple[int, bytes]]()
    for packet in packets(7, command, body):
        assert assembler.feed(b"\0\0\0\1" + packet[4:]) is None  # another program's
        if (message := assembler.feed(packet)) is not None:
            found.append(message)
    assert found == [(command, body)]


@pytest.mark.parametrize(
    "sent",
    [
        [b""],
        [bytes(63)],
        [b"\0\0\0\7\x90\xff\xff".ljust(64, b"\0")],
        [b"\0\0\0\7\x90\x00\x90".ljust(64, b"\0"), b"\0\0\0\7\x01".ljust(64, b"\0")],
    ],
    ids=["nothing", "short", "too long", "out of order"],
)
def test_packets_that_are_none(sent: list[bytes]) -> None:
    assembler = Assembler(7)
    *before, last = sent
    assert [assembler.feed(packet) for packet in before] == [None] * len(before)
    with pytest.raises(DriverError) as error:
        assembler.feed(last)
    assert error.value.fault is Fault.PROTOCOL


@given(st.lists(st.binary(min_size=60, max_size=60), max_size=200))
def test_any_packets(bodies: list[bytes]) -> None:
    assembler = Assembler(7)

    def feed(data: bytes) -> object:
        return assembler.feed(b"\0\0\0\7" + data)

    for body in bodies:
        one_error(feed, body)


@pytest.mark.parametrize("data", [b"", bytes(5_000), b"\x06\xd0", b"\xfe\x00\x00", FIDO[:-1] + b"\x27"])
def test_descriptors_that_are_none(data: bytes) -> None:
    with pytest.raises(DriverError):
        parse_descriptor(data)


def test_a_key_with_other_packets_is_not_ours() -> None:
    assert not parse_descriptor(FIDO.replace(b"\x95\x40", b"\x95\x20"))
    assert not parse_descriptor(FIDO.replace(b"\xd0\xf1", b"\xd1\xf1"))


@given(
    st.builds(
        Credential,
        id=st.binary(min_size=1, max_size=1_023),
        key=st.binary(min_size=1, max_size=1_024),
        counter=st.integers(0, 0xFFFFFFFF),
        aaguid=st.binary(min_size=16, max_size=16),
        eligible=st.booleans(),
        backed_up=st.booleans(),
        sensor=st.booleans(),
        attested=st.booleans(),
        protect=st.integers(0, 3),
        label=st.text(max_size=64),
    )
)
def test_records_come_back(credential: Credential) -> None:
    data = credential.pack()
    assert unpack(data) == credential
    with pytest.raises(DriverError):
        unpack(b"\x02" + data[1:])
    with pytest.raises(DriverError):
        unpack(data[: 24 + len(credential.id)])


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "rp_id"),
        ("rp_id = 7", "rp_id"),
        ('rp_id = "https://x"', "rp_id"),
        ('rp_id = "Town.example"', "rp_id"),
        ('rp_id = "x"\nrpid = "y"', "rpid"),
        ('rp_id = "x"\nattestation = "yes"', "attestation"),
        ('rp_id = "x"\nsynced = true', "synced"),
        ('rp_id = "x"\nallow = ["yubikey"]', "allow"),
        ('rp_id = "x"\norigins = "http://x"', "origins"),
        ("rp_id = ", "office file"),
        ("[" * 10_000, "office file"),
        (" " * 300_000, "at most"),
    ],
)
def test_office_files_say_what_is_wrong(text: str, word: str) -> None:
    with pytest.raises(DriverError, match=word) as error:
        office.parse(text)
    assert error.value.fault is Fault.NOT_PERMITTED
