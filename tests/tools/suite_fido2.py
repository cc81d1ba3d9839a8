"""Yubico's own device tests against the simulated key: over real pcscd and over a pty, as plain key and as bio key.

    python -m tests.tools.suite_fido2 [--only pcscd.plain] [--sdist FILE] [--show]

The tests come out of the sdist of python-fido2, fetched by pip into a folder that is gone afterwards; python-fido2
itself is the installed one. They ask a person to take the key out and in, which is done for them; touches come by
themselves.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from authd_simulators.control import command
from tests.bench.report import Report
from tests.real.pcscd import Pcscd

VERSION = "2.2.1"
DOWNLOAD_S, RUN_S, READY_S = 180, 240, 20
BARS = {"plain": 50, "bio": 53}
TOOLS = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Run:
    """One of the four runs."""

    wire: str
    kind: str

    @property
    def name(self) -> str:
        return f"suite_fido2.{self.wire}.{self.kind}"


@dataclass(frozen=True, slots=True)
class Outcome:
    passed: int
    failed: int
    skipped: int
    said: str


RUNS = [Run(wire, kind) for wire in ("pcscd", "pty") for kind in BARS]


def fetch(folder: Path) -> Path:
    """Download the sdist and return its path."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    subprocess.run([*pip, "--dest", str(folder), f"fido2=={VERSION}"], check=True, timeout=DOWNLOAD_S)
    return next(folder.glob("fido2-*.tar.gz"))


def unpack(sdist: Path, folder: Path) -> Path:
    """Take out its tests and nothing else, so that they import the installed library."""
    with tarfile.open(sdist) as archive:
        wanted = [each for each in archive.getmembers() if each.name.split("/")[1:2] == ["tests"]]
        archive.extractall(folder, wanted, filter="data")
    return next(folder.glob("fido2-*/tests")).parent


def key_argv(run: Run, folder: Path, where: Sequence[str]) -> list[str]:
    argv = [sys.executable, "-m", "authd_simulators.fido_key", "--control", str(folder / "key.sock"), "--auto", *where]
    return [*argv, "--bio"] if run.kind == "bio" else argv


@contextlib.contextmanager
def key(run: Run, folder: Path) -> Generator[tuple[list[str], dict[str, str]]]:
    """Hold the key, and give what pytest is to be told of it: arguments and environment."""
    if run.wire == "pty":
        path = folder / "hidraw"
        with held(subprocess.Popen(key_argv(run, folder, ["--pty", str(path)]), stdout=subprocess.PIPE)):
            yield ["-p", "fido2_over_pty"], dict(os.environ) | {"FIDO2_PTY": str(path)}
        return
    with Pcscd() as pcscd:
        argv = key_argv(run, folder, ["--vpcd", pcscd.address()])
        with held(pcscd.spawn(*argv, stdout=subprocess.PIPE)):
            yield ["--reader", pcscd.readers[0]], pcscd.env


@contextlib.contextmanager
def held(process: subprocess.Popen[bytes]) -> Generator[None]:
    """Wait until the key's process is ready, and end it afterwards."""
    try:
        assert process.stdout is not None
        with bounded(process, READY_S):
            if process.stdout.readline() != b"ready\n":
                raise RuntimeError("the simulated key does not start")
        yield
    finally:
        process.terminate()
        process.communicate(timeout=READY_S)


@contextlib.contextmanager
def bounded(process: subprocess.Popen[bytes], limit_s: float) -> Generator[None]:
    """End the process if what is inside takes longer."""
    timer = threading.Timer(limit_s, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


ANSWERS = {"\N{NO ENTRY SIGN}": "REMOVE", "\N{BLACK UNIVERSAL RECYCLING SYMBOL}": "INSERT"}
"""By the sign that the suite's prompts to take the key out, and to put it in, begin with."""


def run_suite(run: Run, tests: Path, show: bool) -> Outcome:
    """Run the suite once."""
    with tempfile.TemporaryDirectory(prefix="suite-") as name:
        folder = Path(name)
        report = folder / "report.xml"
        with key(run, folder) as (told, environment):
            argv = [sys.executable, "-m", "pytest", "tests/device", "-q", "-c", os.devnull, "--rootdir", str(tests)]
            argv += ["-p", "no:cacheprovider", f"--junitxml={report}", "--ep-rp-id=example.com", *told]
            environment |= {"PYTHONPATH": str(TOOLS), "PYTHONDONTWRITEBYTECODE": "1"}
            process = subprocess.Popen(
                argv, cwd=tests, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            with bounded(process, RUN_S):
                said = attend(process, folder / "key.sock", show)
        return outcome(report, said)


def attend(process: subprocess.Popen[bytes], control: Path, show: bool) -> str:
    """Do what the prompts ask for until the suite is through; returns what it said."""
    said: list[str] = []
    assert process.stdout is not None
    for raw in process.stdout:
        line = raw.decode(errors="replace")
        said.append(line)
        if show:
            print(line, end="", file=sys.stderr)
        for sign, order in ANSWERS.items():
            if line.startswith(sign):
                asyncio.run(command(control, order, READY_S))
    process.wait(READY_S)
    return "".join(said)


def outcome(report: Path, said: str) -> Outcome:
    """Count what the suite reported; a suite that ended without a report failed."""
    if not report.exists():
        return Outcome(0, 1, 0, said)
    suite = next(ElementTree.parse(report).iter("testsuite")).attrib
    failed, skipped = int(suite["failures"]) + int(suite["errors"]), int(suite["skipped"])
    return Outcome(int(suite["tests"]) - failed - skipped, failed, skipped, said)


def main(argv: Sequence[str] | None = None) -> int:
    """Run all four, or those of `--only`; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=[f"{run.wire}.{run.kind}" for run in RUNS], action="append")
    parser.add_argument("--sdist", type=Path, help="use this file instead of downloading it")
    parser.add_argument("--show", action="store_true", help="show what the suite says")
    options = parser.parse_args(argv)
    figures = Report()
    with tempfile.TemporaryDirectory(prefix="fido2-sdist-") as folder:
        tests = unpack(options.sdist or fetch(Path(folder)), Path(folder))
        for run in RUNS:
            if options.only is None or f"{run.wire}.{run.kind}" in options.only:
                tell(figures, run, run_suite(run, tests, options.show))
    return 0 if figures.all_ok else 1


def tell(figures: Report, run: Run, result: Outcome) -> None:
    figures.at_least(f"{run.name}.passed", result.passed, "tests", BARS[run.kind])
    figures.at_most(f"{run.name}.failed", result.failed, "tests", 0)
    figures.figure(f"{run.name}.skipped", result.skipped, "tests")
    if result.failed:
        print(result.said[-6_000:], file=sys.stderr)


if __name__ == "__main__":
    raise SystemExit(main())
