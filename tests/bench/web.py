"""What the web process costs: how soon it listens, and how much memory it holds at rest. No core is needed."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import msgspec
import zmq

from authd.web.settings import Door, Seat, Settings
from tests.bench.report import Report
from tests.web.process import started

READY_MS = 700
PSS_MB = 35
STARTS = 5


def main() -> None:
    """Start it a few times; the slowest start and the largest size count."""
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        raw = msgspec.json.encode(_settings(Path(folder))) + b"\n"
        figures = [_start(raw) for _ in range(STARTS)]
    report.at_most("web_ready_ms", max(ready for ready, _, _ in figures), "ms", READY_MS)
    report.figure("web_start_cpu_ms", max(cpu for _, cpu, _ in figures), "ms")
    report.at_most("web_pss_mb", max(pss for _, _, pss in figures), "MB", PSS_MB)
    report.exit()


def _start(raw: bytes) -> tuple[float, float, float]:
    """Return the time until it listens, the processor time that took (ms) and its size (MB)."""
    began = time.perf_counter()
    with started(raw) as web:
        assert web.answer()["ready"]
        ready = (time.perf_counter() - began) * 1_000
        cpu = sum(map(int, Path(f"/proc/{web.process.pid}/stat").read_text(encoding="ascii").split()[13:15]))
        rollup = Path(f"/proc/{web.process.pid}/smaps_rollup").read_text(encoding="ascii")
    pss = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
    return ready, cpu * 1_000 / os.sysconf("SC_CLK_TCK"), int(pss.split()[1]) / 1_024


def _settings(folder: Path) -> Settings:
    public, secret = zmq.curve_keypair()
    key = folder / "screen.key"
    key.write_bytes(public + b"\n" + secret + b"\n")
    seat = Seat("counter-1", "窓口1", "Counter 1", str(key))
    return Settings("127.0.0.1:0", Door(f"ipc://{folder}/router.sock", public.decode()), (seat,))


if __name__ == "__main__":
    main()
