import argparse
import asyncio
from pathlib import Path

import pytest

from authd.cli import main
from authd.client import DoorError
from authd_simulators import commands
from authd_simulators.bench import Bench


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(required=True)
    for registrar in (commands.sim, commands.demo, commands.drill):
        registrar(verbs)
    args = parser.parse_args(["sim", *words])
    return int(args.run(args))


async def test_send_prints_the_answer_and_says_by_its_exit_code_whether_it_was_yes(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    control = str(bench.control.path)
    assert await asyncio.to_thread(run, "send", control, "presence-1", "LEAVE") == 0
    assert await asyncio.to_thread(run, "send", control, "presence-1 FLY") == 1
    assert capsys.readouterr().out.splitlines()[0] == "ok absent"


def test_no_bench_is_said_plainly(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("send", str(run_dir / "control.sock"), "HELP") == 3
    assert "no bench" in capsys.readouterr().err


def test_the_contact_sheet_is_a_png(run_dir: Path) -> None:
    sheet = run_dir / "sheet.png"
    assert run("vein", "--sheet", str(sheet), "--people", "2", "--captures", "1") == 0
    assert sheet.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("words", [["vein", "--sheet", "x.png", "--people", "99"], ["people", "--people", "0"]])
def test_numbers_out_of_bounds_are_wrong_input(words: list[str]) -> None:
    assert run(*words) == 2


def test_a_kind_of_attack_that_nobody_knows_is_wrong_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("vein", "--out", "x.png", "--attack", "wax") == 2
    assert "print_laser" in capsys.readouterr().err


def test_a_sheet_has_the_fingers_and_the_attacks_that_were_asked_for(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = run_dir / "sheet.png"
    assert run("vein", "--out", str(sheet), "--people", "2", "--fingers", "2", "--attack", "print_film") == 0
    assert "2 people x 2 fingers x 2 touches" in capsys.readouterr().out
    data = sheet.read_bytes()
    assert (int.from_bytes(data[16:20]), int.from_bytes(data[20:24])) == (200 + 2 * 320, 28 + 4 * 240)


def test_histograms_without_matplotlib_say_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> None:
        assert name == "matplotlib"

    monkeypatch.setattr("authd_simulators.vein_study.commands.find_spec", absent)
    assert run("vein", "--out", "x.png", "--histograms") == 2
    assert "authd-seat[plots]" in capsys.readouterr().err


def test_a_sheet_that_cannot_be_written_is_wrong_input(run_dir: Path) -> None:
    assert run("vein", "--sheet", str(run_dir / "none" / "x.png"), "--people", "2", "--captures", "1") == 2


def test_people_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("people", "--people", "3") == 0
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == ["1001", "1002", "1003"]


def test_a_bench_with_a_wrong_name_is_wrong_input(run_dir: Path) -> None:
    assert run("bench", "--dir", str(run_dir), "--vein", "../x") == 2


def test_a_demo_that_the_daemon_refuses_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def refused() -> int:
        raise DoorError("refused", "the officer's touch did not come")

    monkeypatch.setattr("authd_simulators.demo._play", refused)
    assert main(["demo"]) == 1
    said = capsys.readouterr().err
    assert "the officer's touch did not come; call it again / もう一度" in said
    assert said.count("\n") == 1
