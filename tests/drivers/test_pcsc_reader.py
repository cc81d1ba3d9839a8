"""The reader of cards over a PC/SC in this process: what it says of each card, and of everything that goes wrong."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from authd.driver import (
    Capture,
    Confirm,
    Denial,
    Denied,
    DriverError,
    Enroll,
    Enrolled,
    Event,
    Fault,
    Feedback,
    Hint,
    Identifier,
    NoMatch,
    Op,
    Prompt,
    PromptId,
    Proof,
    Reader,
    State,
    StateChange,
    Verify,
    Watch,
    challenge_of,
)
from authd_drivers.pcsc import api, reader, watcher, words
from authd_drivers.pcsc.checker import CardChecker
from authd_drivers.pcsc.reader import CardReader
from authd_drivers.pcsc.record import Credential, Number, Offered, Signed, read_credential, read_enrolled, read_given
from authd_drivers.pcsc.tlv import public_key
from authd_simulators.cards import SimulatedCard, make
from authd_simulators.cards.piv import PivApplet
from tests.conformance.authenticator import Authenticator, AuthenticatorConformance, Person, held, inserted
from tests.conformance.reader import NONCE, OTHER, PATIENCE, fails, until
from tests.drivers.pcsc import READER, SHARING, FakePcsc

PIN = "123456"
VERIFY, SIGN = 0x20, 0x87
PIV_CARD = make("piv")
"""Made once: its certificates take longer than a test. Each test gets its own PIN state through `card`."""


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Believe insertions at once; test_pcsc_watcher.py tests that it takes a second."""
    monkeypatch.setattr(watcher, "SETTLE_S", 0.0)


@pytest.fixture
def pcsc() -> FakePcsc:
    return FakePcsc()


@pytest.fixture
def card() -> SimulatedCard:
    return make("piv")


def piv(card: SimulatedCard) -> PivApplet:
    assert card.piv is not None
    return card.piv


def verified(card: SimulatedCard) -> list[bytes]:
    """Return the PIN blocks that the card was given."""
    return [apdu[5:] for apdu in card.heard if apdu[1] == VERIFY and len(apdu) > 5]


@asynccontextmanager
async def ready(pcsc: FakePcsc, **settings: str) -> AsyncGenerator[CardReader, None]:
    reader = CardReader(settings, pcsc.find, open_s=0.5)
    await reader.open()
    try:
        yield reader
    finally:
        await reader.close()


@asynccontextmanager
async def capturing(pcsc: FakePcsc, person: Person | None = None, **settings: str) -> AsyncGenerator[Any, None]:
    async with doing(pcsc, Capture(NONCE), person, **settings) as events:
        yield events


@asynccontextmanager
async def doing(pcsc: FakePcsc, op: Op, person: Person | None = None, **settings: str) -> AsyncGenerator[Any, None]:
    async with ready(pcsc, **settings) as reader, held(reader, op, person) as events:
        yield events


async def everything(events: Any, limit_s: float = PATIENCE) -> list[Any]:
    """Return what is said until the operation ends."""
    async with asyncio.timeout(limit_s):
        return [event async for event in events]


async def quiet(events: Any) -> list[Any]:
    """Return what is said before a while of nothing."""
    said: list[Any] = []
    try:
        while True:
            async with asyncio.timeout(0.3):
                said.append(await anext(events))
    except TimeoutError:
        return said


# One factor: the card is put in.


@pytest.mark.parametrize("keys", ["ecc", "rsa"])
async def test_a_piv_card_signs_as_it_is_put_in(pcsc: FakePcsc, keys: Any) -> None:
    card = make("piv", keys=keys)
    async with capturing(pcsc) as events:
        assert await anext(events) == StateChange(State.CREDENTIAL_REMOVED)
        pcsc.insert(card)
        said = await everything(events)
    assert [type(each) for each in said] == [StateChange, StateChange, Proof]
    assert said[0].state is State.CREDENTIAL_INSERTED
    assert said[1] == StateChange(State.PROCESSING)
    signed = read_given(said[2].data)
    assert isinstance(signed, Signed)
    assert (signed.challenge, signed.slot) == (challenge_of(NONCE), "9e")
    assert said[2].insertion == said[0].insertion
    assert not verified(card)


