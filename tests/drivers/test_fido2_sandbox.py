"""The driver in its own child, under the sandbox that its manifest asks for: nothing it needs is denied."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncGenerator, Iterator, Mapping
from pathlib import Path

import pytest

import authd_drivers.fido2
from authd.driver import Capture, Denied, Enroll, Enrolled, Fault, Feedback, Hint, Proof, State, StateChange, Watch
from authd.service.host import manifest
from authd.service.host.frames import Asked, Frame, Start, Typed
from authd.service.host.process import Plan
from authd.service.host.supervisor import Keeper
from authd_drivers.fido2.checker import Fido2Checker
from tests.drivers.plugged import BIO, PIN, Port
from tests.drivers.softkey import ANN, BOB, NONCE, OTHER
from tests.drivers.test_fido2_pcsc import Lying
from tests.real.pcscd import Pcscd
from tests.service.host.test_supervisor import Watcher, kept, soon


@pytest.fixture
def short() -> Iterator[Path]:
    folder = tempfile.mkdtemp(prefix="key-")
    yield Path(folder)
    shutil.rmtree(folder)


@contextlib.asynccontextmanager
async def child(settings: Mapping[str, str]) -> AsyncGenerator[tuple[Keeper, Watcher], None]:
    parsed = manifest.parse((Path(authd_drivers.fido2.__file__).parent / "manifest.toml").read_bytes())
    start = Start(0, manifest.fill(parsed, settings), target="authd_drivers.fido2", settings=dict(settings))
    watcher = Watcher()
    async with kept(Plan("key-1", "reader", start), watcher) as keeper:
        up = asyncio.ensure_future(soon(watcher.ups))
        down = asyncio.ensure_future(soon(watcher.downs))
        await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        assert not down.done(), down.result()
        down.cancel()
        yield keeper, watcher


async def said(watcher: Watcher, *kinds: type) -> Frame:
    while True:
        heard = asyncio.ensure_future(soon(watcher.frames))
        down = asyncio.ensure_future(soon(watcher.downs))
        await asyncio.wait({heard, down}, return_when=asyncio.FIRST_COMPLETED)
        assert not down.done(), down.result()
        down.cancel()
        if isinstance(heard.result().message, kinds):
            return heard.result()


@pytest.mark.real
async def test_a_key_is_read_enrolled_and_pulled_within_the_sandbox(short: Path) -> None:
    port = Port(short)
    settings = {**port.settings, "device": port.node}
    try:
        async with child(settings) as (keeper, watcher):
            port.key.presence.hand.auto = True
            keeper.send(1, Capture(NONCE))
            asked = await said(watcher, Asked)
            keeper.send(asked.op, Typed(PIN))
            proof = (await said(watcher, Proof, Denied)).message
            assert isinstance(proof, Proof)
            assert port.checker.check(proof.data, NONCE, [ANN]).factors == ("key", "pin")
            keeper.send(2, Enroll(OTHER, BOB))
            asked = await said(watcher, Asked)
            keeper.send(asked.op, Typed(PIN))
            enrolled = (await said(watcher, Enrolled, Denied)).message
            assert isinstance(enrolled, Enrolled)
            assert port.checker.admit(enrolled.data, OTHER, BOB)
            keeper.send(3, Watch())
            stay = (await said(watcher, StateChange)).message
            await port.remove()
            assert isinstance(stay, StateChange)
            assert (await said(watcher, StateChange)).message == StateChange(State.CREDENTIAL_REMOVED, stay.insertion)
    finally:
        port.port.remove()


@pytest.mark.real
async def test_a_key_on_a_card_reader_is_read_within_the_sandbox(short: Path) -> None:
    with Pcscd() as pcscd:
        key = Lying(pcscd, short, BIO)
        settings = {"office": str(short / "office.toml"), "device": f"pcsc:{pcscd.readers[0]}"}
        async with child({**settings, "socket": str(pcscd.socket)}) as (keeper, watcher):
            keeper.send(1, Capture(NONCE))
            assert (await said(watcher, Feedback)).message == Feedback(Hint.TOUCH_THE_KEY)
            await key.touch()
            proof = (await said(watcher, Proof, Denied)).message
    assert isinstance(proof, Proof)
    assert isinstance(key.checker, Fido2Checker)
    assert key.checker.check(proof.data, NONCE, [ANN]).denial is None


@pytest.mark.real
async def test_a_key_that_is_put_in_again_is_found_by_the_next_child() -> None:
    """Another node is another device to the sandbox: only a child that starts after it came may open it."""
    folder = tempfile.mkdtemp(prefix="authd-", dir="/dev/shm")  # a device's path is under /dev
    port = Port(Path(folder), BIO)
    try:
        async with child(port.settings) as (keeper, watcher):
            keeper.send(1, Watch())
            first = (await said(watcher, StateChange)).message
            assert isinstance(first, StateChange)
            await port.remove()
            assert (await said(watcher, StateChange)).message == StateChange(State.CREDENTIAL_REMOVED, first.insertion)
            await port.insert()
            assert (await soon(watcher.downs))[0] is Fault.REMOVED
            await soon(watcher.ups)
            port.key.presence.hand.auto = True
            keeper.send(2, Capture(NONCE))
            assert isinstance((await said(watcher, Proof)).message, Proof)
    finally:
        port.port.remove()
        shutil.rmtree(folder)
