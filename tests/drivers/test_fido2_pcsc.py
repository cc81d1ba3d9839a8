"""Keys on a card reader, through the real pcscd: as every authenticator's, and what only cards do."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from authd.driver import Capture, Denial, Denied, DriverError, Fault, Proof, Reader, State, StateChange, Watch
from authd_drivers.fido2 import READER, nfc
from authd_drivers.fido2.checker import Fido2Checker
from authd_drivers.fido2.errand import Cancelled, Gone, Stop
from authd_drivers.fido2.nfc import NfcKey, NotFido, PcscPlug
from authd_drivers.pcsc.api import service
from authd_simulators.fido_key import BIO, PLAIN, Key, Profile
from authd_simulators.fido_key.nfc import NfcApplet
from tests.conformance.authenticator import Authenticator, AuthenticatorConformance, Person, gone, held, inserted
from tests.conformance.reader import NONCE, PATIENCE, opened, until
from tests.drivers.pcsc import FakePcsc
from tests.drivers.plugged import PIN, enrol, simulated
from tests.drivers.softkey import ANN, OFFICE
from tests.real.pcscd import Pcscd


def ready(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    with process.stdout as said:
        assert said.readline() == b"ready\n"


class Lying(Authenticator):
    """A key that lies on the virtual reader, in a process of its own."""

    def __init__(self, pcscd: Pcscd, folder: Path, profile: Profile = PLAIN) -> None:
        self.pcscd, self.folder, self.profile = pcscd, folder, profile
        (folder / "office.toml").write_text(OFFICE)
        self.checker = Fido2Checker([OFFICE])
        self.pin = "" if profile.bio else PIN
        self._made = 0
        key = simulated(profile)
        enrol(key, self.checker)
        self._hold(key)

    def _hold(self, key: Key) -> None:
        self._made += 1
        state = self.folder / f"state{self._made}"
        state.write_bytes(key.memory.pack())
        self.control = self.folder / f"c{self._made}"
        argv = [sys.executable, "-m", "authd_simulators.fido_key", "--control", str(self.control)]
        argv += ["--vpcd", self.pcscd.address(), "--state", str(state)]
        self.process = self.pcscd.spawn(*argv, *(["--bio"] if key.profile.bio else []), stdout=subprocess.PIPE)
        ready(self.process)
        self._until(present=True)

    async def say(self, line: str) -> str:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_unix_connection(str(self.control))
            writer.write(line.encode() + b"\n")
            answer = (await reader.readline()).decode()
            writer.close()
            await writer.wait_closed()
        assert answer.lower().startswith("ok"), answer
        return answer

    def reader(self) -> Reader:
        settings = {"office": str(self.folder / "office.toml"), "device": f"pcsc:{self.pcscd.readers[0]}"}
        return READER({**settings, "socket": str(self.pcscd.socket)})

    async def insert(self) -> None:
        await self.say("INSERT")

    async def remove(self) -> None:
        """Take it out, and wait until pcscd has looked: what is back before that was never gone."""
        await self.say("REMOVE")
        await asyncio.to_thread(self._until, present=False)

    def _until(self, *, present: bool) -> None:
        context = service(str(self.pcscd.socket))()
        try:
            for _ in range(500):
                if context.changes({self.pcscd.readers[0]: 0}, 1_000)[self.pcscd.readers[0]].present is present:
                    return
                time.sleep(0.01)  # it says how things are, whatever they were
        finally:
            context.release()
        raise AssertionError("pcscd does not see it")

    async def touch(self) -> None:
        await self.say("TOUCH" if self.pin else "FINGER 1")

    async def wrong_finger(self) -> None:
        if self.pin:
            await super().wrong_finger()
        await self.say("WRONG")

    async def unplug(self) -> None:
        self.pcscd.kill()

    async def plug(self) -> None:
        self.pcscd.start()  # in the thread that it lives and dies with

    async def empty(self) -> None:
        await self.remove()
        self.process.kill()
        self.process.wait(5)
        self._hold(simulated(self.profile))

    async def block(self) -> None:
        await self.remove()
        self.process.kill()
        self.process.wait(5)
        key = simulated(self.profile)
        key.memory.pin_retries = key.memory.uv_retries = 0
        self._hold(key)

    async def babble(self, data: bytes) -> None:
        await self.say("GARBAGE 1")

    def credential(self) -> bytes:
        return self.checker.credential("tpl_1@1")


@pytest.fixture
def pcscd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pcscd]:
    monkeypatch.setattr(nfc, "OPEN_SECONDS", 3.0)
    with Pcscd() as pcscd:
        yield pcscd


@pytest.fixture
def short() -> Iterator[Path]:
    folder = tempfile.mkdtemp(prefix="key-")
    yield Path(folder)
    shutil.rmtree(folder)


@pytest.mark.real
class TestPinKeyOnAReader(AuthenticatorConformance):
    @pytest.fixture
    def device(self, pcscd: Pcscd, short: Path) -> Lying:
        return Lying(pcscd, short)


@pytest.mark.real
class TestBioKeyOnAReader(AuthenticatorConformance):
    @pytest.fixture
    def device(self, pcscd: Pcscd, short: Path) -> Lying:
        return Lying(pcscd, short, BIO)


@pytest.mark.real
async def test_what_is_signed_on_a_reader_is_believed(pcscd: Pcscd, short: Path) -> None:
    key = Lying(pcscd, short, BIO)
    await key.touch()
    async with opened(key) as reader, held(reader, Capture(NONCE)) as events:
        proof = await until(events, Proof)
    assert isinstance(proof, Proof)
    assert key.checker.check(proof.data, NONCE, [ANN]).factors == ("key", "fingerprint")


@pytest.mark.real
async def test_a_card_that_is_no_key_is_not_spoken_of(pcscd: Pcscd, short: Path) -> None:
    card = pcscd.spawn(
        *[sys.executable, "-m", "authd_simulators.cards", "--control", str(short / "card"), "--vpcd", pcscd.address()],
        stdout=subprocess.PIPE,
    )
    ready(card)
    key = Lying.__new__(Lying)
    key.pcscd, key.folder = pcscd, short
    (short / "office.toml").write_text(OFFICE)
    async with opened(key) as reader, held(reader, Watch()) as events:
        assert await until(events, StateChange) == StateChange(State.CREDENTIAL_REMOVED)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await anext(events)


@pytest.mark.real
async def test_pcscd_killed_in_mid_touch_ends_the_stay(pcscd: Pcscd, short: Path) -> None:
    key = Lying(pcscd, short, BIO)
    async with opened(key) as reader, held(reader, Capture(NONCE)) as events:
        stay = await inserted(events)
        await until(events, StateChange(State.NEED_TOUCH))
        pcscd.kill()
        await gone(events, stay)
    pcscd.start()
    await key.touch()
    async with opened(key) as reader, held(reader, Capture(NONCE)) as events:
        assert isinstance(await until(events, Proof), Proof)


# The applet's own words, without pcscd


@pytest.fixture
def stop() -> Iterator[Stop]:
    stop = Stop()
    yield stop
    stop.close()


def test_no_applet_is_no_key(stop: Stop) -> None:
    with pytest.raises(NotFido):
        NfcKey(lambda apdu: b"\x6a\x82", stop)


def test_long_commands_and_answers_come_in_parts(stop: Stop) -> None:
    applet = NfcApplet(simulated(BIO))
    applet.power(True)
    sent: list[bytes] = []

    def transmit(apdu: bytes) -> bytes:
        sent.append(apdu)
        return applet.transmit(apdu)

    key = NfcKey(transmit, stop)
    assert key.call(0x10, b"\x04")[0] == 0
    assert any(apdu[1] == 0xC0 for apdu in sent)
    assert key.call(0x10, b"\x02" + bytes(600))[0] != 0
    assert max(map(len, sent)) <= 261


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (b"", DriverError),
        (b"\x90", DriverError),
        (bytes(70_000), DriverError),
        (b"\x61\x00", DriverError),
        (b"x\x61\x10", DriverError),
        (b"\x64\x00", Gone),
        (b"\x6f\x00", DriverError),
    ],
)
def test_cards_that_talk_rubbish(stop: Stop, response: bytes, error: type[Exception]) -> None:
    first = iter([b"FIDO_2_0\x90\x00"])
    key = NfcKey(lambda apdu: next(first, response), stop)
    with pytest.raises(error):
        key.call(0x10, b"\x04")


def test_an_answer_that_grows_is_given_up_at_its_longest(stop: Stop) -> None:
    first, sent = iter([b"FIDO_2_0\x90\x00"]), 0

    def transmit(apdu: bytes) -> bytes:
        nonlocal sent
        sent += 1
        return next(first, bytes(256) + b"\x61\x00")

    with pytest.raises(DriverError):
        NfcKey(transmit, stop).call(0x10, b"\x04")
    assert sent == 1 + -(-7_609 // 256)


def test_a_key_that_never_ends_is_a_timeout(stop: Stop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nfc, "TURN_SECONDS", 0.0)
    first = iter([b"FIDO_2_0\x90\x00"])
    key = NfcKey(lambda apdu: next(first, b"\x02\x91\x00"), stop)
    with pytest.raises(DriverError) as error:
        key.call(0x10, b"\x04")
    assert error.value.fault is Fault.TIMEOUT


def test_a_stopped_key_is_told_so(stop: Stop) -> None:
    sent: list[bytes] = []
    first = iter([b"FIDO_2_0\x90\x00", b"\x02\x91\x00"])

    def transmit(apdu: bytes) -> bytes:
        sent.append(apdu)
        if len(sent) == 2:
            stop.set()
        return next(first, b"\x2d\x90\x00")

    with pytest.raises(Cancelled):
        NfcKey(transmit, stop).call(0x10, b"\x04")
    assert sent[-1] == bytes.fromhex("8011110000")


class Wavering:
    """A key that answers its selection with these words first, in a reader of this process."""

    def __init__(self, *words: int) -> None:
        self.words, self.selected = list(words), 0
        self.applet = NfcApplet(simulated(BIO))
        self.applet.power(True)
        self.atr, self.trouble = self.applet.atr, SimpleNamespace()

    def power(self, on: bool) -> None:
        self.applet.power(on)

    def transmit(self, apdu: bytes) -> bytes:
        if apdu[1] == 0xA4:
            self.selected += 1
            if self.words:
                return self.words.pop(0).to_bytes(2, "big")
        return self.applet.transmit(apdu)


@asynccontextmanager
async def lying(card: Wavering, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[PcscPlug, None]:
    monkeypatch.setattr(nfc, "LOOK_SECONDS", 0.01)
    pcsc = FakePcsc()
    pcsc.insert(cast("Any", card))
    plug = PcscPlug("", "", pcsc.find)
    await plug.open()
    try:
        yield plug
    finally:
        await plug.close()


@pytest.mark.parametrize("words", [(0x6F00,), (0x6985, 0x6400), (0x0000, 0x917E, 0x6300)], ids=["one", "two", "three"])
async def test_a_key_that_comes_up_slowly_is_found_while_it_lies_there(
    words: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with lying(Wavering(*words), monkeypatch) as plug, asyncio.timeout(PATIENCE):
        assert await plug.after(None) is not None


@pytest.mark.parametrize(("word", "asked"), [(0x6A82, 1), (0x6D00, 1), (0x6F00, nfc.MOST_DOUBTS)])
async def test_a_card_that_is_no_key_is_left_alone(word: int, asked: int, monkeypatch: pytest.MonkeyPatch) -> None:
    card = Wavering(*[word] * 100)
    async with lying(card, monkeypatch) as plug:
        for _ in range(3 * nfc.MOST_DOUBTS):
            assert await plug.look() is None
    assert card.selected == asked


async def test_a_key_that_says_suddenly_that_it_is_none_has_gone(stop: Stop, monkeypatch: pytest.MonkeyPatch) -> None:
    card = Wavering()
    async with lying(card, monkeypatch) as plug:
        async with asyncio.timeout(PATIENCE):
            await plug.after(None)
        card.words = [0x6F00]
        with pytest.raises(Gone), plug.connect(stop):
            pass


@pytest.mark.real
async def test_a_foreign_key_on_a_reader_is_denied_once_a_pin_is_typed(pcscd: Pcscd, short: Path) -> None:
    key = Lying(pcscd, short)
    await key.empty()
    await key.touch()
    async with opened(key) as reader, held(reader, Capture(NONCE), Person(PIN)) as events:
        assert await until(events, Denied) == Denied(Denial.UNKNOWN, NONCE)
