"""The real pcscd with vsmartcard's virtual reader, in namespaces of its own: no root, nothing of the machine's touched.

    with Pcscd() as pcscd:                        # sync; from the main thread (`async def` tests may do it as well)
        pcscd.spawn(sys.executable, "-m", "authd_simulators.cards", "--control", sock, "--vpcd", pcscd.address())
        ...                                       # pyscard here, or in any process with `env=pcscd.env`
        pcscd.kill(); pcscd.start()               # SIGKILL and back, at the same socket
        pcscd.stop(); pcscd.resume()              # SIGSTOP, SIGCONT

- The virtual reader listens on 0.0.0.0, so it lives in a network namespace: simulated cards are started by `spawn` (or
  with `command` in front) and dial 127.0.0.1 there. Reader names are `readers`, of slot n `readers[n]`.
- pcscd's socket is a plain path outside too (`socket`). libpcsclite reads PCSCLITE_CSOCK_NAME once a process, so all
  `Pcscd` of one test process use the same path, one after another.
- What `spawn` and `start` begin dies with the thread that called them (PR_SET_PDEATHSIG): call them in the main thread.
- A pcscd, vpcd or unshare that is missing is an error, so a test that needs them fails.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

PORT = 0x8C7B
WAIT_S = 10.0
_POLL_S = 0.005
_LIBRARY = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so"
_PREPARE = """
ip link set lo up || exit 1
mount -t tmpfs none /run && mkdir /run/pcscd && mount --bind "$1" /run/pcscd || exit 1
echo ready
read -r _
"""


def missing() -> str:
    """Return what is not installed of all that is needed; empty: nothing."""
    for tool in ("unshare", "nsenter", "setpriv", "ip", "pcscd"):
        if shutil.which(tool, path=_PATH) is None:
            return tool
    return "" if Path(_LIBRARY).exists() else "vsmartcard-vpcd"


@cache
def folder() -> Path:
    """Where the socket lies for as long as this process lives."""
    made = Path(tempfile.mkdtemp(prefix="pcscd-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def client_socket() -> Path:
    """Return the path of pcscd's socket, and have libpcsclite in this process use it."""
    path = folder() / "run" / "pcscd.comm"
    os.environ["PCSCLITE_CSOCK_NAME"] = str(path)
    return path


class Pcscd:
    """One pcscd and its virtual readers, from `with` to the end of it."""

    def __init__(self, slots: int = 2) -> None:
        self.slots = slots
        self.socket = client_socket()
        self.readers = [f"Virtual PCD {slot // 2} 00 {slot % 2:02X}" for slot in range(slots)]
        self._inside: subprocess.Popen[bytes] | None = None
        self._daemon: subprocess.Popen[bytes] | None = None
        self._spawned: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        if lacks := missing():
            raise RuntimeError(f"{lacks} is missing: make test installs it")
        self._configure()
        try:
            self._open_namespace()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def env(self) -> dict[str, str]:
        """The environment of a client's process."""
        return dict(os.environ)

    @property
    def pid(self) -> int:
        """Process id of pcscd itself. Raises `RuntimeError` while it is down."""
        if self._daemon is None:
            raise RuntimeError("pcscd is down")
        return self._daemon.pid

    def address(self, slot: int = 0) -> str:
        """Return where a simulated card dials in to lie in this slot, `host:port`, for processes inside."""
        return f"127.0.0.1:{PORT + slot}"

    def command(self, *argv: str) -> list[str]:
        """Return the command that runs `argv` inside the network namespace; it keeps its pid, and dies with us."""
        if self._inside is None:
            raise RuntimeError("outside of `with`")
        enter = ["nsenter", "--preserve-credentials", "-U", "-m", "-n", "-t", str(self._inside.pid)]
        return [*enter, "setpriv", "--pdeathsig", "KILL", *argv]

    def spawn(self, *argv: str, **options: object) -> subprocess.Popen[bytes]:
        """Start a process inside, as `subprocess.Popen` does; it is killed at the end of `with`."""
        process: subprocess.Popen[bytes] = subprocess.Popen(self.command(*argv), **options)  # type: ignore[call-overload]  # noqa: S603  # options are Popen's
        self._spawned.append(process)
        return process

    def start(self) -> None:
        """Start pcscd, and wait until clients and cards can connect; nothing if it runs."""
        if self._daemon is not None:
            return
        log = (folder() / "pcscd.log").open("ab")
        argv = self.command("pcscd", "--foreground", "--config", str(folder() / "conf"))
        with log:
            self._daemon = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: S603  # ours
        deadline = time.clock_gettime(time.CLOCK_BOOTTIME) + WAIT_S
        while not self._serves():
            if self._daemon.poll() is not None or time.clock_gettime(time.CLOCK_BOOTTIME) > deadline:
                raise RuntimeError(f"pcscd does not start: {self.log()[-500:]}")
            time.sleep(_POLL_S)

    def kill(self) -> None:
        """Kill pcscd with SIGKILL; its socket's file stays, as after a crash. Cards dial in again at `start`."""
        daemon, self._daemon = self._daemon, None
        if daemon is not None:
            daemon.kill()
            daemon.wait(WAIT_S)

    def stop(self) -> None:
        """Stop pcscd with SIGSTOP: it is there, accepts, and answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Undo `stop`."""
        os.kill(self.pid, signal.SIGCONT)

    def restart(self) -> None:
        """Kill pcscd and start it."""
        self.kill()
        self.start()

    def log(self) -> str:
        """Return what pcscd wrote."""
        return (folder() / "pcscd.log").read_text(errors="replace")

    def close(self) -> None:
        """End everything that was started."""
        for process in self._spawned:
            process.kill()
            process.wait(WAIT_S)
        self._spawned.clear()
        self.kill()
        inside, self._inside = self._inside, None
        if inside is not None:
            inside.kill()
            inside.communicate()
        self.socket.unlink(missing_ok=True)

    def _configure(self) -> None:
        shutil.rmtree(folder() / "conf", ignore_errors=True)
        for name in ("conf", "run"):
            (folder() / name).mkdir(exist_ok=True)
        (folder() / "conf" / "vpcd").write_text(
            "".join(
                f'FRIENDLYNAME "Virtual PCD {n}"\nDEVICENAME /dev/null:0x{PORT + 2 * n:X}\n'
                f"LIBPATH {_LIBRARY}\nCHANNELID 0x{PORT + 2 * n:X}\n\n"
                for n in range((self.slots + 1) // 2)
            )
        )

    def _open_namespace(self) -> None:
        argv = ["unshare", "-Urmn", "setpriv", "--pdeathsig", "KILL", "sh", "-c", _PREPARE, "sh", str(folder() / "run")]
        self._inside = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603  # ours
        assert self._inside.stdout is not None
        if self._inside.stdout.readline() != b"ready\n":
            raise RuntimeError("no private namespace: unshare -Urmn is not permitted here")

    def _serves(self) -> bool:
        listening = {
            int(row.split()[1].rpartition(":")[2], 16)
            for row in Path(f"/proc/{self.pid}/net/tcp").read_text().splitlines()[1:]
            if row.split()[3] == "0A"
        }
        if not {PORT + slot for slot in range(self.slots)} <= listening:
            return False
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(self.socket)) == 0


_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
