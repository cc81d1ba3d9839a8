from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import create_autospec

import pytest

from authd.broker.postgres import messages
from authd.broker.postgres.relay import MOST_UNREAD, Lost, Wire

READY = messages.message(b"Z", b"I")


def wire() -> Wire:
    made = Wire()
    transport = create_autospec(asyncio.Transport, instance=True)
    transport.is_closing.return_value = False
    transport.get_write_buffer_size.return_value = 0
    made.connection_made(transport)
    return made


def sent(end: Wire) -> Any:
    """What was asked of its transport."""
    return end.transport


def written(end: Wire) -> bytes:
    return b"".join(call.args[0] for call in sent(end).write.call_args_list)


def joined() -> tuple[Wire, Wire]:
    application, server = wire(), wire()
    server.join(application, rested=True)
    application.join(server)
    return application, server


async def test_what_comes_before_anybody_asks_is_kept_in_order() -> None:
    end = wire()
    end.data_received(b"a")
    end.data_received(b"b")
    assert end.unread
    assert await end.receive() == b"ab"
    end.data_received(b"d")
    end.unreceive(b"c")
    assert await end.receive() == b"cd"


async def test_more_than_anybody_asks_for_ends_it() -> None:
    end = wire()
    end.data_received(bytes(MOST_UNREAD + 1))
    sent(end).abort.assert_called_once()


async def test_a_connection_that_is_gone_says_so_once_everything_was_read() -> None:
    end = wire()
    end.data_received(b"last")
    end.connection_lost(None)
    assert await end.receive() == b"last"
    with pytest.raises(Lost):
        await end.receive()


def test_bytes_go_across_unread() -> None:
    application, server = joined()
    application.data_received(b"\xffquery")
    server.data_received(b"\0answer")
    assert (written(server), written(application)) == (b"\xffquery", b"\0answer")


def test_what_came_before_it_was_joined_goes_first() -> None:
    application, server = wire(), wire()
    application.data_received(b"first")
    server.join(application)
    application.join(server)
    application.data_received(b" second")
    assert written(server) == b"first second"


def test_a_side_that_does_not_read_is_not_written_to_without_end() -> None:
    application, server = joined()
    application.pause_writing()
    sent(server).pause_reading.assert_called_once()
    application.resume_writing()
    sent(server).resume_reading.assert_called_once()


def test_an_end_that_is_gone_takes_the_other_with_it() -> None:
    application, server = joined()
    server.connection_lost(None)
    sent(application).close.assert_called_once()


def test_a_sentence_may_be_said_between_two_answers_only() -> None:
    _, server = joined()
    assert server.at_rest
    server.data_received(messages.message(b"D", b"half a row")[:-3])
    assert not server.at_rest
    server.data_received(b"row" + READY)
    assert server.at_rest
