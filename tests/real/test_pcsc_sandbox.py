"""The card driver in its own child, under the sandbox that its manifest asks for, on the real pcscd."""

from __future__ import annotations

from pathlib import Path

import pytest

import authd_drivers.pcsc
from authd.driver import Capture, Fault, Proof, State, StateChange, Watch
from authd.service.host import manifest
from authd.service.host.frames import Ended, Start
from authd.service.host.process import Plan
from tests.conformance.reader import NONCE
from tests.real.cards import Cards
from tests.real.pcscd import Pcscd
from tests.service.host.test_supervisor import Watcher, kept, soon

pytestmark = pytest.mark.real


def plan(pcscd: Pcscd, **settings: str) -> Plan:
    settings = {"socket": str(pcscd.socket), **settings}
    parsed = manifest.parse((Path(authd_drivers.pcsc.__file__).parent / "manifest.toml").read_bytes())
    start = Start(0, manifest.fill(parsed, settings), target="authd_drivers.pcsc", settings=settings)
    return Plan("card-1", "reader", start)


async def test_a_card_signs_out_of_the_sandbox() -> None:
    watcher = Watcher()
    with Pcscd() as pcscd:
        cards = Cards(pcscd, 0, "--keys", "rsa")
        async with kept(plan(pcscd), watcher) as keeper:
            await soon(watcher.ups)
            keeper.send(1, Capture(NONCE))
            assert (await soon(watcher.frames)).message == StateChange(State.CREDENTIAL_REMOVED)
            await cards.say("INSERT piv")
            inserted = (await soon(watcher.frames)).message
            assert isinstance(inserted, StateChange)
            assert inserted.state is State.CREDENTIAL_INSERTED
            assert (await soon(watcher.frames)).message == StateChange(State.PROCESSING)
            assert isinstance((await soon(watcher.frames)).message, Proof)
            assert (await soon(watcher.frames)).message == Ended()


async def test_the_child_comes_back_with_pcscd() -> None:
    watcher = Watcher()
    with Pcscd() as pcscd:
        await Cards(pcscd).insert()
        async with kept(plan(pcscd, pin="9a"), watcher) as keeper:
            await soon(watcher.ups)
            keeper.send(1, Watch())
            inserted = (await soon(watcher.frames)).message
            assert isinstance(inserted, StateChange)
            pcscd.kill()
            gone = (await soon(watcher.frames)).message
            assert gone == StateChange(State.CREDENTIAL_REMOVED, inserted.insertion)
            fault, _ = await soon(watcher.downs)
            assert fault is Fault.REMOVED
            pcscd.start()
            await soon(watcher.ups)
