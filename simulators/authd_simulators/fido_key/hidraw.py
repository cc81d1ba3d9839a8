"""A raw pty in place of /dev/hidraw: a platform opens it by its path and runs its real Linux code."""

from __future__ import annotations

import fcntl
import os
import select
import termios
import threading
import tty
from contextlib import suppress
from pathlib import Path

from authd_simulators.fido_key.framing import PACKET
from authd_simulators.fido_key.hid import HidTransport
from authd_simulators.fido_key.key import Key
from authd_simulators.fido_key.presence import now_ns

TICK_S = 0.05
STALE_S = 2.0
"""What was not read by then is dropped: a hidraw shows nobody what was sent before they opened it."""
REPORT = PACKET + 1
"""A platform writes the report's number, 0, before each packet, as hidraw wants it."""


class HidrawPort:
    """The port that the key is plugged into: while it is, `path` is a link to the pty."""

    def __init__(self, key: Key, path: Path, *, own_terminal: bool = False) -> None:
        """Lay out the port.

        own_terminal: this process leads a session and ignores SIGHUP; the pty becomes its controlling terminal.
        Otherwise it becomes that of a session leader who opens it, and the unplugging ends that process: a hidraw
        would do neither.
        """
        self.key = key
        self._own_terminal = own_terminal
        self.stale_s = STALE_S
        self._wrote_ns = 0
        self.path = path
        self.transport: HidTransport | None = None
        self._master = self._slave = -1
        self._stop, self._stopped = os.pipe()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    @property
    def inserted(self) -> bool:
        """Whether the key is in the port."""
        return self._thread is not None

    def insert(self) -> None:
        """Plug the key in."""
        if self._thread is not None:
            return
        self._master, self._slave = os.openpty()
        # Held open by this end too: without an open slave its raw mode would be lost, and reading would fail.
        tty.setraw(self._slave)
        self._whole_packets()
        if self._own_terminal:
            fcntl.ioctl(self._slave, termios.TIOCSCTTY, 0)
        os.set_blocking(self._master, False)
        self.key.power(True)
        self.transport = HidTransport(self.key, self._write)
        self._stop, self._stopped = os.pipe()
        self._thread = threading.Thread(target=self._run, args=(self.transport,), name="hidraw", daemon=True)
        self._thread.start()
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(os.ttyname(self._slave))

    def remove(self) -> None:
        """Pull the key out: whoever has the path open gets an error, in the middle of whatever was going on."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self.path.unlink(missing_ok=True)
        self.key.power(False)
        os.close(self._stopped)
        thread.join()
        with self._lock:
            for each in (self._master, self._slave, self._stop):
                os.close(each)
            self._master = -1

    def _whole_packets(self) -> None:
        """Let a read return once a whole packet is there, as hidraw does."""
        settings = termios.tcgetattr(self._slave)
        settings[6][termios.VMIN] = PACKET
        settings[6][termios.VTIME] = 0
        termios.tcsetattr(self._slave, termios.TCSANOW, settings)

    def _run(self, transport: HidTransport) -> None:
        pending = b""
        while True:
            readable, _, _ = select.select([self._master, self._stop], [], [], TICK_S)
            if self._stop in readable:
                return
            if readable:
                with suppress(OSError):
                    pending += os.read(self._master, 64 * REPORT)
            while len(pending) >= REPORT:
                report, pending = pending[:REPORT], pending[REPORT:]
                self._feed(transport, report[1:])
            transport.tick()
            self._drop_stale()

    def _feed(self, transport: HidTransport, packet: bytes) -> None:
        if packet[:5] == b"\xff\xff\xff\xff\x86":
            termios.tcflush(self._slave, termios.TCIFLUSH)  # a newcomer, who may have read too much already
        transport.feed(packet)

    def _drop_stale(self) -> None:
        if self._wrote_ns and now_ns() - self._wrote_ns > self.stale_s * 1e9:
            self._wrote_ns = 0
            termios.tcflush(self._slave, termios.TCIFLUSH)

    def _write(self, data: bytes) -> None:
        with self._lock, suppress(OSError):  # nobody reads, or the key is gone: hidraw drops packets as well
            if self._master >= 0:
                self._wrote_ns = now_ns()
                os.write(self._master, data)