async def test_a_card_that_lay_there_is_nobodys_act(pcsc: FakePcsc, card: SimulatedCard) -> None:
    pcsc.insert(card)
    async with capturing(pcsc) as events:
        said = await quiet(events)
    assert [type(each) for each in said] == [StateChange]
    assert not card.heard


async def test_a_card_that_is_left_in_answers_once(pcsc: FakePcsc, card: SimulatedCard) -> None:
    """A lock with the card left in the reader stays a lock."""
    async with ready(pcsc) as reader:
        async with held(reader, Capture(NONCE)) as events:
            pcsc.insert(card)
            await until(events, Proof)
        async with held(reader, Capture(OTHER)) as events:
            assert not [each for each in await quiet_start(events) if isinstance(each, Proof)]
            pcsc.remove()
            await until(events, StateChange(State.CREDENTIAL_REMOVED, "1"), StateChange)
            pcsc.insert(card)
            proof = await until(events, Proof)
    assert isinstance(proof, Proof)
    assert proof.nonce == OTHER


async def quiet_start(events: Any) -> list[Event]:
    """Return the first event; later ones are seen by whoever goes on."""
    return [await anext(events)]


async def test_a_card_put_in_between_two_captures_counts_for_the_second(pcsc: FakePcsc, card: SimulatedCard) -> None:
    async with ready(pcsc) as reader:
        async with held(reader, Capture(NONCE)) as events:
            await anext(events)
        async with held(reader, Watch()) as events:
            await anext(events)
            pcsc.insert(card)
            await inserted(events)
        async with held(reader, Capture(OTHER)) as events:
            assert isinstance(await until(events, Proof), Proof)


async def test_a_card_put_in_long_before_does_not(
    pcsc: FakePcsc, card: SimulatedCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "BEFORE_NS", -1_000_000_000)
    async with ready(pcsc) as one:
        async with held(one, Watch()) as events:
            pcsc.insert(card)
            await inserted(events)
        async with held(one, Capture(NONCE)) as events:
            assert [type(each) for each in await quiet(events)] == [StateChange]


async def test_a_number_names_a_card_once(pcsc: FakePcsc) -> None:
    card = make("uid")
    async with ready(pcsc) as reader:
        async with held(reader, Capture(NONCE)) as events:
            pcsc.insert(card)
            said = await until(events, Identifier)
        async with held(reader, Capture(OTHER)) as events:
            assert [type(each) for each in await quiet(events)] == [StateChange]
    assert isinstance(said, Identifier)
    assert read_given(said.data) == Number(card.uid)


async def test_a_number_that_is_random_is_none(pcsc: FakePcsc) -> None:
    card = make("uid")
    card.uid = b"\x08\x01\x02\x03"
    assert await denied(pcsc, card) is Denial.UNKNOWN


@pytest.mark.parametrize("uid", [bytes(3), bytes(11), bytes(300)])
async def test_a_number_of_no_length_is_a_fault(pcsc: FakePcsc, uid: bytes) -> None:
    card = make("uid")
    card.uid = uid
    assert (await error_of(pcsc, card)).fault is Fault.PROTOCOL


async def test_a_card_that_nobody_knows_is_denied(pcsc: FakePcsc) -> None:
    assert await denied(pcsc, make("blank")) is Denial.UNKNOWN


@pytest.mark.parametrize("word", [0x6700, 0x6F00, 0x6E00, 0x6282])
async def test_whatever_a_card_says_to_the_readers_question_it_has_no_number(pcsc: FakePcsc, word: int) -> None:
    card = make("blank")
    card.trouble.error(word, "uid")
    assert await denied(pcsc, card) is Denial.UNKNOWN


