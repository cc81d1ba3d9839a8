"""The real fprintd on a bus of its own, with libfprint's virtual devices: no root, nothing of the machine's touched.

    with Fprintd() as service:                     # or Fprintd("storage"), Fprintd("device"); sync, main thread
        reader = READER({"bus": service.bus})
        ...
        await service.say("AWAIT 2000")            # until the sensor waits for a finger
        await service.say("TOUCH sub_1 2")         # whose, and which finger: generated ridges with true minutiae
        await service.say("KILL"); await service.say("START")

Start it from the main thread. The commands are those of `python -m authd_simulators.fprint`; one that is refused fails
the test. A fprintd or dbus-daemon that is missing is an error, so a test that needs them fails.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from authd_simulators.control import command

WAIT_S = 60.0


class Fprintd:
    """One fingerprint service, from `with` to the end of it. kinds: of devices; the first is driven."""

    def __init__(self, *kinds: str) -> None:
        self.kinds = kinds or ("image",)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bus(self) -> str:
        """Path of the bus's socket: the driver's setting `bus`."""
        return str(self.folder / "bus.sock")

    @property
    def control(self) -> Path:
        """Path of the socket that takes the text commands."""
        return self.folder / "control.sock"

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="fp-"))
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(WAIT_S)
            process.kill()
            process.communicate()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self) -> None:
        module = [sys.executable, "-m", "authd_simulators.fprint", "--control", str(self.control)]
        kinds = [word for kind in self.kinds for word in ("--device", kind)]
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *module, "--dir", str(self.folder), *kinds],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        out = self._process.stdout
        assert out is not None
        if not select.select([out], [], [], WAIT_S)[0] or out.readline() != b"ready\n":
            self._process.kill()
            raise RuntimeError("no fprintd: " + self._process.communicate()[1].decode("utf-8", "replace"))

    async def say(self, *lines: str) -> str:
        """Give these commands, one after the other, and return the last answer without its `ok`."""
        answer = ""
        for line in lines:
            answer = await command(self.control, line, WAIT_S)
            assert answer.startswith("ok"), f"{line}: {answer}"
        return answer.removeprefix("ok").lstrip()
