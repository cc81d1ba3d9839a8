"""A city whose gateway speaks OpenID Connect, two clients of it, and a browser that each comes in with."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import KeySet

from authd.core.model import SeatState
from authd_simulators.people import Staff
from authd_simulators.stage import Application, Stage, free_ports
from tests.e2e.town import SEAT, Town
from tests.tools.at_the_seat import AtTheSeat
from tests.tools.gateway_stage import free_port, stage_gateway
from tests.tools.receiver import Receiver, receiver

RESIDENT, TAX, PORTAL = "resident", "tax", "portal"
PUSHED, POLLED = "token-of-the-receiver-that-is-pushed-to", "token-of-the-receiver-that-polls"
SECRET: Final = "a-secret-of-the-residents-system"
CALLBACK: Final = "http://127.0.0.1:9/callback"
BYE: Final = "http://127.0.0.1:9/bye"
TAX_CALLBACK: Final = "http://127.0.0.1:9/tax/callback"
PATIENCE_S: Final = 30.0


class IssuerStage(Stage):
    """A stage whose daemon signs under the gateway's name."""

    def __init__(self, issuer: str) -> None:
        systems = [
            Application(name, name, name, account="staff_{staff_number}", url=f"{issuer}/oidc/start/{name}")
            for name in (RESIDENT, TAX, PORTAL)
        ]
        super().__init__(free_ports(), people=4, seats=[SEAT], systems=systems)
        self.issuer = issuer

    def _toml(self) -> str:
        return f"{super()._toml()}[tokens]\nissuer = {json.dumps(self.issuer)}\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client's redirect URI got."""

    fields: dict[str, str]
    verifier: str


class Browser:
    """A browser at the seat. It follows nothing by itself."""

    def __init__(self, public: str) -> None:
        self.http = httpx.Client(base_url=public, timeout=PATIENCE_S, headers={"accept": "text/html"})

    def close(self) -> None:
        self.http.close()


class Provider(AtTheSeat):
    """The provider, from a client's side."""

    def __init__(self, town: Town, public: str, back: Receiver, portal: int) -> None:
        super().__init__(town)
        self.public = public
        self.back = back
        self.portal = portal
        """Port on which a relying party of its own may listen."""
        self.http = httpx.Client(base_url=public, timeout=PATIENCE_S)

    # The seat.

    def touch(self, person: Staff | None = None) -> None:
        """Lay a finger on the reader."""
        self.town.do(lambda: self.town.stage.touch(SEAT, person or self.town.clerk))

    @contextmanager
    def touching(self) -> Generator[None, None, None]:
        """Lay a finger on the reader as soon as the seat asks for a fresh touch."""

        async def touch() -> None:
            async with self.town.stage.screen(SEAT) as screen, aclosing(screen.watch(SEAT)) as shown:
                async for each in shown:
                    if each is not None and each.face.state is SeatState.STEPPING_UP:
                        break
            await self.town.stage.touch(SEAT, self.town.clerk)

        with ThreadPoolExecutor(1) as finger:
            laid = finger.submit(self.town.do, touch)
            yield
            laid.result()

    def ticket(self, application: str = RESIDENT) -> str:
        """What the seat's screen opens the application with."""

        async def ask() -> str:
            async with self.town.stage.screen(SEAT) as screen:
                opened = await screen.ticket(SEAT, application)
                assert opened.url.startswith(f"{self.public}/oidc/start/{application}?ticket=")
                return opened.ticket

        return self.town.do(ask)

    # The gateway.

    def kill_gateway(self) -> None:
        """SIGKILL: it can say nothing to anybody."""

        async def kill() -> None:
            process = self.town.stage.processes["gateway"]
            process.kill()
            await process.wait()

        self.town.do(kill)

    def start_gateway(self) -> None:
        """Start it again, with the settings that it had."""
        settings = (self.town.stage.folder / "gateway.toml").read_text("utf-8")
        port = urlsplit(self.public).port
        assert port is not None
        self.town.do(lambda: stage_gateway(self.town.stage, port, text=settings))

    # The browser.

    @contextmanager
    def browser(self, *applications: str) -> Generator[Browser, None, None]:
        """A browser that has come in to these applications."""
        browser = Browser(self.public)
        try:
            for each in applications:
                self.come_in(browser, each)
            yield browser
        finally:
            browser.close()

    def come_in(self, browser: Browser, application: str = RESIDENT) -> None:
        answer = browser.http.get(f"/oidc/start/{application}", params={"ticket": self.ticket(application)})
        assert answer.status_code == 303, answer.text

    def ask(self, browser: Browser, verifier: str | None = None, **other: str | None) -> httpx.Response:
        """Send the browser to authorize, as the client would; None leaves a field out."""
        digest = hashlib.sha256((verifier or secrets.token_urlsafe(32)).encode()).digest()
        given: dict[str, str | None] = {
            "response_type": "code",
            "client_id": RESIDENT,
            "redirect_uri": CALLBACK,
            "scope": "openid profile",
            "state": "st-1",
            "nonce": "n-1",
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        query = {name: value for name, value in (given | other).items() if value is not None}
        return browser.http.get(f"/oidc/authorize?{urlencode(query)}")

    def answer(self, browser: Browser, **other: str | None) -> Answer:
        """As `ask`; returns what comes to the client."""
        verifier = secrets.token_urlsafe(32)
        response = self.ask(browser, verifier, **other)
        return Answer(landed(response, str(other.get("redirect_uri", CALLBACK))), verifier)

    # The client.

    def redeem(
        self, answer: Answer, *, auth: tuple[str, str] | None = (RESIDENT, SECRET), **other: str | None
    ) -> httpx.Response:
        """Ask for tokens, as the client would."""
        given: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": answer.fields["code"],
            "redirect_uri": CALLBACK,
            "code_verifier": answer.verifier,
        }
        data = {name: value for name, value in (given | other).items() if value is not None}
        return self.http.post("/oidc/token", data=data, auth=auth) if auth else self.http.post("/oidc/token", data=data)

    def sign_on(self, browser: Browser) -> dict[str, Any]:
        """The whole way; returns the token endpoint's answer."""
        response = self.redeem(self.answer(browser))
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    def check(self, token: str, audience: str = RESIDENT) -> dict[str, Any]:
        """Check a token as OpenID Connect Core 1.0, 3.1.3.7, asks; returns its claims. Raises where it is none."""
        keys = KeySet.import_key_set(self.http.get("/oidc/jwks").json())
        read = jwt.decode(token, keys, algorithms=["RS256"])
        claims = dict(read.claims)
        assert claims["iss"] == self.public
        assert claims["aud"] == audience
        assert claims.get("exp", time.time() + 1) > time.time() >= claims["iat"] - 2
        return claims

    def userinfo(self, token: str) -> httpx.Response:
        return self.http.get("/oidc/userinfo", headers={"authorization": f"Bearer {token}"})


