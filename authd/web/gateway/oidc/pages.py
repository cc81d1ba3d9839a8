"""Pages that people see on the way: what is wrong with a request, touch now, logged out. Both languages, no script."""

from __future__ import annotations

import html
from functools import cache

from starlette.types import Send

from authd.locale import text
from authd.web.gateway.answers import HEADERS, pass_on
from authd.web.gateway.page import page, policy


async def show(
    send: Send, status: int, name: str, *, then: str = "", form: str = "", extra: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    """Show `oidc.<name>`. then: where the browser goes at once, while the page stands; form: where its button posts."""
    body = _page(name, form) if form else _plain(name)
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"content-security-policy", policy(posts=bool(form))),
        *(((b"refresh", f"0;url={then}".encode("ascii")),) if then else ()),
        *HEADERS,
        *extra,
    ]
    await pass_on(send, status, headers, body)


@cache
def _plain(name: str) -> bytes:
    return _page(name, "")


def _page(name: str, form: str) -> bytes:
    """A page with a form has something of its request in it, and is not kept."""
    button = " / ".join(html.escape(text("oidc.leave_button", language)) for language in ("ja", "en"))
    asked = f'<form method="post" action="{html.escape(form)}"><button>{button}</button></form>' if form else ""
    return page(f"oidc.{name}", asked)