async def test_a_piv_card_without_keys_is_denied(pcsc: FakePcsc, card: SimulatedCard) -> None:
    piv(card).objects.clear()
    assert await denied(pcsc, card) is Denial.UNKNOWN


async def test_a_fido_applet_is_left_to_its_driver_without_a_word(pcsc: FakePcsc) -> None:
    card = make("multi")
    async with capturing(pcsc) as events:
        pcsc.insert(card)
        said = await quiet(events)
    assert all(isinstance(each, StateChange) for each in said)
    assert said[-1] == StateChange(State.NEED_TOUCH)
    assert len(card.heard) == 1  # SELECT


async def test_tapped_cards_have_no_stay(pcsc: FakePcsc, card: SimulatedCard) -> None:
    async with capturing(pcsc, tap="yes") as events:
        pcsc.insert(card)
        said = await everything(events)
    assert said[0] == StateChange(State.NEED_TOUCH)
    assert not [each for each in said if isinstance(each, StateChange) and each.insertion]
    assert isinstance(said[-1], Proof)
    assert said[-1].insertion == ""


async def denied(pcsc: FakePcsc, card: SimulatedCard, **settings: str) -> Denial:
    async with capturing(pcsc, Person(PIN), **settings) as events:
        await anext(events)
        pcsc.insert(card)
        said = await until(events, Denied, Proof, Identifier)
    assert isinstance(said, Denied)
    assert said.nonce == NONCE
    return said.why


async def error_of(pcsc: FakePcsc, card: SimulatedCard, **settings: str) -> DriverError:
    async with capturing(pcsc, Person(PIN), **settings) as events:
        await anext(events)
        pcsc.insert(card)
        return await fails(events)


# Two factors: the PIN.


@pytest.mark.parametrize("keys", ["ecc", "rsa"])
async def test_with_its_pin_a_card_signs_by_9a(pcsc: FakePcsc, keys: Any) -> None:
    card, person = make("piv", keys=keys), Person(PIN)
    pcsc.insert(card)
    async with capturing(pcsc, person, pin="9a") as events:
        proof = await until(events, Proof)
    assert isinstance(proof, Proof)
    signed = read_given(proof.data)
    assert isinstance(signed, Signed)
    assert signed.slot == "9a"
    assert [(each.id, each.left, each.again) for each in person.asked] == [(PromptId.PIN, 3, False)]
    assert not piv(card).verified  # nobody else can sign with it now
    assert not any(pcsc.left)


async def test_no_transaction_is_held_while_somebody_types(pcsc: FakePcsc, card: SimulatedCard) -> None:
    person = Person()
    pcsc.insert(card)
    async with capturing(pcsc, person, pin="9a") as events:
        follow = asyncio.ensure_future(everything(events))
        await person.waiting.wait()
        assert pcsc.transactions == 0
        follow.cancel()
        await asyncio.wait({follow})


async def test_a_wrong_pin_is_tried_once(pcsc: FakePcsc, card: SimulatedCard) -> None:
    person = Person("654321", PIN)
    pcsc.insert(card)
    async with capturing(pcsc, person, pin="9a") as events:
        said = await everything(events)
    assert Feedback(Hint.PIN_WRONG) in said
    assert [(each.left, each.again) for each in person.asked] == [(3, False), (2, True)]
    assert verified(card) == [b"654321\xff\xff", b"123456\xff\xff"]
    assert isinstance(said[-1], Proof)


async def test_the_last_try_is_never_used(pcsc: FakePcsc, card: SimulatedCard) -> None:
    person = Person("000000", "111111", PIN)
    pcsc.insert(card)
    async with capturing(pcsc, person, pin="9a") as events:
        said = await everything(events)
    assert said[-1] == Denied(Denial.BLOCKED, NONCE)
    assert (piv(card).left, len(person.asked)) == (1, 2)


