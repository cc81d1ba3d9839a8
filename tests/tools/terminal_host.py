"""mainframe-mocker's own demonstration host: real TN3270E for a real emulator, with the users that a test gives it.

It asks for Python 3.12 and runs under 3.11 as well; `make e2e` puts it into build/mainframe-mocker, beside the venv,
since it is a plug-in of pytest's too. Its fields take eight capital letters and digits, as old hosts do.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "build" / "mainframe-mocker"
APP = Path(__file__).with_name("terminal_host_app.py")
PATIENCE_S = 60.0


class Host:
    """The running host, and what it has logged."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.port = port
        self.lines: list[str] = []
        self.read_at: list[float] = []
        """When each was read, by `time.perf_counter`."""
        self._process = process
        self._more = threading.Condition()
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def mark(self) -> int:
        """Return where the log is now, to wait for what comes behind it."""
        return len(self.lines)

    def wait_for(self, said: str, after: int = 0) -> int:
        """Wait until a line holds this; return the place behind it."""
        with self._more:
            if not self._more.wait_for(lambda: self._place(said, after) is not None, PATIENCE_S):
                raise TimeoutError(f"the host has not said {said!r}: {self.lines[after:]}")
            place = self._place(said, after)
            assert place is not None
            return place

    def freeze(self) -> None:
        """Let it answer nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._reading.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _place(self, said: str, after: int) -> int | None:
        return next((at + 1 for at, line in enumerate(self.lines) if at >= after and said in line), None)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            at = time.perf_counter()
            with self._more:
                self.lines.append(line.rstrip())
                self.read_at.append(at)
                self._more.notify_all()


@contextmanager
def host(port: int, users: Mapping[str, str]) -> Generator[Host, None, None]:
    """Serve on a loopback port."""
    if not FOLDER.is_dir():
        raise FileNotFoundError("mainframe-mocker is missing: make e2e installs it into build/mainframe-mocker")
    known = ",".join(f"{user}:{password}" for user, password in users.items())
    words = [sys.executable, str(APP), "--host", "127.0.0.1", "--port", str(port), "--users", known]
    environment = {"PYTHONPATH": str(FOLDER), "PATH": os.defpath, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        words, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    made = Host(process, port)
    try:
        made.wait_for("event=listening")
        yield made
    finally:
        made.close()
