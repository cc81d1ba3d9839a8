"""What the core signs, and above all what it does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest
from pytest_mock import MockerFixture

from authd.core.model import Factor, Grade, Kind, SessionId
from authd.core.ports import LedgerDown
from authd.service.tokens import TokenRefused
from authd.service.tokens.claims import LOGOUT_EVENT
from authd.service.tokens.tokens import Why
from tests.service.tokens.signing import ISSUER, ONE, RESIDENT, SATO, TAX, TWO, Host, signing

SES = SessionId("ses_1")


@pytest.fixture
async def host(tmp_path: Path) -> AsyncGenerator[Host]:
    async with signing(tmp_path) as made:
        yield made


SIGNED: dict[str, Callable[[Host], str]] = {
    "assertion": lambda host: host.tokens.assertion(RESIDENT, SES),
    "id_token": lambda host: host.tokens.id_token(RESIDENT, SES, "n-1"),
}


@pytest.mark.parametrize("kind", SIGNED)
async def test_nothing_is_signed_about_a_session_that_is_over(host: Host, kind: str) -> None:
    host.open()
    assert host.read(SIGNED[kind](host)).claims["sid"] == SES
    host.end()
    with pytest.raises(TokenRefused, match="no_session"):
        SIGNED[kind](host)


@pytest.mark.parametrize("kind", SIGNED)
async def test_the_next_person_is_not_taken_for_the_one_before(host: Host, kind: str) -> None:
    host.open(session="ses_2")
    with pytest.raises(TokenRefused, match="no_session"):
        SIGNED[kind](host)


async def test_an_application_of_another_seat_gets_nothing(host: Host) -> None:
    host.open()
    with pytest.raises(TokenRefused):
        host.tokens.assertion(TAX, SES)
    with pytest.raises(TokenRefused):
        host.tokens.id_token(TAX, SES, None)


async def test_an_assertion_says_who_where_and_how(host: Host) -> None:
    host.open(ONE, SES, Factor.VEIN, Factor.KEY)
    said = host.read(host.tokens.assertion(RESIDENT, SES))
    now = host.hand.wall_ms // 1000
    assert (said.header["alg"], said.header["typ"]) == ("ES256", "authd-assertion+jwt")
    jti = said.claims.pop("jti")
    assert len(jti) == 32
    assert said.claims == {
        "iss": ISSUER,
        "aud": "resident",
        "iat": now,
        "exp": now + 60,
        "sub": SATO,
        "sid": SES,
        "seat": ONE,
        "name": "佐藤",
        "account": "staff_1001",
        "acr": "authd:two",
        "amr": ["hwk", "vein", "mfa"],
        "auth_time": now - 5,
        "grade": "B",
    }


async def test_an_id_token_has_the_words_of_openid_connect(host: Host) -> None:
    host.open()
    said = host.read(host.tokens.id_token(RESIDENT, SES, "n-1"))
    assert (said.header["alg"], said.header["typ"]) == ("RS256", "JWT")
    wanted = {"aud": "resident", "azp": "resident", "nonce": "n-1", "preferred_username": "staff_1001", "name": "佐藤"}
    assert wanted.items() <= said.claims.items()
    assert (said.claims["acr"], said.claims["amr"]) == ("authd:one", ["vein"])
    assert "account" not in said.claims


async def test_a_logout_token_only_once_it_is_over(host: Host) -> None:
    host.open()
    host.tokens.id_token(RESIDENT, SES, None)
    with pytest.raises(TokenRefused, match="still_open"):
        await host.tokens.logout_token(RESIDENT, SES)
    host.end()
    said = host.read(await host.tokens.logout_token(RESIDENT, SES))
    assert said.header["typ"] == "logout+jwt"
    assert (said.claims["sub"], said.claims["sid"]) == (SATO, SES)
    assert said.claims["events"] == {LOGOUT_EVENT: {}}
    assert "nonce" not in said.claims


async def test_a_session_before_the_last_start_is_found_in_the_ledger(host: Host) -> None:
    await host.row(Kind.SESSION_STARTED)
    await host.row(Kind.SESSION_ENDED)
    assert host.read(await host.tokens.logout_token(RESIDENT, SES)).claims["sub"] == SATO
    with pytest.raises(TokenRefused, match="no_session"):
        await host.tokens.logout_token(TAX, SES)
    with pytest.raises(TokenRefused, match="no_session"):
        await host.tokens.logout_token(RESIDENT, SessionId("ses_9"))


async def test_sessions_that_nobody_knows_cost_one_look_at_the_ledger_for_each_seat(
    host: Host, mocker: MockerFixture
) -> None:
    await host.row(Kind.SESSION_STARTED)
    await host.row(Kind.SESSION_ENDED)
    presence = mocker.spy(host.ledger, "presence")
    asked = [host.tokens.logout_token(RESIDENT, SessionId(f"ses_{number}")) for number in range(100, 200)]
    refused = await asyncio.gather(*asked, return_exceptions=True)
    assert {str(each) for each in refused} == {"no_session"}
    assert host.read(await host.tokens.logout_token(RESIDENT, SES)).claims["sub"] == SATO
    with pytest.raises(TokenRefused, match="no_session"):
        await host.tokens.logout_token(RESIDENT, SessionId("ses_9"))
    assert sorted(call.args[0] for call in presence.call_args_list) == sorted(RESIDENT.seats)


async def test_a_ledger_that_could_not_be_read_is_asked_again(host: Host, mocker: MockerFixture) -> None:
    await host.row(Kind.SESSION_STARTED)
    await host.row(Kind.SESSION_ENDED)
    down = mocker.patch.object(host.ledger, "presence", side_effect=LedgerDown("away"))
    with pytest.raises(LedgerDown):
        await host.tokens.logout_token(RESIDENT, SES)
    mocker.stop(down)
    assert host.read(await host.tokens.logout_token(RESIDENT, SES)).claims["sub"] == SATO


async def test_the_events_of_a_session(host: Host) -> None:
    started = await host.row(Kind.SESSION_STARTED, factor="vein")
    stepped = await host.row(Kind.SESSION_STEPPED_UP, factors="vein,key", purpose="tax/secret")
    ended = await host.row(Kind.SESSION_ENDED)
    said = [host.read(await host.tokens.event(RESIDENT, seq)) for seq in (started, stepped, ended)]
    names = [next(iter(each.claims["events"])).rpartition("/")[2] for each in said]
    assert names == ["session-established", "session-presented", "session-revoked"]
    events = [next(iter(each.claims["events"].values())) for each in said]
    assert (events[0]["acr"], events[1]["acr"], events[1]["amr"]) == ("authd:one", "authd:two", ["hwk", "vein", "mfa"])
    assert events[2]["initiating_entity"] == "policy"
    assert events[2]["reason_user"].keys() == events[2]["reason_admin"].keys() == {"ja", "en"}
    assert {each.header["typ"] for each in said} == {"secevent+jwt"}
    assert "secret" not in str(said)
    for each in said:
        assert not {"exp", "sub", "nonce"} & each.claims.keys()  # never to be taken for an ID token (RFC 8417, 4.5)


async def test_an_event_told_again_is_the_same_event(host: Host) -> None:
    seq = await host.row(Kind.SESSION_STARTED)
    first = host.read(await host.tokens.event(RESIDENT, seq)).claims
    host.hand.step(90)
    again = host.read(await host.tokens.event(RESIDENT, seq)).claims
    assert (first["jti"], first["events"]) == (again["jti"], again["events"])
    assert again["iat"] == first["iat"] + 90


async def test_a_row_of_another_ledger_is_another_event(tmp_path: Path) -> None:
    """A ledger that begins anew numbers its rows anew: a receiver must not take them for those it has."""
    names: list[str] = []
    for folder in ("first", "second"):
        async with signing(tmp_path / folder) as host:
            host.hand.step(90 * len(names))
            seq = await host.row(Kind.SESSION_STARTED)
            names.append(str(host.read(await host.tokens.event(RESIDENT, seq)).claims["jti"]))
    assert names[0] != names[1]


@pytest.mark.parametrize("kind", [Kind.GRANT, Kind.VIEW_OPENED, Kind.SESSION_FADING, Kind.ATTEMPT_REFUSED])
async def test_nothing_else_is_told(host: Host, kind: Kind) -> None:
    seq = await host.row(kind)
    with pytest.raises(TokenRefused, match="no_event"):
        await host.tokens.event(RESIDENT, seq)


async def test_no_row_of_another_seat_and_none_that_is_not_there(host: Host) -> None:
    seq = await host.row(Kind.SESSION_STARTED, TWO)
    for number in (seq, seq + 1, 0, 2**53 - 1):
        with pytest.raises(TokenRefused, match=Why.NO_EVENT):
            await host.tokens.event(RESIDENT, number)


async def test_a_verification_event_gives_the_state_back(host: Host) -> None:
    said = host.read(host.tokens.verification(RESIDENT, "s-1"))
    assert list(said.claims["events"].values()) == [{"state": "s-1"}]
    assert said.claims["aud"] == "resident"


@pytest.mark.parametrize(
    ("factors", "grade", "acr"),
    [
        ({Factor.VEIN}, Grade.MATCHED, "authd:one"),
        ({Factor.KEY}, Grade.SIGNED, "authd:one"),
        ({Factor.KEY, Factor.PIN}, Grade.SIGNED, "authd:two"),
        ({Factor.VEIN, Factor.SEAT_KEY}, Grade.MATCHED, "authd:two"),
        ({Factor.KEY, Factor.SEAT_KEY}, Grade.SIGNED, "authd:one"),
        ({Factor.VEIN, Factor.VOUCH}, Grade.MATCHED, "authd:one"),
        ({Factor.VEIN, Factor.CARD}, Grade.MATCHED, "authd:one"),
        ({Factor.VEIN, Factor.CARD}, Grade.SIGNED, "authd:two"),
        ({Factor.CARD, Factor.PIN}, Grade.MATCHED, "authd:one"),
        ({Factor.SEAT_KEY, Factor.PIN}, Grade.MATCHED, "authd:one"),
    ],
)
async def test_the_level_is_that_of_a_step_up(host: Host, factors: set[Factor], grade: Grade, acr: str) -> None:
    host.open(ONE, SES, *factors, grade=grade)
    assert host.read(host.tokens.assertion(RESIDENT, SES)).claims["acr"] == acr