@pytest.mark.parametrize("left", [0, 1])
async def test_with_one_try_left_nobody_is_asked(pcsc: FakePcsc, card: SimulatedCard, left: int) -> None:
    piv(card).left = left
    person = Person(PIN)
    pcsc.insert(card)
    async with capturing(pcsc, person, pin="9a") as events:
        assert (await everything(events))[-1] == Denied(Denial.BLOCKED, NONCE)
    assert person.asked == []
    assert piv(card).left == left


async def test_the_last_try_is_not_used_even_if_the_others_went_meanwhile(pcsc: FakePcsc, card: SimulatedCard) -> None:
    class Meanwhile(Person):
        async def ask(self, prompt: Prompt) -> str:
            piv(card).left = 1  # another program tried
            return await super().ask(prompt)

    pcsc.insert(card)
    async with capturing(pcsc, Meanwhile(PIN), pin="9a") as events:
        assert (await everything(events))[-1] == Denied(Denial.BLOCKED, NONCE)
    assert verified(card) == []


async def test_what_cannot_be_a_pin_never_reaches_the_card(pcsc: FakePcsc, card: SimulatedCard) -> None:
    person = Person("1", "123456789", "１２３４５６", "12\t456", "", PIN)  # wide digits are meant
    pcsc.insert(card)
    async with capturing(pcsc, person, pin="9a") as events:
        said = await everything(events)
    assert said.count(Feedback(Hint.PIN_INVALID)) == 5
    assert {each.left for each in person.asked} == {3}
    assert verified(card) == [b"123456\xff\xff"]


async def test_a_pin_that_another_program_left_open_proves_nothing(pcsc: FakePcsc, card: SimulatedCard) -> None:
    pcsc.insert(card)
    piv(card).verified = True
    async with capturing(pcsc, Person(PIN), pin="9a") as events:
        await until(events, Proof)
    assert verified(card) == [b"123456\xff\xff"]


async def test_an_old_card_is_reset_rather_than_left_open(pcsc: FakePcsc, card: SimulatedCard) -> None:
    piv(card).closes = False
    pcsc.insert(card)
    async with capturing(pcsc, Person(PIN), pin="9a") as events:
        await until(events, Proof)
    assert pcsc.left == [False, True]
    assert not piv(card).verified


async def test_an_old_card_that_another_program_opened_is_denied(pcsc: FakePcsc, card: SimulatedCard) -> None:
    piv(card).closes = False
    async with ready(pcsc, pin="9a") as one:
        pcsc.insert(card)
        pcsc.service().connect(READER)
        card.transmit(bytes.fromhex("00a4040009a00000030800001000"))
        piv(card).verified = True
        async with held(one, Capture(NONCE), Person(PIN)) as events:
            said = await everything(events)
    assert said[-1] == Denied(Denial.UNVERIFIED, NONCE)


async def test_the_pin_goes_to_no_other_card(pcsc: FakePcsc, card: SimulatedCard) -> None:
    """Swapped faster than anybody sees, while the PIN is typed."""
    other = make("piv", "another")
    pcsc.insert(card)

    class Swapper(Person):
        async def ask(self, prompt: Prompt) -> str:
            pcsc.swap(other)
            return await super().ask(prompt)

    async with capturing(pcsc, Swapper(PIN), pin="9a") as events:
        said = await quiet(events)
    assert Feedback(Hint.REMOVE_AND_RETRY) in said
    assert verified(other) == []


async def test_a_card_torn_out_in_mid_verify_is_asked_anew(pcsc: FakePcsc, card: SimulatedCard) -> None:
    person = Person(PIN, PIN)
    pcsc.insert(card)
    async with capturing(pcsc, person, pin="9a") as events:
        first = await inserted(events)
        card.trouble.torn("verify")
        # The first VERIFY asks for the tries left; the script is for the one with a PIN.
        said = await until(events, Feedback, Proof)
        assert said == Feedback(Hint.HOLD_LONGER)
        await until(events, StateChange(State.CREDENTIAL_REMOVED, first))
        pcsc.insert(card)
        assert isinstance(await until(events, Proof), Proof)
    assert len(verified(card)) <= 1


