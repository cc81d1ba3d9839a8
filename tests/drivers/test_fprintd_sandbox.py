"""The driver in its own child, under the sandbox that its manifest asks for: nothing it needs is denied."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from authd.driver import Claimed, Enroll, Enrolled, Progress, State, StateChange, Verify
from authd.service.host.frames import Ended
from tests.real.fprintd import Fprintd
from tests.real.fprintd_costs import login_costs_ms, plan
from tests.service.host.test_supervisor import Watcher, kept, soon

NONCE = "0" * 32
DOWN = StateChange(State.NEED_TOUCH)


@pytest.fixture
def service() -> Iterator[Fprintd]:
    with Fprintd() as running:
        yield running


@pytest.mark.real
async def test_a_finger_is_enrolled_and_verified_from_inside_the_sandbox(service: Fprintd) -> None:
    watcher = Watcher()
    async with kept(plan(service), watcher) as keeper:
        await soon(watcher.ups)
        keeper.send(1, Enroll(NONCE, "sub_1", "right_index"))
        assert (await soon(watcher.frames)).message == DOWN
        message: object = Progress(0)
        while not isinstance(message, Enrolled):
            assert isinstance(message, Progress), message
            await service.say("AWAIT 30000", "TOUCH sub_1 2")
            message = (await soon(watcher.frames)).message
        assert (await soon(watcher.frames)).message == Ended()
        keeper.send(2, Verify(NONCE, "sub_1"))
        assert (await soon(watcher.frames)).message == DOWN
        await service.say("AWAIT 30000", "TOUCH sub_1 2")
        assert isinstance((await soon(watcher.frames)).message, Claimed)
        assert (await soon(watcher.frames)).message == Ended()
    assert watcher.downs.empty()


@pytest.mark.real
async def test_what_a_login_costs_beyond_the_match_can_be_measured() -> None:
    """`tests.bench.devices` holds the figure against its bar."""
    assert len(await login_costs_ms(3)) == 3
