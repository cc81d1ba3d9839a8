from __future__ import annotations

import asyncio
import os
import socket
from typing import Any
from unittest.mock import Mock

from authd.broker.postgres import peer


def transport(connection: socket.socket | None) -> asyncio.BaseTransport:
    made: Any = Mock(spec=asyncio.BaseTransport)
    made.get_extra_info.return_value = connection
    return made  # type: ignore[no-any-return]  # a stand-in


def test_a_program_on_a_unix_socket_is_its_account() -> None:
    left, right = socket.socketpair()
    with left, right:
        assert peer.uid(transport(left)) == os.geteuid()


def test_a_program_on_loopback_is_its_account_while_it_is_connected() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        served, _ = listener.accept()
        with served:
            assert peer.uid(transport(served)) == os.geteuid()


def test_a_program_that_has_hung_up_is_nobody_and_not_root() -> None:
    """The kernel says of a connection that is being closed that it is root's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        caller = socket.create_connection(listener.getsockname())
        served, _ = listener.accept()
        with served:
            caller.close()
            assert peer.uid(transport(served)) is None


def test_no_socket_is_nobody() -> None:
    assert peer.uid(transport(None)) is None


def test_the_kernel_s_own_lines_are_read() -> None:
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    line = "   0: 0100007F:9C40 0100007F:1538 {} 00000000:00000000 00:00000000 00000000  1000        0 1 1\n"
    owner = vars(peer)["_owner"]
    assert owner(head + line.format("01"), "0100007F:9C40", "0100007F:1538") == 1000
    assert owner(head + line.format("06"), "0100007F:9C40", "0100007F:1538") is None
    assert owner(head + line.format("01"), "0100007F:9C41", "0100007F:1538") is None
