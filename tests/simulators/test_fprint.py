"""What the simulated fingerprint service does without fprintd: its fingers and the grammar of its commands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authd_simulators.fprint.ridges import SIDE, Finger, blank
from authd_simulators.fprint.service import HELP, FingerprintService


def seen(data: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.frombuffer(data, np.uint8).reshape(SIDE, SIDE).astype(float)


def alike(a: bytes, b: bytes) -> float:
    """Correlation of the two pictures' middles."""
    middle = np.s_[64:192, 64:192]
    return float(np.corrcoef(seen(a)[middle].ravel(), seen(b)[middle].ravel())[0, 1])


def test_the_same_words_are_the_same_finger() -> None:
    assert Finger.of("a", 1) == Finger.of("a", "1") != Finger.of("a", 2)
    assert Finger.of("a", 1).picture(3) == Finger.of("a", 1).picture(3)


def test_each_touch_is_another_picture_of_the_same_ridges() -> None:
    finger = Finger.of("a", 1)
    assert finger.picture(1) != finger.picture(2)
    assert alike(finger.picture(0), Finger.of("b", 1).picture(0)) < 0.3


def test_half_the_ridges_are_dark_inside_and_nothing_is_outside() -> None:
    picture = seen(Finger.of("a", 1).picture(0))
    assert 0.35 < (picture[64:192, 64:192] < 128).mean() < 0.65
    assert picture[:8, :8].min() > 240
    assert seen(Finger.of("a", 1).picture(0, aside=0.5))[:, : SIDE // 2 - 20].min() > 240
    assert len(blank()) == SIDE * SIDE


@pytest.fixture
def service(tmp_path: Path) -> FingerprintService:
    return FingerprintService(tmp_path)


@pytest.mark.parametrize(
    "line",
    ["", "SAUSAGE", "RETRY", "RETRY 9", "RETRY x", "ERROR 77", "FINGER 2", "FORBID", "FORBID sleep", "TOUCH", "LIST"],
)
async def test_what_is_no_command_is_said_so(service: FingerprintService, line: str) -> None:
    assert (await service.obey(line)).startswith("error ")


@pytest.mark.parametrize("line", ["RETRY 1", "ERROR 257", "FINGER 1", "UNPLUG", "BLANK"])
async def test_a_device_that_nobody_has_claimed_does_nothing(service: FingerprintService, line: str) -> None:
    assert await service.obey(line) == "error nobody has claimed the device"


async def test_polkit_says_no_to_what_was_forbidden(service: FingerprintService) -> None:
    assert await service.obey("FORBID verify enroll") == "ok"
    assert await service.obey("ALLOW enroll") == "ok"
    assert service.stand_ins.forbidden == {"verify"}


async def test_help_names_every_command(service: FingerprintService) -> None:
    assert await service.obey("help") == f"ok {HELP}"


@given(st.text(max_size=60))
@settings(max_examples=100, deadline=None)
def test_no_line_raises(line: str) -> None:
    """Of those that start nothing."""
    import asyncio

    if line.split()[:1] and line.split()[0].upper() in {"START", "PLUG", "RESTART", "SLEEP", "AWAIT"}:
        return
    assert asyncio.run(FingerprintService(Path("/nonexistent")).obey(line)).split(" ")[0] in {"ok", "error"}
