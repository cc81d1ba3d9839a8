from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from authd.service import registry
from authd.service.registry import RegistryError, find_comparator, find_driver

SIGNAL = 'kind = "signal"\ncapabilities = ["watch"]\n'
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return a function that makes a package with a manifest and an entry point of some distribution."""
    entries: list[EntryPoint] = []

    def find(group: str, name: str | None = None) -> Iterable[EntryPoint]:
        return [entry for entry in entries if entry.group == group and name in (None, entry.name)]

    def install(name: str, module: str, manifest: str | None, group: str = "authd.drivers", dist: str = "acme") -> None:
        folder = tmp_path.joinpath(*module.split("."))
        folder.mkdir(parents=True)
        for package in [folder, *folder.parents][: module.count(".") + 1]:
            (package / "__init__.py").write_text("raise SystemExit('driver code ran')")
        if manifest is not None:
            (folder / "manifest.toml").write_text(manifest)
        entry: Any = EntryPoint(name, module, group)
        entries.append(entry._for(SimpleNamespace(name=dist)))

    monkeypatch.setattr(registry, "entry_points", find)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return install


def test_finds_a_driver_without_running_its_code(install: Install) -> None:
    install("mat", "acme_mat.driver", SIGNAL)
    driver = find_driver("mat")
    assert (driver.module, driver.manifest.kind, driver.bundled) == ("acme_mat.driver", "signal", False)
    assert "acme_mat" not in sys.modules


def test_only_our_own_distributions_are_bundled(install: Install) -> None:
    install("mat", "our_mat", SIGNAL, dist="authd_seat")
    assert find_driver("mat").bundled


def test_a_simulator_needs_to_be_asked_for(install: Install) -> None:
    install("mat", "sim_mat", SIGNAL + "simulator = true", "authd.simulators", "authd-simulators")
    with pytest.raises(RegistryError, match="--simulate"):
        find_driver("mat")
    assert find_driver("mat", simulate=True).manifest.simulator


@pytest.mark.parametrize(("group", "simulator"), [("authd.drivers", "true"), ("authd.simulators", "false")])
def test_a_simulator_among_the_drivers_is_refused(install: Install, group: str, simulator: str) -> None:
    install("mat", "acme_mat", f"{SIGNAL}simulator = {simulator}", group)
    with pytest.raises(RegistryError, match="simulator"):
        find_driver("mat", simulate=True)


def test_two_drivers_of_one_name_are_refused(install: Install) -> None:
    install("vein", "acme_vein", SIGNAL)
    install("vein", "our_vein", SIGNAL, dist="authd-seat")
    with pytest.raises(RegistryError, match="acme"):
        find_driver("vein")


def test_what_is_missing_is_named(install: Install) -> None:
    install("mat", "acme_mat", None)
    with pytest.raises(RegistryError, match="manifest"):
        find_driver("mat")
    with pytest.raises(RegistryError, match="'mat'"):
        find_driver("matt")
    with pytest.raises(RegistryError, match="comparator"):
        find_comparator("mat")


def test_a_wrong_manifest_is_named(install: Install) -> None:
    install("mat", "acme_mat", "kind = 'magic'")
    with pytest.raises(RegistryError, match="kind"):
        find_driver("mat")


def test_a_plain_module_is_refused(install: Install, tmp_path: Path) -> None:
    install("mat", "acme_mat", SIGNAL)
    (tmp_path / "acme_mat" / "__init__.py").unlink()
    with pytest.raises(RegistryError, match="package"):
        find_driver("mat")


def test_finds_what_is_installed_here() -> None:
    assert find_driver("presence").bundled
    assert find_comparator("vein") == "authd_drivers.vein.comparator:VeinComparator"
