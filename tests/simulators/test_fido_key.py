"""The key in process, against python-fido2 as an independent platform."""

from __future__ import annotations

import hashlib
import threading
from typing import Any

import pytest
from cryptography import x509
from fido2.client import ClientError, DefaultClientDataCollector, Fido2Client, UserInteraction
from fido2.ctap import CtapError
from fido2.ctap2.base import Ctap2
from fido2.ctap2.pin import ClientPin
from fido2.server import Fido2Server

from authd_simulators.fido_key import BIO, WRONG, Finger, Gesture, Key, Memory, Profile, Unplugged
from tests.simulators.key_device import KeyDevice

PIN = "271828"
RP = {"id": "office.example", "name": "Office"}
SERVER: Any = Fido2Server  # its types want more than the dictionaries that it takes
USER = {"id": b"staff-1001", "name": "1001", "displayName": "Ito"}


class Prompt(UserInteraction):
    def prompt_up(self) -> None:
        pass

    def request_pin(self, permissions: object, rp_id: object) -> str:
        return PIN

    def request_uv(self, permissions: object, rp_id: object) -> bool:
        return True


def touched(profile: Profile | None = None, memory: Memory | None = None) -> Key:
    key = Key(profile or Profile(), memory)
    key.presence.hand.auto = True
    return key


def client(key: Key) -> Fido2Client:
    collector = DefaultClientDataCollector("https://office.example")
    return Fido2Client(KeyDevice(key), client_data_collector=collector, user_interaction=Prompt())


def enrol(key: Key, **options: Any) -> Any:
    server: Any = SERVER(RP, attestation="direct")
    wanted = {"resident_key_requirement": "required", "user_verification": "required", **options}
    create, state = server.register_begin(USER, **wanted)
    return server.register_complete(state, client(key).make_credential(create.public_key))


def assertion(key: Key, credentials: list[Any], uv: str = "required") -> Any:
    server: Any = SERVER(RP)
    request, state = server.authenticate_begin(None, user_verification=uv)
    response = client(key).get_assertion(request.public_key).get_response(0)
    server.authenticate_complete(state, credentials, response)
    return response.response.authenticator_data


def with_pin(key: Key) -> Key:
    ClientPin(Ctap2(KeyDevice(key))).set_pin(PIN)
    return key


def test_a_discoverable_credential_logs_in_with_the_pin() -> None:
    key = with_pin(touched())
    made = enrol(key)
    first, second = (assertion(key, [made.credential_data]) for _ in range(2))
    assert first.is_user_verified()
    assert made.counter < first.counter < second.counter
    assert not first.is_backup_eligible()


def test_a_known_finger_verifies_and_a_strangers_does_not() -> None:
    key = with_pin(touched(BIO))
    made = enrol(key)
    key.memory.fingers.append(Finger(b"t1", 2))
    key.approve = lambda want, wait_s: Gesture(2)
    assert assertion(key, [made.credential_data]).is_user_verified()
    key.approve = lambda want, wait_s: WRONG
    with pytest.raises(ClientError) as refused:
        assertion(key, [made.credential_data])
    assert "UV_INVALID" in str(refused.value)


ES256: list[Any] = [{"alg": -7, "type": "public-key"}]
HASH = hashlib.sha256(b"client data").digest()


def make(key: Key, person: bytes = b"1", **more: Any) -> Any:
    options = {"rk": True} if more.pop("rk", True) else {}
    user = {"id": person, "name": person.decode()}
    return Ctap2(KeyDevice(key)).make_credential(HASH, RP, user, ES256, options=options, **more)


def get(key: Key, **more: Any) -> list[Any]:
    ctap: Any = Ctap2(KeyDevice(key))
    found: list[Any] = ctap.get_assertions(RP["id"], HASH, **more)
    return found


def listed(*made: Any) -> list[Any]:
    return [{"id": each.auth_data.credential_data.credential_id, "type": "public-key"} for each in made]


def test_several_people_answer_the_newest_first() -> None:
    key = touched()
    made = [make(key, person) for person in (b"1", b"2", b"3")]
    found = get(key)
    assert [each.user["id"] for each in found] == [b"3", b"2", b"1"]
    for each, first in zip(found, reversed(made), strict=True):
        each.verify(HASH, first.auth_data.credential_data.public_key)
    with pytest.raises(CtapError, match="NOT_ALLOWED"):
        Ctap2(KeyDevice(key)).get_next_assertion()


def test_names_are_told_only_of_several_people_and_only_to_the_verified() -> None:
    key = touched(BIO)
    key.memory.fingers.append(Finger(b"t", 1))
    for person in (b"1", b"2"):
        verified_make(key, person)
    assert [set(each.user) for each in get(key)] == [{"id"}, {"id"}]
    assert [set(each.user) for each in get(key, options={"uv": True})] == [{"id", "name"}, {"id", "name"}]


def verified_make(key: Key, person: bytes) -> Any:
    user = {"id": person, "name": person.decode()}
    return Ctap2(KeyDevice(key)).make_credential(HASH, RP, user, ES256, options={"rk": True, "uv": True})


def test_the_same_person_again_takes_the_place_of_the_first() -> None:
    key = touched()
    first, second = make(key), make(key)
    assert len(get(key)) == 1
    with pytest.raises(CtapError, match="NO_CREDENTIALS"):
        get(key, allow_list=listed(first))
    assert len(get(key, allow_list=listed(second))) == 1


