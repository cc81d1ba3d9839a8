"""What nobody may get by: requests made by hand, each of which the provider must refuse, in its own way.

A case is a name and a function that returns whether it was refused as it must be; `ready` is somebody logged in, with a
browser in each of the two clients. The e2e test runs each, and tests.bench.wiring_oidc counts them.
"""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.tools.oidc_stage import (
    BYE,
    CALLBACK,
    PATIENCE_S,
    RESIDENT,
    SECRET,
    TAX,
    TAX_CALLBACK,
    Answer,
    Browser,
    Provider,
)

EVIL: Final = "https://evil.example/callback"


@dataclass
class Ready:
    """Somebody at the seat, and a browser that is in."""

    wired: Provider
    browser: Browser

    def shown(self, **other: str | None) -> bool:
        """The person is shown a page, and sent nowhere."""
        return _page(self.wired.ask(self.browser, **other))

    def told(self, error: str, **other: str | None) -> bool:
        """The client is told, and given nothing."""
        said = _landed(self.wired.ask(self.browser, **other))
        return said.get("error") == error and "code" not in said and said.get("state") == "st-1"

    def answer(self) -> Answer:
        return self.wired.answer(self.browser)

    def no_tokens(self, error: str, status: int = 400, **other: Any) -> bool:
        return _no_tokens(self.wired.redeem(other.pop("answer", None) or self.answer(), **other), error, status)

    def raw(self, query: str) -> httpx.Response:
        return self.browser.http.get(f"/oidc/authorize?{query}")

    def hint(self, token: str) -> bool:
        return self.told("login_required", prompt="none", id_token_hint=token)


def _page(response: httpx.Response) -> bool:
    plain = "text/html" in response.headers["content-type"] and "location" not in response.headers
    return response.status_code in (400, 401) and plain and "refresh" not in response.headers


def _landed(response: httpx.Response) -> dict[str, str]:
    where = str(response.headers.get("location", ""))
    return dict(parse_qsl(urlsplit(where).query)) if where.startswith(f"{CALLBACK}?") else {}


def _no_tokens(response: httpx.Response, error: str, status: int = 400) -> bool:
    return (response.status_code, response.json()) == (status, {"error": error})


def _query(**other: str) -> str:
    given = {"response_type": "code", "client_id": RESIDENT, "redirect_uri": CALLBACK, "scope": "openid", "state": "s"}
    challenge = {"code_challenge": "c" * 43, "code_challenge_method": "S256"}
    return urlencode({**given, **challenge, **other})


def _claims(ready: Ready, **other: Any) -> dict[str, Any]:
    now = int(time.time())
    person = ready.wired.check(ready.wired.sign_on(ready.browser)["id_token"])
    return {**person, "iat": now, "exp": now + 300, **other}


def _handmade(header: dict[str, Any], claims: dict[str, Any], secret: bytes = b"") -> str:
    """A token that no library would make: signed with HMAC, or with nothing."""
    joined = ".".join(_coded(json.dumps(each).encode()) for each in (header, claims))
    return f"{joined}.{_coded(hmac.digest(secret, joined.encode(), 'sha256')) if secret else ''}"


def _coded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _none(ready: Ready) -> str:
    return _handmade({"alg": "none", "typ": "JWT"}, _claims(ready))


def _by(ready: Ready, key: Any, alg: str, typ: str = "JWT") -> str:
    kid = ready.wired.http.get("/oidc/jwks").json()["keys"][-1]["kid"]
    return jwt.encode({"alg": alg, "kid": kid, "typ": typ}, _claims(ready), key, algorithms=[alg])


def _confused(ready: Ready) -> str:
    """Signed with HS256, the public key as the shared secret (CVE-2015-9235 and its like)."""
    public = next(each for each in ready.wired.http.get("/oidc/jwks").json()["keys"] if each["kty"] == "RSA")
    header = {"alg": "HS256", "typ": "JWT", "kid": public["kid"]}
    return _handmade(header, _claims(ready), RSAKey.import_key(public).as_pem(private=False))


def _reused(ready: Ready) -> bool:
    answer = ready.answer()
    first = ready.wired.redeem(answer).json()["access_token"]
    again = ready.no_tokens("invalid_grant", answer=answer)
    return again and ready.wired.userinfo(first).status_code == 401


def _after_a_wrong_verifier(ready: Ready) -> bool:
    answer = ready.answer()
    wrong = ready.no_tokens("invalid_grant", answer=answer, code_verifier="w" * 43)
    return wrong and ready.no_tokens("invalid_grant", answer=answer)