async def test_without_a_key_for_its_pin_a_card_that_lay_there_signs_nothing(
    pcsc: FakePcsc, card: SimulatedCard
) -> None:
    del piv(card).objects[b"\x5f\xc1\x05"]
    pcsc.insert(card)
    async with capturing(pcsc, Person(PIN), pin="9a") as events:
        said = await quiet(events)
    assert said[-1] == StateChange(State.NEED_TOUCH)
    assert not [apdu for apdu in card.heard if apdu[1] == SIGN]


async def test_a_card_with_no_key_for_its_pin_falls_back_to_possession(pcsc: FakePcsc, card: SimulatedCard) -> None:
    del piv(card).objects[b"\x5f\xc1\x05"]
    person = Person(PIN)
    async with capturing(pcsc, person, pin="9a") as events:
        pcsc.insert(card)
        proof = await until(events, Proof)
    assert isinstance(proof, Proof)
    assert b'"9e"' in proof.data
    assert person.asked == []


# Trouble.


@pytest.mark.parametrize("keys", ["ecc", "rsa"])
async def test_a_card_torn_out_in_the_middle_is_a_hint(pcsc: FakePcsc, keys: Any) -> None:
    card = make("piv", keys=keys)
    card.trouble.torn("sign")
    async with capturing(pcsc) as events:
        pcsc.insert(card)
        assert await until(events, Feedback, Proof) == Feedback(Hint.HOLD_LONGER)
        pcsc.insert(card)
        assert isinstance(await until(events, Proof), Proof)


INSTEAD = sorted({word for ends in words.STATUS for word in ends if words.status(word) != words.OK})
"""The first and the last word of each range of the table."""


@pytest.mark.parametrize("word", INSTEAD, ids="{:04x}".format)
async def test_what_a_card_says_instead_of_signing(pcsc: FakePcsc, card: SimulatedCard, word: int) -> None:
    card.trouble.error(word, "sign")
    found = words.status(word)
    if isinstance(found, Denial):
        assert await denied(pcsc, card) is found
    elif isinstance(found, Hint):
        async with capturing(pcsc) as events:
            pcsc.insert(card)
            assert await until(events, Feedback, Denied, Proof) == Feedback(found)
    else:  # 6Cxx too: a command with data is not sent twice
        assert (await error_of(pcsc, card)).fault is Fault.PROTOCOL


@pytest.mark.parametrize("call", ["connect", "begin", "transmit"])
@pytest.mark.parametrize("code", [*sorted(words.CODES.keys() - {0}), 0x80100FFF], ids="{:08x}".format)
async def test_what_pcsc_says_of_a_card_comes_to_what_the_table_says(pcsc: FakePcsc, code: int, call: str) -> None:
    pcsc.fails[call], found = [code, code], words.scard(code)
    async with capturing(pcsc) as events:
        pcsc.insert(PIV_CARD)
        if isinstance(found, Fault) or found == words.RETRY:  # at most once, and never of a command
            assert (await fails(events)).fault is (found if isinstance(found, Fault) else Fault.PROTOCOL)
        else:
            said = Feedback(found) if isinstance(found, Hint) else Denied(found, NONCE)  # type: ignore[arg-type]
            assert await until(events, Feedback, Denied, Proof) == said


@pytest.mark.parametrize("command", ["data", "sign"])
@pytest.mark.parametrize(
    "raw", ["", "90", "7c00" + "9000", "7c0482020001" + "9000", "53019000", "ff" * 300 + "9000", "00" * 65_600]
)
async def test_garbage_is_one_error(pcsc: FakePcsc, card: SimulatedCard, command: str, raw: str) -> None:
    card.trouble.answer(bytes.fromhex(raw), command, times=9)
    assert (await error_of(pcsc, card)).fault is Fault.PROTOCOL


@pytest.mark.parametrize("atr", [b"", b"\x3b", b"\xff" * 33, bytes(200)])
async def test_a_hostile_atr_is_one_error(pcsc: FakePcsc, card: SimulatedCard, atr: bytes) -> None:
    card.atr = atr
    assert (await error_of(pcsc, card)).fault is Fault.PROTOCOL


