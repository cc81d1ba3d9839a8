"""What the demo has at its seats beyond veins and keys, where the machine has the middleware for it.

Cards lie on the virtual reader of a real pcscd in namespaces of its own, fingerprints go through the real fprintd on a
bus of its own. Either is left out, and said to be, where it is not installed.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from authd.client.values import Means
from authd_simulators import ground
from authd_simulators.private_pcscd import Pcscd, missing

CARD_PIN = "123456"
FPRINTD = Path("/usr/libexec/fprintd")


@dataclass(frozen=True, slots=True)
class Further:
    """One reader: `means` is what is enrolled at it, `pin` what it asks for."""

    name: str
    seat: str
    means: Means
    control: Path
    toml: Sequence[str]
    pin: str = ""


@dataclass(slots=True)
class FurtherDevices:
    """All of them; `lacking`: what is left out, in a sentence each."""

    folder: Path
    found: list[Further] = field(default_factory=list[Further])
    lacking: list[str] = field(default_factory=list[str])
    _pcscd: Pcscd | None = None

    @property
    def fprint(self) -> Path:
        """The fingerprint service's folder."""
        return self.folder / "fprint"

    def look(self, card_seat: str, finger_seat: str) -> None:
        """Find what there is. Starts pcscd, and the cards' process inside its namespace."""
        lacks = missing() or ("" if importlib.util.find_spec("smartcard") else "pyscard")
        if lacks:
            self.lacking.append(f"カードはありません({lacks}がない)。 No cards here: {lacks} is not installed.")
        else:
            self._cards(card_seat)
        dbus = shutil.which("dbus-daemon") and importlib.util.find_spec("dbus_fast")
        if not (FPRINTD.exists() and dbus):
            self.lacking.append(
                "指紋装置はありません(fprintdがない)。 No fingerprint reader: fprintd is not installed."
            )
            return
        if not ground.named():
            self.lacking.append(
                "指紋装置はありません(アカウントに名前がない)。 No fingerprint reader: this account has no name."
            )
            return
        toml = ('driver = "fprintd"', f"bus = {json.dumps(str(self.fprint / 'bus.sock'))}")
        control = self.folder / "bench" / "fprint-2.sock"
        self.found.append(Further("fprint-2", finger_seat, "fingerprint", control, toml))

    def _cards(self, seat: str) -> None:
        pcscd = self._pcscd = Pcscd()
        try:
            pcscd.__enter__()
        except RuntimeError as error:  # a kernel without unprivileged namespaces
            self.lacking.append(f"カードはありません。 No cards here: {error}.")
            return
        control = self.folder / "bench" / "card-1.sock"
        argv = (sys.executable, "-m", "authd_simulators.cards", "--control", str(control), "--pin", CARD_PIN)
        pcscd.spawn(*argv, "--vpcd", pcscd.address(), stdout=-3)  # subprocess.DEVNULL
        toml = (
            'driver = "pcsc"',
            'pin = "9a"',
            f"reader = {json.dumps(pcscd.readers[0])}",
            f"socket = {json.dumps(str(pcscd.socket))}",
        )
        self.found.append(Further("card-1", seat, "card", control, toml, CARD_PIN))

    def fingerprint_service(self) -> list[str]:
        """Return what the fingerprint service's process is started with; nothing where there is none."""
        for each in self.found:
            if each.means == "fingerprint":
                control = ("--control", str(each.control), "--dir", str(self.fprint))
                return ["-m", "authd_simulators.fprint", *control]
        return []

    def close(self) -> None:
        """End pcscd and the cards."""
        if self._pcscd is not None:
            self._pcscd.close()