def landed(response: httpx.Response, callback: str = CALLBACK) -> dict[str, str]:
    """Read what came to the redirect URI; it went nowhere else."""
    assert response.status_code == 303, (response.status_code, response.text[:2_000])
    where = response.headers["location"]
    assert where.partition("?")[0] == callback
    return dict(parse_qsl(urlsplit(where).query))


@contextmanager
def provider() -> Generator[Provider, None, None]:
    """Set it up: a daemon, a gateway, and an endpoint that hears of logouts and security events."""
    port, portal = free_port(), free_port()
    public = f"http://127.0.0.1:{port}"
    with receiver() as back, Town(IssuerStage(public)) as town:
        told = clients(back, portal, town.stage.folder) + receivers(back)
        town.do(lambda: stage_gateway(town.stage, port, public=public, more=told))
        made = Provider(town, public, back, portal)
        try:
            yield made
        finally:
            made.http.close()


def clients(back: Receiver, portal: int, folder: Path) -> str:
    """Return three clients: one with a secret, one that has none, and Apache on the port `portal`."""
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    apache = f"http://127.0.0.1:{portal}"
    return f"""\
[client.{RESIDENT}]
start = "http://127.0.0.1:9/"
redirect_uris = ["{CALLBACK}"]
post_logout_redirect_uris = ["{BYE}"]
secret_sha256 = "{digest}"
backchannel_logout_uri = "{back.address}/backchannel"
sessions_file = "{folder}/{RESIDENT}.sessions"
[client.{TAX}]
start = "http://127.0.0.1:9/tax/"
redirect_uris = ["{TAX_CALLBACK}"]
[client.{PORTAL}]
start = "{apache}/"
redirect_uris = ["{apache}/oidc/callback"]
secret_sha256 = "{digest}"
backchannel_logout_uri = "{apache}/oidc/callback?logout=backchannel"
"""


def receivers(back: Receiver) -> str:
    """Return two receivers of security events: one is pushed to, the other one polls."""
    return f"""\
[receiver.{RESIDENT}]
push = "{back.address}/events"
token_sha256 = "{hashlib.sha256(PUSHED.encode()).hexdigest()}"
[receiver.{TAX}]
token_sha256 = "{hashlib.sha256(POLLED.encode()).hexdigest()}"
"""