async def test_a_card_that_another_program_holds_is_busy(pcsc: FakePcsc, card: SimulatedCard) -> None:
    pcsc.fails["connect"] = [SHARING]
    error = await error_of(pcsc, card)
    assert error.fault is Fault.BUSY
    assert READER in error.detail


async def test_a_reader_that_another_program_holds_does_not_open(pcsc: FakePcsc, card: SimulatedCard) -> None:
    pcsc.insert(card)
    pcsc.exclusive.add(READER)
    with pytest.raises(DriverError) as error:
        async with ready(pcsc):
            pass
    assert error.value.fault is Fault.BUSY


async def test_who_may_not_use_pcscd_is_told_so(pcsc: FakePcsc) -> None:
    pcsc.fails["establish"] = [0x8010006A] * 99
    with pytest.raises(DriverError) as error:
        async with ready(pcsc):
            pass
    assert error.value.fault is Fault.NOT_PERMITTED
    assert "polkit" in error.value.detail


async def test_a_reset_by_another_program_is_got_over_once(pcsc: FakePcsc, card: SimulatedCard) -> None:
    pcsc.fails["begin"] = [api.RESET_CARD]
    async with capturing(pcsc) as events:
        pcsc.insert(card)
        assert isinstance(await until(events, Proof), Proof)
    pcsc.remove()
    pcsc.fails["begin"] = [api.RESET_CARD, api.RESET_CARD]
    assert (await error_of(pcsc, card)).fault is Fault.PROTOCOL


async def test_pcscd_that_dies_ends_every_stay_and_the_operation(pcsc: FakePcsc, card: SimulatedCard) -> None:
    pcsc.insert(card)
    async with doing(pcsc, Watch()) as events:
        insertion = await inserted(events)
        pcsc.die()
        assert await anext(events) == StateChange(State.CREDENTIAL_REMOVED, insertion)
        assert (await fails(events)).fault is Fault.REMOVED


async def test_an_unplugged_reader_is_removed(pcsc: FakePcsc) -> None:
    async with capturing(pcsc) as events:
        await anext(events)
        pcsc.unplug()
        assert (await fails(events)).fault is Fault.REMOVED


async def test_only_readers_of_the_name_are_looked_at(card: SimulatedCard) -> None:
    pcsc = FakePcsc("Left 00", "Right 00")
    async with capturing(pcsc, reader="Right") as events:
        await anext(events)
        pcsc.insert(make("blank"), "Left 00")
        pcsc.insert(card, "Right 00")
        said = await everything(events)
    assert len([each for each in said if isinstance(each, StateChange) and each.insertion]) == 1
    assert isinstance(said[-1], Proof)


@pytest.mark.parametrize("settings", [{"tap": "maybe"}, {"pin": "9e"}, {"pin": "9A"}])
async def test_settings_that_mean_nothing(pcsc: FakePcsc, settings: dict[str, str]) -> None:
    with pytest.raises(DriverError) as error:
        await CardReader(settings, pcsc.find).open()
    assert error.value.fault is Fault.NOT_PERMITTED


async def test_a_missing_library_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(DriverError) as error:
        await CardReader({}).open()
    assert error.value.fault is Fault.NOT_PERMITTED
    assert "pip install 'authd-seat[pcsc]'" in error.value.detail


async def test_nobody_is_verified_by_a_card(pcsc: FakePcsc) -> None:
    async with doing(pcsc, Verify(NONCE, "sub_a")) as events:
        assert (await fails(events)).fault is Fault.NOT_PERMITTED


