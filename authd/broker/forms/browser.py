"""A browser without eyes, for one application: it keeps cookies, follows redirects, and never leaves that origin."""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import IO, Final, cast

from authd.broker.forms.page import MOST_BYTES, Form, Page, read

MOST_REDIRECTS: Final = 5
MOST_COOKIES: Final = 20
LONGEST_COOKIE: Final = 4_096


class Unreachable(Exception):
    """The application does not answer as one; the text is one line, without anything that was typed."""


class Browser:
    """One visit. `origin`: scheme, host and port, to which everything goes."""

    def __init__(self, origin: str, timeout_s: float, ca_file: Path | None = None) -> None:
        self.origin = origin
        self._timeout = timeout_s
        self._charset = "utf-8"
        """Of the page before: old applications say it once, or on some pages."""
        self._jar = CookieJar(DefaultCookiePolicy(netscape=True, rfc2965=False))
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=context),
            urllib.request.HTTPCookieProcessor(self._jar),
            _SameOrigin(origin),
        )

    @property
    def cookies(self) -> list[Cookie]:
        """What the application has given, to be passed on."""
        kept = [each for each in self._jar if each.value and len(each.name) + len(each.value) <= LONGEST_COOKIE]
        return kept[:MOST_COOKIES]

    def get(self, path: str) -> Page:
        """Fetch a page. Raises `Unreachable`."""
        return self._fetch(path, None)

    def submit(self, page: Page, form: Form, typed: Mapping[str, str]) -> Page:
        """Send a form as a browser would, in its page's own letters. Raises `Unreachable`."""
        fields = urllib.parse.urlencode({**form.fields, **typed}, encoding=page.charset, errors="xmlcharrefreplace")
        return self._fetch(_joined(page.path, form.action or page.path), fields.encode("ascii"))

    def _fetch(self, path: str, data: bytes | None) -> Page:
        url = _joined(self.origin, path)
        if not _within(self.origin, url):
            raise Unreachable("it leads to another origin")
        request = urllib.request.Request(url, data)  # noqa: S310 (of this origin, which is http or https)
        try:
            with self._answer(request) as answer:
                return self._page(answer, answer.status or 0)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unreachable(f"it does not answer: {type(error).__name__}") from None

    def _answer(self, request: urllib.request.Request) -> http.client.HTTPResponse | urllib.error.HTTPError:
        """Return what comes, the page of an error too: old applications say much on one."""
        try:
            return cast("http.client.HTTPResponse", self._opener.open(request, timeout=self._timeout))
        except urllib.error.HTTPError as error:
            return error

    def _page(self, answer: http.client.HTTPResponse | urllib.error.HTTPError, status: int) -> Page:
        body = answer.read(MOST_BYTES + 1)
        if len(body) > MOST_BYTES:
            raise Unreachable(f"its page is longer than {MOST_BYTES} bytes")
        parts = urllib.parse.urlsplit(answer.url or "")
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        page = read(status, path, answer.headers.get_content_charset() or "", body, self._charset)
        self._charset = page.charset
        return page


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL; empty where it has none."""
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.hostname}:{port}" if parts.scheme in ("http", "https") and parts.hostname else ""


def _joined(base: str, where: str) -> str:
    """Return where a link of the page leads. Raises `Unreachable` for what is no address."""
    try:
        return urllib.parse.urljoin(base, where)
    except ValueError:
        raise Unreachable("it leads to no address") from None


def _within(origin: str, url: str) -> bool:
    return origin_of(url) == origin_of(origin) != ""


class _SameOrigin(urllib.request.HTTPRedirectHandler):
    """Follows few redirects, and none to elsewhere: what was typed must not go there, nor the cookies."""

    max_redirections = MOST_REDIRECTS

    def __init__(self, origin: str) -> None:
        self._origin = origin

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Return the next request. Raises `Unreachable`."""
        if not _within(self._origin, newurl):
            raise Unreachable("it redirects to another origin")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