def test_a_full_key_takes_no_more() -> None:
    key = touched(Profile(max_credentials=2))
    for person in (b"1", b"2"):
        make(key, person)
    with pytest.raises(CtapError, match="KEY_STORE_FULL"):
        make(key, b"3")
    assert make(key, b"3", rk=False).auth_data.credential_data


def test_credentials_of_another_key_or_office_are_unknown() -> None:
    key, other = touched(), touched()
    made = make(key, rk=False)
    for stranger, rp_id in ((other, RP["id"]), (key, "other.example")):
        with pytest.raises(CtapError, match="NO_CREDENTIALS"):
            Ctap2(KeyDevice(stranger)).get_assertion(rp_id, HASH, listed(made))


def test_a_zero_counter_stays_zero_and_flags_are_as_configured() -> None:
    key = touched(Profile(zero_counter=True, backup_eligible=True, backed_up=True))
    made = make(key)
    data = get(key)[0].auth_data
    assert (made.auth_data.counter, data.counter) == (0, 0)
    assert data.flags & 0x18 == 0x18


def test_a_key_that_lies_leaves_out_what_is_due() -> None:
    key = with_pin(touched())
    made = enrol(key)
    key.hidden_flags = 4
    with pytest.raises(ValueError, match="verification"):
        assertion(key, [made.credential_data])


def test_a_clone_counts_from_where_it_was_copied() -> None:
    key = touched()
    make(key)
    clone = touched(key.profile, Memory.unpack(key.memory.pack()))
    _, ahead = get(key)[0], get(key)[0]
    assert get(clone)[0].auth_data.counter < ahead.auth_data.counter
    assert get(clone)[0].credential["id"] == ahead.credential["id"]


@pytest.mark.parametrize(("kind", "fields"), [("basic", "alg sig x5c"), ("self", "alg sig"), ("none", "")])
def test_attestation_is_of_the_kind_that_was_configured(kind: str, fields: str) -> None:
    key = touched(Profile(attestation=kind, aaguid=bytes(range(16))))
    made = make(key)
    assert sorted(made.att_stmt) == fields.split()
    assert bytes(made.auth_data.credential_data.aaguid) == bytes(range(16))
    if kind == "basic":
        leaf = x509.load_der_x509_certificate(made.att_stmt["x5c"][0])
        leaf.verify_directly_issued_by(x509.load_der_x509_certificate(key.attestation.root))
        extension = leaf.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4"))
        assert isinstance(extension.value, x509.UnrecognizedExtension)
        assert extension.value.value == b"\x04\x10" + bytes(range(16))


def test_another_maker_has_another_root() -> None:
    key, other = Key(), Key(memory=Memory.new(4, maker=bytes(32)))
    assert key.attestation.root == Key().attestation.root != other.attestation.root


@pytest.mark.parametrize(("level", "listed_only", "always"), [(1, True, True), (2, True, False), (3, False, False)])
def test_protected_credentials_hide_from_the_unverified(level: int, listed_only: bool, always: bool) -> None:
    key = touched()
    made = make(key, extensions={"credProtect": level})
    for allow, answers in ((listed(made), listed_only), (None, always)):
        if answers:
            assert get(key, allow_list=allow)
        else:
            with pytest.raises(CtapError, match="NO_CREDENTIALS"):
                get(key, allow_list=allow)


def test_the_same_seed_makes_the_same_key() -> None:
    one, two, three = Key(seed=7), Key(seed=7), Key()
    assert one.memory == two.memory
    assert one.memory.secret != three.memory.secret


def test_unplugged_in_mid_touch_it_answers_no_more() -> None:
    key = Key()
    threading.Timer(0.05, key.power, [False]).start()
    with pytest.raises(Unplugged):
        key.call(b"\x0b")
    key.power(True)
    assert key.call(b"\x04")[0] == 0


def test_even_a_blink_of_power_ends_what_it_waits_for() -> None:
    key, ended = Key(), threading.Event()

    def select() -> None:
        with pytest.raises(Unplugged):
            key.call(b"\x0b")
        ended.set()

    threading.Thread(target=select, daemon=True).start()
    assert key.presence.hand.wait_asked(5)
    key.power(False)
    key.power(True)
    assert ended.wait(5)
    assert key.call(b"\x04")[0] == 0


def test_nobody_who_touches_is_a_timeout() -> None:
    assert Key(touch_s=0.05).call(b"\x0b") == b"\x2f"


def test_a_reset_is_for_the_first_ten_seconds() -> None:
    now = [0]
    key = Key(clock=lambda: now[0])
    key.presence.hand.auto = True
    make(key)
    assert key.call(b"\x07") == b"\x00"
    assert not key.memory.residents
    now[0] = 11 * 10**9
    assert key.call(b"\x07") == b"\x30"
    key.power(False)
    key.power(True)
    assert key.call(b"\x07") == b"\x00"


def test_trouble_comes_when_it_is_asked_for_and_goes() -> None:
    key = Key()
    key.trouble.errors += [0x33, 0xFF]
    assert [key.call(b"\x04") for _ in range(2)] == [b"\x33", b"\xff"]
    key.trouble.garbage = 20
    rubbish = {key.call(b"\x04") for _ in range(20)}
    assert len(rubbish) > 5
    assert key.call(b"\x04")[:1] == b"\x00"
    key.trouble.hang()
    threading.Timer(0.05, key.trouble.resume).start()
    assert key.call(b"\x04")[0] == 0
    key.trouble.hang()
    threading.Timer(0.05, key.power, [False]).start()
    with pytest.raises(Unplugged):
        key.call(b"\x04")