async def test_a_slow_card_is_given_up(pcsc: FakePcsc, card: SimulatedCard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authd_drivers.pcsc.visit.VISIT_S", 0.05)
    card.trouble.hang()
    try:
        assert (await error_of(pcsc, card)).fault is Fault.TIMEOUT
    finally:
        card.trouble.resume()


# Enrolment and silence.


async def enrolled(pcsc: FakePcsc, person: Person | None = None, *exclude: bytes, **settings: str) -> Event:
    op = Enroll(NONCE, "sub_a", exclude=exclude)
    async with doing(pcsc, op, person, **settings) as events:
        return await until(events, Enrolled, Denied)


@pytest.mark.parametrize("keys", ["ecc", "rsa"])
async def test_enrolment_proves_both_keys(pcsc: FakePcsc, keys: Any) -> None:
    pcsc.insert(make("piv", keys=keys))
    person = Person(PIN)
    said = await enrolled(pcsc, person, pin="9a")
    assert isinstance(said, Enrolled)
    offered = read_enrolled(said.data)
    assert isinstance(offered, Offered)
    assert set(offered.keys) == {"9e", "9a"}
    assert read_credential(CardChecker().admit(said.data, NONCE, "sub_a")).keys.keys() == {"9e", "9a"}
    assert len(person.asked) == 1


async def test_enrolment_of_possession_asks_for_nothing(pcsc: FakePcsc, card: SimulatedCard) -> None:
    pcsc.insert(card)
    said = await enrolled(pcsc)
    assert isinstance(said, Enrolled)
    assert set(read_credential(CardChecker().admit(said.data, NONCE, "sub_a")).keys) == {"9e"}


@pytest.mark.parametrize("kind", ["piv", "uid"])
async def test_the_same_card_is_not_enrolled_twice(pcsc: FakePcsc, kind: str) -> None:
    pcsc.insert(make(kind))
    said = await enrolled(pcsc)
    assert isinstance(said, Enrolled)
    name = read_credential(CardChecker().admit(said.data, NONCE, "sub_a")).name
    assert await enrolled(pcsc, None, name) == Denied(Denial.DUPLICATE, NONCE)


async def test_a_number_is_never_confirmed(pcsc: FakePcsc) -> None:
    card = make("uid")
    pcsc.insert(card)
    async with doing(pcsc, Confirm(NONCE, card.uid)) as events:
        assert (await everything(events))[-1] == NoMatch(NONCE)


async def test_a_card_that_is_held_by_another_program_is_not_confirmed(pcsc: FakePcsc, card: SimulatedCard) -> None:
    async with ready(pcsc) as one:
        pcsc.insert(card)
        pcsc.fails["connect"] = [SHARING]
        async with held(one, Confirm(NONCE, bytes(64))) as events:
            assert (await everything(events))[-1] == NoMatch(NONCE)


# What every driver of keys or cards must do.


class PinCard(Authenticator):
    """A PIV card in a reader that asks for its PIN."""

    pin = PIN

    def __init__(self) -> None:
        self.pcsc = FakePcsc()
        self.card = make("piv")
        self.pcsc.insert(self.card)

    def reader(self) -> Reader:
        return CardReader({"pin": "9a"}, self.pcsc.find, open_s=0.5)

    async def insert(self) -> None:
        self.pcsc.insert(self.card)
        await asyncio.to_thread(self.pcsc.caught_up)

    async def remove(self) -> None:
        self.pcsc.remove()
        await asyncio.to_thread(self.pcsc.caught_up)

    async def unplug(self) -> None:
        self.pcsc.die()

    async def plug(self) -> None:
        self.pcsc.live()

    async def block(self) -> None:
        piv(self.card).left = 0

    async def empty(self) -> None:
        self.card = make("blank")
        self.pcsc.remove()
        self.pcsc.insert(self.card)

    async def babble(self, data: bytes) -> None:
        self.card.trouble.answer(data, times=1_000)

    def credential(self) -> bytes:
        keys = {slot: piv(self.card).keys[int(slot, 16)].certificate for slot in ("9e", "9a")}
        return Credential({slot: public_key(each).spki for slot, each in keys.items()}).name


class TestPinCard(AuthenticatorConformance):
    @pytest.fixture
    def device(self) -> Authenticator:
        return PinCard()
