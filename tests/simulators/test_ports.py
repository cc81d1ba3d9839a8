"""Every stage's ports: none is given twice, though nobody listens at it yet."""

from __future__ import annotations

import subprocess
import sys

from authd_simulators.stage import free_port

MANY = "from authd_simulators.stage import free_port; print(*(free_port() for _ in range(100)))"


def test_no_port_is_given_twice_by_one_process() -> None:
    ports = [free_port() for _ in range(150)]
    assert len(set(ports)) == 150
    assert all(20_000 <= port < 32_000 for port in ports)


def test_nor_by_several_at_a_time() -> None:
    others = [subprocess.Popen([sys.executable, "-c", MANY], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    ports = [port for other in others for port in other.communicate()[0].split()]
    assert len(set(ports)) == len(ports) == 400
