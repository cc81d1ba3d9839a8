"""The card driver over the real pcscd, with simulated cards on its virtual reader."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
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
    Fault,
    Feedback,
    Hint,
    Identifier,
    NoMatch,
    Op,
    Proof,
    Reader,
    Reference,
    State,
    StateChange,
    Watch,
)
from authd_drivers.pcsc import looks
from authd_drivers.pcsc.checker import CardChecker
from authd_drivers.pcsc.reader import CardReader
from tests.conformance.authenticator import Authenticator, AuthenticatorConformance, Person, held, inserted
from tests.conformance.reader import NONCE, OTHER, fails, until
from tests.real.cards import Cards
from tests.real.pcscd import Pcscd

PATIENCE_S = 60.0
pytestmark = pytest.mark.real
PIN = "123456"
REFERENCE = "tpl_card@1"


@pytest.fixture(scope="module")
def daemon() -> Iterator[Pcscd]:
    with Pcscd() as pcscd:
        yield pcscd


@pytest.fixture(scope="module")
def process(daemon: Pcscd) -> Cards:
    return Cards(daemon, 0, "--keys", "ecc")


@pytest.fixture
async def cards(daemon: Pcscd, process: Cards) -> AsyncGenerator[Cards, None]:
    daemon.start()
    await process.say("PIN " + PIN)
    yield process
    await process.say("RESUME")
    await process.say("REMOVE")


@asynccontextmanager
async def reading(**settings: str) -> AsyncGenerator[CardReader, None]:
    reader = CardReader({"reader": "Virtual PCD", **settings})
    await reader.open()
    try:
        yield reader
    finally:
        await reader.close()


@asynccontextmanager
async def doing(op: Op, person: Person | None = None, **settings: str) -> AsyncGenerator[Any, None]:
    async with reading(**settings) as reader, held(reader, op, person) as events:
        yield events


async def enrolled(cards: Cards, pin: str = "no") -> CardChecker:
    """Enrol the PIV card, which stays in, and return who knows it."""
    await cards.say("INSERT piv")
    async with doing(Enroll(NONCE, "sub_a"), Person(PIN), pin=pin) as events:
        said = await until(events, Enrolled, Denied)
    assert isinstance(said, Enrolled)
    checker = CardChecker()
    checker.load([Reference("sub_a", REFERENCE, checker.admit(said.data, NONCE, "sub_a"))], {})
    return checker


async def test_a_piv_card_proves_that_it_is_there(cards: Cards) -> None:
    checker = await enrolled(cards)
    await cards.say("REMOVE")
    async with doing(Capture(OTHER)) as events:
        await cards.say("INSERT piv")
        insertion = await inserted(events)
        proof = await until(events, Proof)
    assert isinstance(proof, Proof)
    checked = checker.check(proof.data, OTHER, ["sub_a"])
    assert (checked.subject, checked.reference, checked.factors, checked.grade) == ("sub_a", REFERENCE, ("card",), "A")
    assert checked.denial is None
    assert proof.insertion == insertion


async def test_with_the_pin_it_proves_two_factors(cards: Cards) -> None:
    checker = await enrolled(cards, "9a")
    person = Person("000000", PIN)
    async with doing(Capture(OTHER), person, pin="9a") as events:
        assert await until(events, Feedback, Proof) == Feedback(Hint.PIN_WRONG)
        proof = await until(events, Proof)
    assert isinstance(proof, Proof)
    checked = checker.check(proof.data, OTHER, ["sub_a"])
    assert (checked.factors, checked.grade, checked.denial) == (("card", "pin"), "A", None)
    assert [each.left for each in person.asked] == [3, 2]
    assert json.loads(await cards.say("STATUS"))["pin_open"] is False


async def test_an_rsa_card_signs_as_well(daemon: Pcscd) -> None:
    """Its commands are chained, its answers fetched in parts."""
    daemon.start()
    cards = Cards(daemon, 1, "--keys", "rsa")
    try:
        checker = await enrolled(cards, "9a")
        async with doing(Capture(OTHER), Person(PIN), pin="9a") as events:
            proof = await until(events, Proof)
    finally:
        cards.process.terminate()
        cards.process.wait(60)
    assert isinstance(proof, Proof)
    assert checker.check(proof.data, OTHER, ["sub_a"]).factors == ("card", "pin")


async def test_a_card_with_one_try_left_is_spared(cards: Cards) -> None:
    await cards.say("PIN left 1")
    await cards.say("INSERT piv")
    person = Person(PIN)
    async with doing(Capture(NONCE), person, pin="9a") as events:
        assert await until(events, Denied) == Denied(Denial.BLOCKED, NONCE)
    assert person.asked == []


async def test_a_number_is_an_identifier(cards: Cards) -> None:
    async with doing(Capture(NONCE)) as events:
        await cards.say("INSERT uid")
        assert isinstance(await until(events, Identifier, Proof, Denied), Identifier)


async def test_a_fido_card_is_left_alone(cards: Cards) -> None:
    async with doing(Capture(NONCE)) as events:
        await cards.say("INSERT multi")
        await until(events, StateChange(State.PROCESSING))
        assert await until(events, StateChange, Proof, Identifier, Denied) == StateChange(State.NEED_TOUCH)


async def test_the_same_card_confirms_silently(cards: Cards) -> None:
    checker = await enrolled(cards)
    async with doing(Confirm(OTHER, checker.credential(REFERENCE))) as events:
        proof = await until(events, Proof, NoMatch)
    assert isinstance(proof, Proof)
    assert proof.silent
    assert checker.check(proof.data, OTHER, ["sub_a"], silent=True).denial is None
    async with doing(Confirm(OTHER, bytes(64))) as events:
        assert await until(events, Proof, NoMatch) == NoMatch(OTHER)


async def test_removal_and_insertion_are_seen(cards: Cards) -> None:
    async with doing(Watch()) as events:
        stays = list[str]()
        for _ in range(2):
            await cards.say("INSERT piv")
            stays.append(await inserted(events))
            await cards.say("REMOVE")
            await until(events, StateChange(State.CREDENTIAL_REMOVED, stays[-1]))
    assert len(set(stays)) == 2


@pytest.mark.parametrize("when", ["select", "data", "sign"])
async def test_a_card_torn_out_in_the_middle_is_a_hint(cards: Cards, when: str) -> None:
    await cards.insert()
    await cards.remove()
    async with doing(Capture(NONCE)) as events:
        await cards.say(f"TEAR {when}")
        await cards.say("INSERT piv")
        assert await until(events, Feedback, Proof) == Feedback(Hint.HOLD_LONGER)
        await until(events, StateChange)
        await cards.say("INSERT piv")
        assert isinstance(await until(events, Proof), Proof)


async def test_garbage_is_one_error(cards: Cards) -> None:
    await cards.insert()
    await cards.remove()
    async with doing(Capture(NONCE)) as events:
        await cards.say("GARBAGE sign")
        await cards.say("INSERT piv")
        assert (await fails(events)).fault is Fault.PROTOCOL


async def test_a_killed_pcscd_ends_the_stay_and_serves_again(daemon: Pcscd, cards: Cards) -> None:
    await cards.say("INSERT piv")
    async with doing(Watch(), pin="9a") as events:
        insertion = await inserted(events)
        daemon.kill()
        assert await anext(events) == StateChange(State.CREDENTIAL_REMOVED, insertion)
        assert (await fails(events)).fault is Fault.REMOVED
    opening = CardReader({"pin": "9a"})
    waits = asyncio.ensure_future(opening.open())
    daemon.start()
    await waits
    async with held(opening, Watch()) as events:
        assert await inserted(events) != insertion
    await opening.close()


async def test_a_stopped_pcscd_ends_the_stay(daemon: Pcscd, cards: Cards) -> None:
    await cards.say("INSERT piv")
    async with doing(Watch()) as events:
        insertion = await inserted(events)
        daemon.stop()
        try:
            assert await anext(events) == StateChange(State.CREDENTIAL_REMOVED, insertion)
            assert (await fails(events)).fault is Fault.REMOVED
        finally:
            daemon.resume()


async def test_a_card_that_another_program_holds_for_itself_is_busy(cards: Cards, daemon: Pcscd) -> None:
    await cards.say("INSERT piv")
    async with reading(pin="9a") as reader, held(reader, Watch()) as events:
        await inserted(events)
        async with alone_with_the_card(daemon):
            async with held(reader, Capture(NONCE), Person(PIN)) as captured:
                assert (await fails(captured)).fault is Fault.BUSY
            with pytest.raises(DriverError) as error:
                await CardReader({}, open_s=0.5).open()
            assert error.value.fault is Fault.BUSY


async def test_a_card_is_shared_with_another_program(cards: Cards, daemon: Pcscd) -> None:
    """Neither is disturbed: the other's connection is not reset, and sees its card all the time."""
    await cards.insert()
    with other(daemon, exclusive=False) as connection:
        async with doing(Capture(NONCE), Person(PIN), pin="9a") as events:
            assert isinstance(await until(events, Proof, Denied), Proof)
        assert connection.status() == 0


