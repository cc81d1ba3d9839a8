"""Finds what the configuration names: drivers, comparators, and simulators where they are allowed.

Nothing of a driver is executed here: entry points are read from the distributions' metadata, and the manifest from the
folder that the import system would load, without loading it. Drivers load only if the configuration names them.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from authd.service.host.manifest import Manifest, ManifestError, parse

DRIVERS = "authd.drivers"
SIMULATORS = "authd.simulators"
COMPARATORS = "authd.comparators"
OWN_DISTRIBUTIONS = frozenset({"authd-seat", "authd-simulators"})


WEBAUTHN = "webauthn"
"""The driver that has no code: the seat's screen asks its browser for a key (`readers.screen_key`)."""
_WEBAUTHN = Manifest(
    kind="touch",
    modality="fido2",
    capabilities=("capture", "enroll"),
    settings=("office",),
    read=("{office}",),
    shared=("office",),
)


class RegistryError(Exception):
    """A name of the configuration stands for nothing, or for more than one thing."""


@dataclass(frozen=True, slots=True)
class Driver:
    """A driver that may be started: where its code is (not loaded here), and what it says of itself."""

    name: str
    module: str
    folder: Path
    manifest: Manifest
    distribution: str
    bundled: bool
    """From this project: may run, with a warning, where the sandbox is incomplete. A third party's may not."""


def find_driver(name: str, *, simulate: bool = False) -> Driver:
    """Return the driver of that name; simulators are looked for only with `simulate`. Raises `RegistryError`."""
    if name == WEBAUTHN:
        return Driver(name, "", Path(), _WEBAUTHN, "authd-seat", bundled=True)
    found = _entries(DRIVERS, name) + (_entries(SIMULATORS, name) if simulate else [])
    entry = _only(found, f"driver {name!r}", _hint(name, simulate))
    module = entry.module
    folder = _folder(module)
    try:
        manifest = parse((folder / "manifest.toml").read_bytes())
    except (OSError, ManifestError) as error:
        raise RegistryError(f"driver {name!r}: {folder / 'manifest.toml'}: {error}") from error
    if manifest.simulator != (entry.group == SIMULATORS):
        raise RegistryError(f"driver {name!r}: a simulator is expected in {SIMULATORS} and nowhere else")
    distribution = _distribution(entry)
    return Driver(name, module, folder, manifest, distribution, distribution in OWN_DISTRIBUTIONS)


def find_comparator(modality: str) -> str:
    """Return `module:attribute` of the comparator of that modality. Raises `RegistryError`."""
    return _only(_entries(COMPARATORS, modality), f"comparator {modality!r}", "install the driver that brings it").value


def _entries(group: str, name: str) -> list[EntryPoint]:
    return list({entry.value: entry for entry in entry_points(group=group, name=name)}.values())


def _only(found: list[EntryPoint], what: str, hint: str) -> EntryPoint:
    if not found:
        raise RegistryError(f"{what}: not installed; {hint}")
    if len(found) > 1:
        owners = ", ".join(sorted(f"{_distribution(entry)} ({entry.value})" for entry in found))
        raise RegistryError(f"{what}: one is expected, not several: {owners}")
    return found[0]


def _hint(name: str, simulate: bool) -> str:
    if not simulate and _entries(SIMULATORS, name):
        return "it is a simulator, which needs --simulate (or host.simulate = true)"
    names = sorted({WEBAUTHN, *(entry.name for entry in entry_points(group=DRIVERS))})
    return f"one of {names} is expected"


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name.lower().replace("_", "-") if entry.dist else ""


def _folder(module: str) -> Path:
    """Return the folder of a package without importing it or its parents."""
    top, *rest = module.split(".")
    spec: ModuleSpec | None = PathFinder.find_spec(top)
    roots = list(spec.submodule_search_locations or ()) if spec else []
    for root in roots:
        folder = Path(root, *rest)
        if (folder / "__init__.py").is_file():
            return folder
    raise RegistryError(f"{module}: a package (a folder with __init__.py and manifest.toml) is expected")
