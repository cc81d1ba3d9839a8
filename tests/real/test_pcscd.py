"""The fixture itself: a private pcscd that starts, dies, stalls and comes back at the same path."""

from __future__ import annotations

import os
import sys

import pytest

from tests.real.pcscd import Pcscd

pytestmark = pytest.mark.real


def test_it_comes_and_goes_at_one_path() -> None:
    for _ in range(2):
        with Pcscd(slots=4) as pcscd:
            first = pcscd.pid
            pcscd.restart()
            assert pcscd.pid != first
            assert pcscd.socket.is_socket()
        assert not pcscd.socket.exists()


def test_it_stops_and_resumes() -> None:
    with Pcscd() as pcscd:
        pcscd.stop()
        waited = os.waitid(os.P_PID, pcscd.pid, os.WSTOPPED)
        assert waited is not None
        assert waited.si_pid == pcscd.pid
        pcscd.resume()
        pcscd.restart()


def test_nothing_of_it_listens_outside() -> None:
    code = "import socket; socket.create_connection(('127.0.0.1', 0x8C7B), 1)"
    with Pcscd() as pcscd:
        inside = pcscd.spawn(sys.executable, "-c", code)
        assert inside.wait(60) == 0
        with pytest.raises(ConnectionRefusedError):
            exec(code, {})
