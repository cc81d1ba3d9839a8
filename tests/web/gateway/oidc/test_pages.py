"""Pages of the provider: what a request brings is shown, and kept nowhere."""

from __future__ import annotations

import tracemalloc

from starlette.types import Message

from authd.web.gateway.oidc.pages import show

ROUNDS = 200
MOST_BYTES = 400_000


async def shown(form: str = "") -> bytes:
    said: list[Message] = []

    async def send(message: Message) -> None:
        said.append(message)

    await show(send, 200, "leave", form=form)
    return bytes(said[1]["body"])


async def test_the_button_posts_where_it_is_told() -> None:
    page = await shown('/oidc/logout?client_id=resident&state="><script>')
    assert b'action="/oidc/logout?client_id=resident&amp;state=&quot;&gt;&lt;script&gt;"' in page
    assert b"<form" not in await shown()


async def test_a_page_for_every_request_costs_no_memory() -> None:
    """Each has its own `state` in it: who asks a hundred thousand times must not fill the gateway."""
    await shown("/oidc/logout?state=x")
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(ROUNDS):
            await shown(f"/oidc/logout?state={number:04000d}")
        assert tracemalloc.get_traced_memory()[0] - before < MOST_BYTES
    finally:
        tracemalloc.stop()
