"""Devices as their drivers meet them: over a real cable, with every fault."""

import asyncio

import pytest

from authd.driver import DriverError, Fault
from authd_simulators.bench import Bench
from authd_simulators.cable import Ask, Plug, Say, Want
from authd_simulators.cable.wire import CableError, image_size


async def plugged(bench: Bench, name: str = "vein-1") -> Plug:
    return await Plug.connect(str(bench.devices[name].cable))


async def order(bench: Bench, line: str) -> str:
    answer = await bench.obey(line)
    assert answer.startswith("ok"), answer
    return answer


async def asked(bench: Bench, plug: Plug, want: Want, *, then: str) -> bytes:
    """Ask, give the order once the device has heard, and return the answer's body."""
    async with asyncio.TaskGroup() as group:
        question = group.create_task(plug.ask(want))
        await order(bench, "vein-1 AWAIT 2000")
        await order(bench, then)
    return bytes(question.result().body)


async def test_a_touch_gives_a_picture_and_each_further_one_differs_only_in_noise(bench: Bench) -> None:
    plug = await plugged(bench)
    first = await asked(bench, plug, Want.FINGER, then="vein-1 TOUCH 1003 hold")
    assert image_size(bytearray(first))[:2] == (320, 240)
    second = (await plug.ask(Want.FRAME)).body
    assert first != second
    assert sum(abs(a - b) for a, b in zip(first, second, strict=True)) / len(first) < 3
    plug.close()


async def test_a_finger_that_was_there_before_does_not_count(bench: Bench) -> None:
    device, ask = bench.devices["vein-1"], Ask(Want.FINGER, 1)
    assert (await order(bench, "vein-1 TOUCH 1003 hold")).endswith(" unawaited")
    device.asked(ask)
    assert device.respond(ask) is None
    assert "error" in await bench.obey("vein-1 TOUCH 1004")
    await order(bench, "vein-1 LIFT")
    assert device.respond(ask) is None
    await order(bench, "vein-1 TOUCH 1004")
    assert device.respond(ask) is not None


async def test_a_lifted_finger_is_gone_and_the_reader_is_free(bench: Bench) -> None:
    plug = await plugged(bench)
    await asked(bench, plug, Want.FINGER, then="vein-1 TOUCH 1003 hold")
    await order(bench, "vein-1 LIFT")
    assert (await plug.ask(Want.FRAME)).say is Say.GONE
    assert (await plug.ask(Want.LIFTED)).say is Say.UP
    plug.close()


async def test_a_cancelled_question_is_replaced_by_the_next(bench: Bench) -> None:
    plug = await plugged(bench)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await plug.ask(Want.FINGER)
    assert (await plug.ask(Want.LIFTED)).say is Say.UP
    assert "unawaited" in await order(bench, "vein-1 TOUCH 1003")
    assert plug.waiting == 0
    plug.close()


async def test_a_replayed_recording_is_the_same_picture_to_the_bit(bench: Bench) -> None:
    plug = await plugged(bench)
    first = await asked(bench, plug, Want.FINGER, then="vein-1 TOUCH 1003")
    await order(bench, "vein-1 LIFT")
    again = await asked(bench, plug, Want.FINGER, then="vein-1 REPLAY")
    assert first == again
    plug.close()


async def test_two_touches_of_one_finger_differ(bench: Bench) -> None:
    plug = await plugged(bench)
    first = await asked(bench, plug, Want.FINGER, then="vein-1 TOUCH 1003")
    await order(bench, "vein-1 LIFT")
    assert first != await asked(bench, plug, Want.FINGER, then="vein-1 TOUCH 1003")
    plug.close()


async def test_an_unplugged_device_is_removed_and_comes_back(bench: Bench) -> None:
    plug = await plugged(bench)
    with pytest.raises(ExceptionGroup) as caught:
        await asked(bench, plug, Want.FINGER, then="vein-1 UNPLUG")
    assert [error.fault for error in caught.value.exceptions if isinstance(error, DriverError)] == [Fault.REMOVED]
    assert not bench.devices["vein-1"].cable.exists()
    with pytest.raises(DriverError):
        await plugged(bench)
    await order(bench, "vein-1 PLUG")
    (await plugged(bench)).close()


async def test_a_second_driver_finds_the_device_busy(bench: Bench) -> None:
    first = await plugged(bench)
    with pytest.raises(DriverError) as caught:
        await plugged(bench)
    assert caught.value.fault is Fault.BUSY
    assert (await first.ask(Want.LIFTED)).say is Say.UP
    first.close()


@pytest.mark.parametrize(
    ("trouble", "fault"),
    [
        ("SUSPEND", Fault.SUSPENDED),
        ("HANG", Fault.TIMEOUT),
        ("SLOW 3000", Fault.TIMEOUT),
        ("GARBAGE frame", Fault.PROTOCOL),
    ],
)
async def test_trouble_reaches_the_driver_as_a_fault(bench: Bench, trouble: str, fault: Fault) -> None:
    plug = await plugged(bench)
    await order(bench, f"vein-1 {trouble}")
    with pytest.raises(DriverError) as caught:
        await plug.ask(Want.LIFTED)
    assert caught.value.fault is fault
    plug.close()
    await order(bench, "vein-1 RESUME")


async def test_random_bytes_are_a_protocol_fault_or_silence(bench: Bench) -> None:
    plug = await plugged(bench)
    await order(bench, "vein-1 GARBAGE bytes")
    with pytest.raises(DriverError) as caught:
        await plug.ask(Want.LIFTED)
    assert caught.value.fault in (Fault.PROTOCOL, Fault.TIMEOUT)
    plug.close()


async def test_a_picture_longer_than_it_says_is_found(bench: Bench) -> None:
    plug = await plugged(bench)
    await order(bench, "vein-1 GARBAGE size")
    body = await asked(bench, plug, Want.FINGER, then="vein-1 TOUCH 1003")
    with pytest.raises(CableError):
        image_size(bytearray(body))
    plug.close()


async def test_a_suspended_device_says_so_to_a_new_driver_until_it_wakes(bench: Bench) -> None:
    await order(bench, "vein-1 SUSPEND")
    with pytest.raises(DriverError) as caught:
        await plugged(bench)
    assert caught.value.fault is Fault.SUSPENDED
    await order(bench, "vein-1 RESUME")
    (await plugged(bench)).close()


async def test_the_sensor_tells_each_change_once(bench: Bench) -> None:
    plug = await plugged(bench, "presence-1")
    assert (await plug.ask(Want.PRESENCE, b"?")).body == b"1"
    async with asyncio.TaskGroup() as group:
        question = group.create_task(plug.ask(Want.PRESENCE, b"1"))
        await order(bench, "presence-1 AWAIT 2000")
        await order(bench, "presence-1 LEAVE")
    assert question.result().body == b"0"
    plug.close()
