"""What a receiver asks of its stream, and what it says it does not want."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from typing import Any

import pytest

from authd.web.gateway.caep.manage import Manage
from authd.web.gateway.caep.receivers import Receiver, Table
from authd.web.gateway.caep.stream import Stream
from tests.web.asgi import Answer, ask

TOKEN = "token-of-the-receiver"


@pytest.fixture
def stream() -> Stream:
    book: Any = None
    return Stream(Receiver("idp", Table(hashlib.sha256(TOKEN.encode()).hexdigest()), book, "", None))


async def said(stream: Stream, method: str, what: str, body: object = None) -> Answer:
    manage = Manage("https://login.city.example", {"idp": stream})
    sent = b"" if body is None else json.dumps(body).encode()
    return await ask(partial(manage, what.partition("?")[0]), method, what, sent, authorization=f"Bearer {TOKEN}")


async def poll(stream: Stream, **more: object) -> Any:
    return (await said(stream, "POST", "poll", {"returnImmediately": True, **more})).json()


def wait(stream: Stream, count: int) -> list[str]:
    """So many events wait."""
    stream.waiting |= {f"jti-{number}": (None, "h.b.s") for number in range(count)}
    return list(stream.waiting)


async def test_without_a_name_all_streams_of_the_receiver_are_meant(stream: Stream) -> None:
    (mine,) = (await said(stream, "GET", "stream")).json()
    assert mine["stream_id"] == "idp"
    assert (await said(stream, "GET", "stream?stream_id=idp")).json() == mine


@pytest.mark.parametrize("what", ["stream", "status"])
@pytest.mark.parametrize(
    ("query", "status"), [("stream_id=other", 404), ("stream_id=", 404), ("stream_id=idp&stream_id=idp", 400)]
)
async def test_anothers_stream_is_none(stream: Stream, what: str, query: str, status: int) -> None:
    assert (await said(stream, "GET", f"{what}?{query}")).status == status


async def test_what_it_does_not_want_is_left_out_counted_and_said(
    stream: Stream, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, third = wait(stream, 3)
    refused = {first: {"err": "invalid_key", "description": "\nforged line"}, "jti-of-nobody": {"err": "access_denied"}}
    assert (await poll(stream, setErrs=refused, ack=[second]))["sets"].keys() == {third}
    assert (await said(stream, "GET", "status")).json()["events_refused"] == {"invalid_key": 1}
    assert len(caplog.records) == 1
    assert "idp: does not take our events (invalid_key), 1 since the start" in caplog.text
    assert "forged" not in caplog.text


@pytest.mark.parametrize("error", [{"err": "x" * 9_000}, {"err": 7}, {}, "no", None, [1]])
async def test_its_own_words_are_not_repeated(stream: Stream, error: object, caplog: pytest.LogCaptureFixture) -> None:
    (only,) = wait(stream, 1)
    await poll(stream, setErrs={only: error})
    assert (await said(stream, "GET", "status")).json()["events_refused"] == {"other": 1}
    assert len(caplog.text) < 300


async def test_a_receiver_that_wants_nothing_fills_no_log(stream: Stream, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        await poll(stream, setErrs={jti: {"err": "invalid_audience"} for jti in wait(stream, 500)})
    assert stream.refused == {"invalid_audience": 1_500}
    assert [each.args[2] for each in caplog.records if isinstance(each.args, tuple)] == [1, 10, 100, 1_000]