def _no_cookie(ready: Ready, cookie: str = "") -> bool:
    with httpx.Client(base_url=ready.wired.public, headers={"accept": "text/html"}) as stranger:
        headers = {"cookie": f"authd-oidc-{RESIDENT}={cookie}"} if cookie else {}
        return _page(stranger.get(f"/oidc/authorize?{_query()}", headers=headers))


def _cookie_of(ready: Ready, client: str) -> str:
    return str(ready.browser.http.cookies.get(f"authd-oidc-{client}"))


def _two_cookies(ready: Ready) -> bool:
    mine = _cookie_of(ready, RESIDENT)
    with httpx.Client(base_url=ready.wired.public, headers={"accept": "text/html"}) as stranger:
        both = f"authd-oidc-{RESIDENT}={mine}; authd-oidc-{RESIDENT}=x"
        return _page(stranger.get(f"/oidc/authorize?{_query()}", headers={"cookie": both}))


def _started(ready: Ready, client: str, ticket: str | None) -> bool:
    params = {} if ticket is None else {"ticket": ticket}
    with httpx.Client(base_url=ready.wired.public, headers={"accept": "text/html"}) as stranger:
        response = stranger.get(f"/oidc/start/{client}", params=params)
        return _page(response) and "set-cookie" not in response.headers


def _spent(ready: Ready) -> bool:
    ticket = ready.wired.ticket()
    with httpx.Client(base_url=ready.wired.public) as stranger:
        assert stranger.get(f"/oidc/start/{RESIDENT}", params={"ticket": ticket}).status_code == 303
    return _started(ready, RESIDENT, ticket)


def _token_call(ready: Ready, **call: Any) -> httpx.Response:
    return ready.wired.http.post("/oidc/token", auth=(RESIDENT, SECRET), **call)


def _twice(ready: Ready) -> bool:
    answer = ready.answer()
    given = [("grant_type", "authorization_code"), ("code", answer.fields["code"]), ("code", "x")]
    given += [("redirect_uri", CALLBACK), ("code_verifier", answer.verifier)]
    body = urlencode(given)
    kind = {"content-type": "application/x-www-form-urlencoded"}
    return _no_tokens(_token_call(ready, content=body, headers=kind), "invalid_request")


def _mixed_up(ready: Ready) -> bool:
    """A code of one client's, brought by another one that can prove itself (RFC 9700, 4.4)."""
    answer = ready.answer()
    other = ready.no_tokens("invalid_grant", answer=answer, auth=None, client_id=TAX)
    return other and ready.no_tokens("invalid_grant", answer=answer)


def _both_ways(ready: Ready) -> bool:
    return ready.no_tokens("invalid_client", 401, client_secret=SECRET, client_id=RESIDENT)


def _userinfo(ready: Ready, **call: Any) -> bool:
    return ready.wired.http.get("/oidc/userinfo", **call).status_code == 401


def _access(ready: Ready) -> str:
    return str(ready.wired.sign_on(ready.browser)["access_token"])


def _id_token(ready: Ready) -> str:
    return str(ready.wired.sign_on(ready.browser)["id_token"])


def _inspected(ready: Ready, token: str, auth: tuple[str, str] | None, **more: str) -> httpx.Response:
    call: dict[str, Any] = {"data": {"token": token, **more}, **({"auth": auth} if auth else {})}
    return ready.wired.http.post("/oidc/introspect", **call)


def _logout(ready: Ready, **given: str) -> bool:
    return _page(ready.browser.http.get("/oidc/logout", params=given))


def _soon(refused: Callable[[], bool]) -> bool:
    """Whether it comes to be refused: how soon after the lock, tests.bench.wiring_oidc measures."""
    ends = time.perf_counter() + PATIENCE_S
    while not refused():
        if time.perf_counter() > ends:
            return False
    return True


def _code_after_the_lock(ready: Ready) -> bool:
    answer = ready.answer()
    ready.wired.lock()
    return ready.no_tokens("invalid_grant", answer=answer)


def _token_after_the_lock(ready: Ready) -> bool:
    token = _access(ready)
    good = _inspected(ready, token, (RESIDENT, SECRET)).json()["active"] is True
    ready.wired.lock()
    ended = _soon(lambda: _inspected(ready, token, (RESIDENT, SECRET)).json() == {"active": False})
    return good and ended and ready.wired.userinfo(token).status_code == 401


def _cookie_after_the_lock(ready: Ready) -> bool:
    ready.wired.lock()
    return _soon(ready.shown)


def _cookie_of_the_person_before(ready: Ready) -> bool:
    ready.wired.log_in()  # the same person, another session: nothing resumes, once the gateway has heard of it
    return _soon(ready.shown)


