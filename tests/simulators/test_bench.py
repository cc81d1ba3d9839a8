import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authd_simulators.bench import Bench
from authd_simulators.control import MAX_LINE, command


def modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


async def test_the_control_socket_answers_one_line_each(bench: Bench) -> None:
    path = bench.control.path
    assert await command(path, "presence-1 LEAVE") == "ok absent"
    assert (await command(path, "vein-1 TOUCH 1001 left_ring 500")).startswith("ok touch 1")
    assert (await command(path, "HELP")).startswith("ok ")


async def test_people_and_status_are_json(bench: Bench) -> None:
    people = json.loads((await bench.obey("PEOPLE")).removeprefix("ok "))
    assert [person["staff_number"] for person in people][:2] == ["1001", "1002"]
    status = json.loads((await bench.obey("status")).removeprefix("ok "))
    assert status["vein-1"]["plugged"] is True
    assert status["presence-1"]["present"] is True


@pytest.mark.parametrize(
    "line",
    [
        "",
        "nonsense",
        "vein-9 TOUCH 1001",
        "vein-1",
        "vein-1 JUMP",
        "vein-1 TOUCH",
        "vein-1 TOUCH 9999",
        "vein-1 TOUCH 1001 left_toe",
        "vein-1 TOUCH 1001 left_ring 99999",
        "vein-1 TOUCH 1001 hold hold",
        "vein-1 SLOW -1",
        "vein-1 SLOW ١",
        "vein-1 GARBAGE soup",
        "vein-1 PLUG IN",
        "vein-1 REPLAY",
        "presence-1 TOUCH 1001",
        "presence-1 LEAVE now",
        "vein-1 AWAIT 1",
    ],
)
async def test_what_is_not_understood_is_an_error_in_plain_words(bench: Bench, line: str) -> None:
    answer = await bench.obey(line)
    assert answer.startswith("error ")
    assert "\n" not in answer


@given(st.text(max_size=200))
async def test_no_line_whatever_ends_the_bench(text: str) -> None:
    bench = Bench(Path("/nonexistent"), ["vein-1"], ["presence-1"], seed=1)
    for line in (text, f"vein-1 {text}", f"presence-1 {text}"):
        if "PLUG" not in line.upper() and "AWAIT" not in line.upper():
            answer = await bench.obey(line)
            assert answer.startswith(("ok", "error"))


async def test_an_endless_line_is_cut_off_and_others_go_on(bench: Bench) -> None:
    answer = await command(bench.control.path, "x" * (MAX_LINE * 4))
    assert answer == "error the line is too long"
    assert await command(bench.control.path, "presence-1 COME") == "ok present"


async def test_nothing_stays_behind(run_dir: Path) -> None:
    async with Bench(run_dir, ["vein-1"]):
        assert modes(run_dir) == {"vein-1.cable": 0o600, "control.sock": 0o600}
    assert modes(run_dir) == {}


@pytest.mark.parametrize("name", ["../x", "", "a/b", "x" * 40, "名"])
def test_a_device_has_a_plain_name(run_dir: Path, name: str) -> None:
    with pytest.raises(ValueError):
        Bench(run_dir, [name])


async def test_two_benches_without_a_seed_never_show_the_same_touch(run_dir: Path) -> None:
    one, two = Bench(run_dir, ["vein-1"]), Bench(run_dir, ["vein-1"])
    assert one.devices["vein-1"].rng.random() != two.devices["vein-1"].rng.random()
