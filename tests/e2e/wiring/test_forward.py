"""nginx, Caddy and Traefik before an old application: who gets in, as whom, and that a lock ends it."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest

from authd.client import Person
from tests.e2e.wiring.forged import OTHER, carry_out
from tests.tools.forward_stage import COOKIE, PATIENCE_S, Office, answer_of
from tests.tools.proxies import HOST, PROXIES

pytestmark = pytest.mark.real
PAGE = "Accept: text/html"
AJAX = "X-Requested-With: XMLHttpRequest"


def ask(wired: Office, kind: str, path: str = "/", *lines: str, method: str = "GET") -> tuple[int, str]:
    port = wired.ports[kind].proxy
    head = [f"{method} {path} HTTP/1.1", f"Host: {HOST}:{port}", "Connection: close", *lines]
    answer = answer_of(port, "\r\n".join(head) + "\r\n\r\n")
    assert answer.startswith(b"HTTP/1."), answer
    return int(answer.split(b" ", 2)[1]), answer.decode("utf-8", "replace")


def until_refused(wired: Office, kind: str, cookie: str) -> None:
    """The lock has been heard: how soon that is stands in the bench."""
    ends = time.perf_counter() + PATIENCE_S
    while ask(wired, kind, "/", f"Cookie: {cookie}")[0] == 200:
        assert time.perf_counter() < ends


def claims(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return found


def is_of(line: dict[str, Any], person: Person) -> bool:
    """What reached the application says this person, and nobody else, in each of the four headers."""
    said = claims(line.get("HTTP_X_AUTHD_ASSERTION", ".e30."))
    return (
        line.get("HTTP_REMOTE_USER") == person.account
        and line.get("HTTP_REMOTE_NAME", "").encode("latin-1").decode("utf-8") == person.name
        and line.get("HTTP_REMOTE_GROUPS") == person.section
        and (said.get("sub"), said.get("sid"), said.get("aud")) == (person.subject, person.session, "resident")
    )


@pytest.mark.parametrize("kind", PROXIES)
def test_only_who_came_with_a_ticket_gets_in_and_only_until_the_lock(wired: Office, kind: str) -> None:
    person = as_seen(wired)
    wired.reached()
    status, page = ask(wired, kind, "/", PAGE)
    assert status == 401
    assert "席の画面から開いてください" in page
    assert ask(wired, kind, "/", AJAX)[0] == 401
    assert wired.reached() == []
    cookie = wired.come_in(kind)
    assert cookie.startswith(f"{COOKIE}=")
    status, page = ask(wired, kind, "/", f"Cookie: {cookie}; own=1")
    assert status == 200
    assert "no-store" in page
    assert "max-age" not in page
    assert (kind == "nginx") == ("guard.js" in page)
    assert ask(wired, kind, "/save", f"Cookie: {cookie}", "Content-Length: 4\r\n\r\nmemo", method="POST")[0] == 200
    seen = wired.reached()
    assert len(seen) == 2
    assert all(is_of(line, person) for line in seen)
    if kind != "traefik":
        assert seen[0]["HTTP_COOKIE"].strip("; ") == "own=1"
    wired.lock()
    until_refused(wired, kind, cookie)
    wired.reached()
    status, page = ask(wired, kind, "/", f"Cookie: {cookie}", AJAX)
    assert status == 401
    assert "住民記録" not in page
    assert wired.reached() == []


@pytest.mark.parametrize("kind", PROXIES)
def test_no_request_made_by_hand_is_somebody_else(wired: Office, kind: str) -> None:
    person = as_seen(wired)
    cookie = wired.come_in(kind)
    wired.reached()
    carry_out(wired.ports[kind].proxy, "")
    assert wired.reached() == []
    carry_out(wired.ports[kind].proxy, cookie)
    seen = wired.reached()
    assert [line for line in seen if not is_of(line, person) or OTHER in json.dumps(line)] == []
    assert len(seen) >= 20  # many are ordinary requests but for what they claim


@pytest.mark.parametrize("kind", ["caddy", "traefik"])
@pytest.mark.parametrize(
    "name", ["Remote-Email", "Remote_Email", "X-Authd-Rank", "X_Authd_Rank", "X-Authd_Rank", "X_Authd-Rank"]
)
def test_no_name_like_ours_comes_from_the_browser(wired: Office, kind: str, name: str) -> None:
    """Names that are not ours, and that an application may know from another product before it."""
    as_seen(wired)
    cookie = wired.come_in(kind)
    wired.reached()
    assert ask(wired, kind, "/", f"Cookie: {cookie}", f"{name}: {OTHER}")[0] == 200
    assert OTHER not in json.dumps(wired.reached())


def as_seen(wired: Office) -> Person:
    """Log the clerk in; with the name that the application has for them."""

    async def who() -> Person:
        async with wired.town.stage.application() as application:
            person = await application.exchange(ticket)
            assert person.account
            return person

    wired.log_in()
    ticket = wired.ticket()
    return wired.town.do(who)