CASES: dict[str, Callable[[Ready], bool]] = {
    # Nobody is sent anywhere that is not registered.
    "client unknown": lambda r: r.shown(client_id="nobody"),
    "client missing": lambda r: r.shown(client_id=None),
    "redirect to another host": lambda r: r.shown(redirect_uri=EVIL),
    "redirect missing": lambda r: r.shown(redirect_uri=None),
    "redirect empty": lambda r: r.shown(redirect_uri=""),
    "redirect longer": lambda r: r.shown(redirect_uri=f"{CALLBACK}/more"),
    "redirect with a slash": lambda r: r.shown(redirect_uri=f"{CALLBACK}/"),
    "redirect with a query": lambda r: r.shown(redirect_uri=f"{CALLBACK}?to=evil"),
    "redirect with a fragment": lambda r: r.shown(redirect_uri=f"{CALLBACK}#x"),
    "redirect in capitals": lambda r: r.shown(redirect_uri=CALLBACK.upper()),
    "redirect to another port": lambda r: r.shown(redirect_uri=CALLBACK.replace(":9/", ":10/")),
    "redirect to another scheme": lambda r: r.shown(redirect_uri=CALLBACK.replace("http:", "https:")),
    "redirect with a user": lambda r: r.shown(redirect_uri="http://127.0.0.1:9@evil.example/callback"),
    "redirect up and down": lambda r: r.shown(redirect_uri=CALLBACK.replace("callback", "x/../callback")),
    "redirect encoded": lambda r: r.shown(redirect_uri=CALLBACK.replace("callback", "c%61llback")),
    "redirect with a backslash": lambda r: r.shown(redirect_uri="http://127.0.0.1:9\\@evil.example/callback"),
    "redirect to a script": lambda r: r.shown(redirect_uri="javascript:alert(1)"),
    "redirect of another client": lambda r: r.shown(redirect_uri=TAX_CALLBACK),
    "redirect twice": lambda r: _page(r.raw(_query() + "&" + urlencode({"redirect_uri": EVIL}))),
    "client twice": lambda r: _page(r.raw(_query() + f"&client_id={TAX}")),
    "state of two lines": lambda r: r.shown(state="a\r\nset-cookie: b"),
    "query too long": lambda r: _page(r.raw(_query(state="s" * 400) + "&x=" + "y" * 8_000)),
    "query not of UTF-8": lambda r: _page(r.raw(_query() + "&x=%ff")),
    "query of many": lambda r: _page(r.raw(_query() + "".join(f"&x{n}=1" for n in range(60)))),
    # What is asked must be what is offered.
    "implicit flow": lambda r: r.told("unsupported_response_type", response_type="token"),
    "hybrid flow": lambda r: r.told("unsupported_response_type", response_type="code id_token"),
    "response type missing": lambda r: r.told("invalid_request", response_type=None),
    "answer in a fragment": lambda r: r.told("invalid_request", response_mode="fragment"),
    "scope without openid": lambda r: r.told("invalid_scope", scope="profile"),
    "without PKCE": lambda r: r.told("invalid_request", code_challenge=None, code_challenge_method=None),
    "plain PKCE": lambda r: r.told("invalid_request", code_challenge_method="plain"),
    "challenge without method": lambda r: r.told("invalid_request", code_challenge_method=None),
    "challenge too short": lambda r: r.told("invalid_request", code_challenge="abc"),
    "request object": lambda r: r.told("request_not_supported", request="e30.e30."),
    "request by reference": lambda r: r.told("request_uri_not_supported", request_uri="https://evil.example/r"),
    "registration": lambda r: r.told("registration_not_supported", registration="{}"),
    "prompt none and login": lambda r: r.told("invalid_request", prompt="none login"),
    "prompt unknown": lambda r: r.told("invalid_request", prompt="please"),
    "age below nothing": lambda r: r.told("invalid_request", max_age="-1"),
    "age in words": lambda r: r.told("invalid_request", max_age="1e3"),
    "level unknown": lambda r: r.told("unmet_authentication_requirements", acr_values="urn:other:gold"),
    "nonce of two lines": lambda r: r.told("invalid_request", nonce="a\nb"),
    "silent, but too old": lambda r: r.told("login_required", prompt="none", max_age="0"),
    # Who is not in is not in.
    "no cookie": _no_cookie,
    "cookie made up": lambda r: _no_cookie(r, "A" * 43),
    "cookie of another client": lambda r: _no_cookie(r, _cookie_of(r, TAX)),
    "cookie twice": _two_cookies,
    "ticket spent": _spent,
    "ticket missing": lambda r: _started(r, RESIDENT, None),
    "ticket made up": lambda r: _started(r, RESIDENT, "A" * 43),
    "ticket of another client": lambda r: _started(r, RESIDENT, r.wired.ticket(TAX)),
    "start of nobody": lambda r: _started(r, "nobody", r.wired.ticket()),
    # Tokens of others are none of ours.
    "hint without signature": lambda r: r.hint(_none(r)),
    "hint signed with the public key": lambda r: r.hint(_confused(r)),
    "hint of a foreign key": lambda r: r.hint(_by(r, RSAKey.generate_key(2048), "RS256")),
    "hint that is no token": lambda r: r.hint("a.b.c"),
    # A code is good once, for its client, its URI and its verifier.
    "code reused": _reused,
    "code made up": lambda r: r.no_tokens("invalid_grant", code="A" * 43),
    "code missing": lambda r: r.no_tokens("invalid_request", code=None),
    "verifier wrong": lambda r: r.no_tokens("invalid_grant", code_verifier="w" * 43),
    "verifier missing": lambda r: r.no_tokens("invalid_request", code_verifier=None),
    "verifier too short": lambda r: r.no_tokens("invalid_grant", code_verifier="abc"),
    "verifier right after a wrong one": _after_a_wrong_verifier,
    "redirect not that of the code": lambda r: r.no_tokens("invalid_grant", redirect_uri=EVIL),
    "client mixed up": _mixed_up,
    "client without its secret": lambda r: r.no_tokens("invalid_client", 401, auth=None, client_id=RESIDENT),
    "client with a wrong secret": lambda r: r.no_tokens("invalid_client", 401, auth=(RESIDENT, "x")),
    "client with a secret it has not": lambda r: r.no_tokens("invalid_client", 401, auth=(TAX, SECRET)),
    "client unknown to the token endpoint": lambda r: r.no_tokens("invalid_client", 401, auth=("nobody", SECRET)),
    "client in two ways": _both_ways,
    "grant of a password": lambda r: r.no_tokens("unsupported_grant_type", grant_type="password"),
    "grant of a client": lambda r: r.no_tokens("unsupported_grant_type", grant_type="client_credentials"),
    "grant of a refresh token": lambda r: r.no_tokens("unsupported_grant_type", grant_type="refresh_token"),
    "form twice": _twice,
    "form in JSON": lambda r: _no_tokens(_token_call(r, json={"grant_type": "authorization_code"}), "invalid_request"),
    "form too long": lambda r: _token_call(r, data={"code": "x" * 9_000}).status_code == 413,
    "form in the query": lambda r: _no_tokens(_token_call(r, params={"grant_type": "x"}), "invalid_request"),
    "token by GET": lambda r: r.wired.http.get("/oidc/token").status_code == 405,
    # An access token is a header's, its client's, and its session's.
    "userinfo without a token": _userinfo,
    "userinfo by query": lambda r: _userinfo(r, params={"access_token": _access(r)}),
    "userinfo by an ID token": lambda r: _userinfo(r, headers={"authorization": f"Bearer {_id_token(r)}"}),
    "userinfo by another scheme": lambda r: _userinfo(r, headers={"authorization": f"Basic {_access(r)}"}),
    "introspection by nobody": lambda r: _inspected(r, _access(r), None).status_code == 401,
    "introspection by another client": lambda r: (
        _inspected(r, _access(r), None, client_id=TAX).json() == {"active": False}
    ),
    # Leaving leads nowhere either.
    "logout to another host": lambda r: _logout(r, client_id=RESIDENT, post_logout_redirect_uri=EVIL),
    "logout to nobody's address": lambda r: _logout(r, post_logout_redirect_uri=BYE),
    "logout to another client's": lambda r: _logout(r, client_id=TAX, post_logout_redirect_uri=BYE),
    "logout with a token of nobody's": lambda r: _logout(r, id_token_hint=_none(r)),
    "logout of another client": lambda r: _logout(r, client_id=TAX, id_token_hint=_id_token(r)),
}
"""Each leaves whoever is logged in where they are."""

LOCKING: dict[str, Callable[[Ready], bool]] = {
    "code after the lock": _code_after_the_lock,
    "token after the lock": _token_after_the_lock,
    "cookie after the lock": _cookie_after_the_lock,
    "cookie of the person before": _cookie_of_the_person_before,
}
"""Each needs somebody to log in anew afterwards."""


def stale_keys(ready: Ready) -> bool:
    """A key that may be known to others is replaced at once: what it signed is refused (the last case of all)."""
    before = _id_token(ready)

    async def replace() -> None:
        async with ready.wired.town.stage.door() as door:
            await door.new_token_keys(at_once=True)

    ready.wired.town.do(replace)
    ends = time.perf_counter() + 30
    while not ready.hint(before):
        assert time.perf_counter() < ends
        time.sleep(0.2)  # the gateway asks for the keys again after two seconds
    return bool(ready.wired.check(_id_token(ready))["aud"] == RESIDENT)


def count() -> int:
    return len(CASES) + len(LOCKING) + 1
