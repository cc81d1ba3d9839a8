"""What a counter terminal gets: the production wheel alone, in a fresh environment. No simulator is on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from email import message_from_bytes
from pathlib import Path

import pytest

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
SOURCES = {"authd": ROOT, "authd_drivers": ROOT / "drivers", "authd_policies": ROOT / "policies"}
SIMULATORS = {"authd_simulators": ROOT / "simulators"}
CONFIG = """\
[host]
name = "desk"
state = "state"
run = "run"
[section.resident]
name_ja = "市民課"
name_en = "Resident Affairs"
[seat.counter-1]
name_ja = "窓口1"
name_en = "Counter 1"
section = "resident"
readers = ["vein-1"]
applications = []
[reader.vein-1]
driver = "vein"
source = "/dev/video0"
"""
VERBS = ("run", "init", "enroll", "status", "who", "events", "ledger", "policy", "demo", "drill", "sim")
Done = subprocess.CompletedProcess[str]
Run = Callable[..., Done]


def run_in(folder: Path, *command: str | Path, check: bool = True) -> Done:
    """Run it outside the sources, so that only what is installed can be found."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"} | pip_settings(),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0 or not check, done.stderr
    return done


def pip_settings() -> dict[str, str]:
    """Where packages come from is this machine's business."""
    return {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_")) or name == "HOME"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("counter")


@pytest.fixture(scope="module")
def wheels(folder: Path) -> dict[str, Path]:
    """Both distributions, built."""
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder)
    run_in(folder, *pip, ROOT, ROOT / "simulators")
    return {path.name.partition("-")[0]: path for path in folder.glob("*.whl")}


@pytest.fixture(scope="module")
def terminal(folder: Path, wheels: dict[str, Path]) -> Run:
    """A fresh environment with the production wheel and what it needs; runs a program of it."""
    run_in(folder, sys.executable, "-m", "venv", "venv")
    programs = folder / "venv" / "bin"
    run_in(folder, programs / "pip", "install", "--quiet", wheels["authd_seat"])

    def run(program: str, *words: str | Path, check: bool = True) -> Done:
        return run_in(folder, programs / program, *words, check=check)

    return run


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def sources(packages: dict[str, Path]) -> set[str]:
    """Every file of these packages: code, words, pages, rules, profiles."""
    files = (path for name, root in packages.items() for path in (root / name).rglob("*") if path.is_file())
    roots = sorted(packages.values(), key=lambda root: -len(root.parts))
    return {
        str(path.relative_to(next(root for root in roots if path.is_relative_to(root))))
        for path in files
        if "__pycache__" not in path.parts and path.suffix != ".pyc"
    }


class TestWhatIsInside:
    def test_every_file_of_the_three_packages_and_no_other(self, wheels: dict[str, Path]) -> None:
        assert names(wheels["authd_seat"]) == sources(SOURCES)
        for needed in (
            "authd/locale/ja/messages.toml",
            "authd/web/static/seat.html",
            "authd_policies/base/forbid.cedar",
            "authd_policies/settings.toml",
            "authd_drivers/vein/manifest.toml",
            "authd_drivers/vein/profiles/sdumla.toml",
        ):
            assert needed in names(wheels["authd_seat"])

    def test_no_simulator_and_no_test(self, wheels: dict[str, Path]) -> None:
        for name in names(wheels["authd_seat"]):
            assert not name.startswith(("tests/", "simulators/", "authd_simulators/"))
            assert not Path(name).name.startswith(("test_", "conftest"))

    def test_the_simulators_are_a_distribution_of_their_own(self, wheels: dict[str, Path]) -> None:
        assert names(wheels["authd_simulators"]) == sources(SIMULATORS)
        with zipfile.ZipFile(wheels["authd_simulators"]) as archive:
            metadata = next(name for name in archive.namelist() if name.endswith("METADATA"))
            assert message_from_bytes(archive.read(metadata)).get_all("Requires-Dist") == ["authd-seat==0.1.0"]

    def test_the_licence_is_with_it(self, wheels: dict[str, Path]) -> None:
        with zipfile.ZipFile(wheels["authd_seat"]) as archive:
            assert any(name.endswith("licenses/LICENSE") for name in archive.namelist())


class TestOnTheTerminal:
    def test_there_is_no_simulator(self, terminal: Run) -> None:
        done = terminal("python", "-c", "import authd_simulators", check=False)
        assert done.returncode == 1
        assert "ModuleNotFoundError: No module named 'authd_simulators'" in done.stderr

    @pytest.mark.parametrize("verb", ["demo", "drill", "sim"])
    def test_what_needs_them_says_what_to_install(self, terminal: Run, verb: str) -> None:
        done = terminal("authd", verb, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert "pip install authd-simulators" in done.stderr
        assert "authentication bypass" in done.stderr

    def test_the_command_explains_itself(self, terminal: Run) -> None:
        shown = terminal("authd", "--help").stdout
        assert [verb for verb in VERBS if f"\n    {verb} " not in shown] == []

    def test_the_policy_that_came_with_it_is_sound(self, terminal: Run) -> None:
        assert terminal("authd", "policy", "check").stdout.startswith("ok: ")
        terminal("authd", "policy", "test")

    def test_a_configuration_can_be_checked(self, terminal: Run, folder: Path) -> None:
        config = folder / "authd.toml"
        config.write_text(CONFIG, encoding="utf-8")
        terminal("authd", "run", "--check", "--config", config)
        config.write_text(CONFIG.replace('readers = ["vein-1"]', 'readers = ["vein-2"]'), encoding="utf-8")
        done = terminal("authd", "run", "--check", "--config", config, check=False)
        assert done.returncode == 2
        assert "authd.toml:12" in done.stderr

    def test_a_simulated_reader_is_not_to_be_had(self, terminal: Run, folder: Path) -> None:
        config = folder / "simulated.toml"
        config.write_text(CONFIG.replace('driver = "vein"', 'driver = "sim-vein"'), encoding="utf-8")
        for more in ((), ("--simulate",)):
            assert terminal("authd", "run", "--check", "--config", config, *more, check=False).returncode == 2

    def test_the_core_loads_nothing_that_parses_images_keys_or_cards(self, terminal: Run) -> None:
        loaded = modules(terminal, "authd.service.daemon")
        assert "cedarpy" in loaded
        assert loaded & {"cv2", "numpy", "fido2", "smartcard", "authd_drivers", "starlette", "uvicorn"} == set()

    def test_the_web_process_loads_no_store_no_policy_and_no_images(self, terminal: Run) -> None:
        loaded = modules(terminal, "authd.web.__main__")
        assert "starlette" in loaded
        assert loaded & {"apsw", "cedarpy", "numpy", "cv2", "authd_drivers", "authd.service"} == set()
        assert "--channel-fd" in terminal("python", "-I", "-m", "authd.web", "--help").stdout


def modules(terminal: Run, name: str) -> set[str]:
    """What a process has loaded that has imported this."""
    program = f"import json, sys, {name}; print(json.dumps(list(sys.modules)))"
    return set(json.loads(terminal("python", "-I", "-c", program).stdout))
