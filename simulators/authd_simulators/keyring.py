"""The stage's FIDO2 keys: one process a seat, a pty in place of hidraw, and the office that they are enrolled for.

A driver may only open devices under /dev, so the ports lie in a folder of /dev/shm, as links to their ptys.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

PIN = "2468"
FINGER = 2
"""The right index, by its code in ISO/IEC 19794."""
OFFICE = """\
name = "Demo"
rp_id = "demo.authd.example"
"""


@dataclass(frozen=True, slots=True)
class SimulatedKey:
    """One key: with a sensor of its own that knows `FINGER`, or with a PIN."""

    name: str
    seat: str
    sensor: bool

    @property
    def act(self) -> str:
        """The command that lets it sign."""
        return f"FINGER {FINGER}" if self.sensor else "TOUCH"


class Keyring:
    """The keys of a stage's seats, in this order: with a sensor, with a PIN, with a sensor ..."""

    another_process = True
    """A driver that sees a new node ends, for one that may open it."""

    def __init__(self, folder: Path, seats: tuple[str, ...]) -> None:
        self.folder = folder
        self.office = folder / "fido2.toml"
        self.keys = {seat: SimulatedKey(key(seat), seat, number % 2 == 0) for number, seat in enumerate(seats)}
        self._ports: Path | None = None

    def open(self) -> None:
        """Make the ports and the office file."""
        self._ports = Path(tempfile.mkdtemp(prefix="authd-", dir="/dev/shm"))
        self.office.write_text(OFFICE, encoding="utf-8")

    def close(self) -> None:
        """Remove the ports."""
        if self._ports is not None:
            shutil.rmtree(self._ports, ignore_errors=True)

    def control(self, name: str) -> Path:
        """Return a key's control socket."""
        return self.folder / "bench" / f"{name}.sock"

    def arguments(self, held: SimulatedKey) -> list[str]:
        """Return what its process is started with: not plugged in yet."""
        return [
            *("-m", "authd_simulators.fido_key", "--control", str(self.control(held.name))),
            *("--pty", str(self._port(held)), "--out"),
            *(["--bio"] if held.sensor else []),
        ]

    def before(self, held: SimulatedKey) -> tuple[str, ...]:
        """Return the commands that make it a key in use."""
        return (f"LEARN {FINGER}",) if held.sensor else (f"PIN {PIN}",)

    def toml(self, seat: str) -> list[str]:
        """Return the table of the seat's reader of keys."""
        held = self.keys[seat]
        return [
            f"[reader.{held.name}]",
            'driver = "fido2"',
            f"device = {json.dumps(str(self._port(held)))}",
            f"office = {json.dumps(str(self.office))}",
        ]

    def _port(self, held: SimulatedKey) -> Path:
        assert self._ports is not None
        return self._ports / held.name


def key(seat: str) -> str:
    """Name of a seat's reader of keys."""
    return "key-" + seat.rpartition("-")[2]
