"""A print server of the test's own: its own folders, a socket in one of them, no network, a printer that is a file."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

BACKEND: Final = Path(__file__).parents[2] / "packaging" / "cups" / "authd"
PARTS: Final = Path("/usr/lib/cups")
WITHIN_S: Final = 60.0
MISSING: Final = shutil.which("cupsd") is None or shutil.which("lpadmin") is None or os.geteuid() != 0
WANTED: Final = "cupsd (Debian: cups-daemon, cups-client) and root, as a print server has them"
FILES: Final = """\
ServerRoot {0}
ServerBin {0}/bin
DataDir /usr/share/cups
DocumentRoot {0}
CacheDir {0}/cache
StateDir {0}/state
RequestRoot {0}/spool
TempDir {0}/tmp
AccessLog {0}/access_log
ErrorLog {0}/error_log
PageLog {0}/page_log
SystemGroup root
FatalErrors none
Sandboxing relaxed
SetEnv AUTHD_COMMAND {0}/authd
"""
SETTINGS: Final = """\
Listen {0}/cups.sock
Browsing Off
WebInterface No
LogLevel debug
MaxClients 20
DefaultAuthType None
<Location />
Order allow,deny
Allow all
</Location>
<Policy default>
JobPrivateAccess all
JobPrivateValues none
<Limit All>
Order allow,deny
Allow all
</Limit>
</Policy>
"""
PRINTER: Final = """\
#!/bin/sh
[ "$#" -eq 0 ] && exit 0
cat "${6:--}" >> "${DEVICE_URI#page:}"
"""


@dataclass(frozen=True, slots=True)
class Cupsd:
    """It runs. `paper`: what was printed."""

    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def paper(self) -> str:
        path = self.folder / "paper"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def run(self, *words: str) -> str:
        """One of CUPS' own commands, spoken to this server alone."""
        env = {**os.environ, "CUPS_SERVER": str(self.folder / "cups.sock"), "LC_ALL": "C.UTF-8"}
        done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=WITHIN_S, check=True)
        return done.stdout

    def print_(self, title: str, text: str, *options: str) -> int:
        """Print, wait until the job is over, and return its number."""
        page = self.folder / "page.txt"
        page.write_text(text, encoding="utf-8")
        words = [word for option in options for word in ("-o", option)]
        said = self.run("lp", "-d", "office", "-t", title, *words, str(page))
        number = int(said.split("office-")[1].split()[0])
        ends = time.perf_counter() + WITHIN_S
        while f"office-{number} " in self.run("lpstat", "-o"):
            assert time.perf_counter() < ends, self.log
            time.sleep(0.05)
        return number

    @property
    def log(self) -> str:
        """What it said for its administrator."""
        return (self.folder / "error_log").read_text(encoding="utf-8", errors="replace")


@contextmanager
def cupsd(folder: Path, authd: str) -> Generator[Cupsd, None, None]:
    """Serve from `folder`; `authd`: the script that the backend asks."""
    for name in ("bin/backend", "cache", "state", "spool", "tmp"):
        (folder / name).mkdir(parents=True)
    for part in ("filter", "daemon", "cgi-bin", "notifier"):
        (folder / "bin" / part).symlink_to(PARTS / part)
    _program(folder / "bin" / "backend" / "authd", BACKEND.read_text(encoding="utf-8"))
    _program(folder / "bin" / "backend" / "page", PRINTER)
    _program(folder / "authd", authd)
    (folder / "cups-files.conf").write_text(FILES.format(folder), encoding="utf-8")
    (folder / "cupsd.conf").write_text(SETTINGS.format(folder), encoding="utf-8")
    words = ["cupsd", "-f", "-c", str(folder / "cupsd.conf"), "-s", str(folder / "cups-files.conf")]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        made = Cupsd(folder, process)
        _wait(folder / "cups.sock", process)
        made.run("lpadmin", "-p", "office", "-E", "-v", f"authd:page:{folder}/paper", "-m", "raw")
        yield made
    finally:
        process.terminate()
        process.wait(WITHIN_S)


def _program(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o700)  # CUPS runs a backend as root if nobody else may


def _wait(socket: Path, process: subprocess.Popen[bytes]) -> None:
    ends = time.perf_counter() + WITHIN_S
    while not socket.exists():
        assert process.poll() is None, "cupsd ended"
        assert time.perf_counter() < ends
        time.sleep(0.02)