async def test_a_removal_is_seen_before_pcscd_looks(cards: Cards, daemon: Pcscd) -> None:
    """It looks at its virtual reader every 0.4 s, found the card by that, and may be ahead of us now and then."""
    first = list[bool]()
    async with reading() as reader, held(reader, Watch()) as events:
        while not any(first):
            assert len(first) < 40
            await cards.say("INSERT piv")
            insertion = await inserted(events)
            await asyncio.sleep(0.5)  # a person's, until long before it looks again
            await cards.say("REMOVE")
            assert await anext(events) == StateChange(State.CREDENTIAL_REMOVED, insertion)
            first.append(pcscd_has_a_card(daemon))
            await cards.seen(there=False)


async def test_a_card_that_another_program_left_open_is_put_to_sleep(
    cards: Cards, daemon: Pcscd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asking its reader is no use of it."""
    monkeypatch.setattr(looks, "ROUND", 3)
    await cards.insert()
    async with reading() as reader, held(reader, Watch()) as events:
        await inserted(events)
        with other(daemon, exclusive=False) as program:
            program.open_pin()
            assert json.loads(await cards.say("STATUS"))["pin_open"]
        async with asyncio.timeout(30):
            while json.loads(await cards.say("STATUS"))["pin_open"]:  # noqa: ASYNC110  # another process's state
                await asyncio.sleep(0.05)


def pcscd_has_a_card(daemon: Pcscd) -> bool:
    scard: Any = importlib.import_module("smartcard.scard")
    _, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
    _, ((_, flags, _),) = scard.SCardGetStatusChange(context, 0, [(daemon.readers[0], 0)])
    scard.SCardReleaseContext(context)
    return bool(flags & scard.SCARD_STATE_PRESENT)


class Shared(Exception):
    """Somebody else uses the card now."""


class Other:
    """Another program that uses the card."""

    def __init__(self, daemon: Pcscd, *, exclusive: bool) -> None:
        self._scard: Any = importlib.import_module("smartcard.scard")
        self._exclusive, self._reader = exclusive, daemon.readers[0]

    def __enter__(self) -> Other:
        s = self._scard
        share = s.SCARD_SHARE_EXCLUSIVE if self._exclusive else s.SCARD_SHARE_SHARED
        code, self._context = s.SCardEstablishContext(s.SCARD_SCOPE_USER)
        assert code == 0
        code, self._card, _ = s.SCardConnect(self._context, self._reader, share, s.SCARD_PROTOCOL_ANY)
        if code == s.SCARD_E_SHARING_VIOLATION:
            s.SCardReleaseContext(self._context)
            raise Shared
        assert code == 0
        return self

    def status(self) -> int:
        return int(self._scard.SCardStatus(self._card)[0])

    def open_pin(self) -> None:
        """Verify the PIV card's PIN, and leave it so."""
        for apdu in ("00a4040009a00000030800001000", "0020008008313233343536ffff"):
            code, answer = self._scard.SCardTransmit(self._card, self._scard.SCARD_PCI_T1, list(bytes.fromhex(apdu)))
            assert (code, answer[-2:]) == (0, [0x90, 0x00])

    def __exit__(self, *_: object) -> None:
        self._scard.SCardDisconnect(self._card, self._scard.SCARD_LEAVE_CARD)
        self._scard.SCardReleaseContext(self._context)


other = Other


@asynccontextmanager
async def alone_with_the_card(daemon: Pcscd) -> AsyncGenerator[None, None]:
    """Another program has the card for itself; it asked again where our reader was just looking, for milliseconds."""
    program = Other(daemon, exclusive=True)
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with suppress(Shared):
                program.__enter__()
                break
            await asyncio.sleep(0.01)
    try:
        yield
    finally:
        program.__exit__()


class VirtualCard(Authenticator):
    """The PIV card in a reader that asks for its PIN, on the real pcscd."""

    pin = PIN

    def __init__(self, daemon: Pcscd, cards: Cards, checker: CardChecker) -> None:
        self.daemon, self.cards, self.checker = daemon, cards, checker

    def reader(self) -> Reader:
        return CardReader({"pin": "9a"}, open_s=1.0)

    async def insert(self) -> None:
        await self.cards.insert()

    async def remove(self) -> None:
        await self.cards.remove()

    async def unplug(self) -> None:
        self.daemon.kill()

    async def plug(self) -> None:
        self.daemon.start()
        await self.cards.seen(there=True)

    async def block(self) -> None:
        await self.cards.say("PIN block")

    async def empty(self) -> None:
        await self.cards.say("INSERT blank")

    async def babble(self, data: bytes) -> None:
        await self.cards.say("GARBAGE 1000")

    def credential(self) -> bytes:
        return self.checker.credential(REFERENCE)


class TestVirtualCard(AuthenticatorConformance):
    @pytest.fixture
    async def device(self, daemon: Pcscd, cards: Cards) -> Authenticator:
        checker = await enrolled(cards, "9a")
        return VirtualCard(daemon, cards, checker)
