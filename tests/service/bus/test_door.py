from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from authd.core.model import EndReason, Entry, Instant, Kind, SeatState, SessionId
from authd.core.ports import LedgerDown, Unavailable
from authd.service.bus import requests
from authd.service.bus.door import MOST_UNFINISHED, Conversation
from authd.service.bus.house import Error, Occupancy, Peer, Refused, Role
from authd.service.bus.peers import ADMIN, screen
from authd.service.bus.stream import RATE, Bucket
from authd.service.bus.table import VERBS
from authd.service.bus.verbs import authorise
from tests.service.bus.fakes import ITO, ONE, SATO, TWO, World

RESIDENT = Peer(Role.APPLICATION, "resident", frozenset({ONE}))
SCREEN = screen(ONE)

PERMITTED = {
    "ping": {Role.SCREEN, Role.APPLICATION, Role.ADMIN},
    "cancel": {Role.SCREEN, Role.APPLICATION, Role.ADMIN},
    "who": {Role.APPLICATION, Role.ADMIN},
    "follow": {Role.APPLICATION, Role.ADMIN},
    "watch": {Role.SCREEN},
    "activity": {Role.SCREEN},
    "press": {Role.SCREEN},
    "ticket": {Role.SCREEN},
    "exchange": {Role.APPLICATION},
    "step_up": {Role.APPLICATION},
    "authenticate": {Role.SCREEN, Role.APPLICATION, Role.ADMIN},
    "withdraw": {Role.SCREEN, Role.APPLICATION, Role.ADMIN},
    "status": {Role.ADMIN},
    "seal": {Role.ADMIN},
    "stop": {Role.ADMIN},
    "history": {Role.ADMIN},
    "people": {Role.ADMIN},
    "enrol": {Role.ADMIN},
    "disable": {Role.ADMIN},
    "answer": {Role.SCREEN, Role.ADMIN},
    "roster": {Role.SCREEN},
    "attend": {Role.SCREEN},
    "procedures": {Role.SCREEN},
    "procedure_start": {Role.SCREEN},
    "procedure_answer": {Role.SCREEN},
    "procedure_drop": {Role.SCREEN},
    "claim": {Role.SCREEN},
    "webauthn_begin": {Role.SCREEN},
    "webauthn_done": {Role.SCREEN},
    "keys": {Role.ADMIN},
    "revoke": {Role.ADMIN},
    "breakglass": {Role.ADMIN},
    "review": {Role.ADMIN},
    "reviews": {Role.SCREEN, Role.ADMIN},
    "review_items": {Role.SCREEN, Role.ADMIN},
    "review_sign": {Role.SCREEN, Role.ADMIN},
    "review_alerts": {Role.SCREEN},
    "seen": {Role.ADMIN},
    "roster_stage": {Role.ADMIN},
    "roster_import": {Role.ADMIN},
    "roster_show": {Role.ADMIN},
    "carryout_request": {Role.APPLICATION, Role.ADMIN},
    "carryout_approve": {Role.APPLICATION, Role.ADMIN},
    "carryouts": {Role.ADMIN},
    "carryout_use": {Role.APPLICATION, Role.ADMIN},
    "carryout_exported": {Role.ADMIN},
    "carryout_baseline": {Role.ADMIN},
    "carryout_close": {Role.ADMIN},
    "unattributed_look": {Role.APPLICATION, Role.ADMIN},
    "unattributed_sessions": {Role.APPLICATION, Role.ADMIN},
    "unattributed_found": {Role.APPLICATION, Role.ADMIN},
    "unattributed_ended": {Role.APPLICATION, Role.ADMIN},
    "credential_noted": {Role.APPLICATION, Role.ADMIN},
    "credentials": {Role.ADMIN},
    "view": {Role.APPLICATION},
    "look_up": {Role.ADMIN},
    "certificate": {Role.APPLICATION},
    "certificate_authority": {Role.APPLICATION, Role.ADMIN},
    "flag_request": {Role.ADMIN},
    "flag_approve": {Role.ADMIN},
    "flags": {Role.ADMIN},
    "flag_ask": {Role.ADMIN},
    "flag_coverage": {Role.ADMIN, Role.SCREEN},
    "flag_match": {Role.APPLICATION},
    "flag_follow": {Role.APPLICATION},
    "flag_held": {Role.APPLICATION},
    "look": {Role.APPLICATION},
    "unmask": {Role.APPLICATION},
    "assertion": {Role.APPLICATION},
    "id_token": {Role.APPLICATION},
    "logout_token": {Role.APPLICATION},
    "security_event": {Role.APPLICATION},
    "security_check": {Role.APPLICATION},
    "jwks": {Role.SCREEN, Role.APPLICATION, Role.ADMIN},
    "token_keys": {Role.ADMIN},
}
MEMBERS: dict[str, dict[str, object]] = {
    "who": {"seat": "counter-1"},
    "watch": {"seat": "counter-1"},
    "activity": {"seat": "counter-1"},
    "press": {"seat": "counter-1", "button": "lock"},
    "ticket": {"seat": "counter-1", "application": "resident"},
    "exchange": {"ticket": "x"},
    "step_up": {"session": "ses_1", "purpose": "view"},
    "history": {"seat": "counter-1", "from": "2026-11-22T00:00:00Z", "to": "2026-11-23T00:00:00Z"},
    "enrol": {
        "seat": "counter-1",
        "staff_number": "1",
        "name": "n",
        "kana": "k",
        "section": "s",
        "finger": "right_index",
    },
    "authenticate": {"seat": "counter-1", "application": "resident"},
    "withdraw": {"seat": "counter-1"},
    "disable": {"seat": "counter-1", "subject": "sub_ito"},
    "cancel": {"stream": 2},
    "answer": {"seat": "counter-1", "typed": "1234"},
    "roster": {"seat": "counter-1"},
    "attend": {"seat": "counter-1", "cover": "covered"},
    "procedures": {"seat": "counter-1", "session": "ses_1"},
    "procedure_start": {"seat": "counter-1", "session": "ses_1", "procedure": "phone"},
    "procedure_answer": {"seat": "counter-1", "run": "run_1", "step": "caller", "choice": "office"},
    "procedure_drop": {"seat": "counter-1", "run": "run_1"},
    "claim": {"seat": "counter-1", "subject": "sub_ito"},
    "webauthn_begin": {"seat": "counter-1"},
    "webauthn_done": {"seat": "counter-1", "response": "{}"},
    "keys": {"subject": "sub_ito"},
    "revoke": {"reference": "tpl_1@1", "seat": "counter-1"},
    "review": {"session": "ses_1", "seat": "counter-1"},
    "reviews": {"seat": "counter-1"},
    "review_items": {"section": "resident", "month": "2027-03", "seat": "counter-1"},
    "review_sign": {"section": "resident", "month": "2027-03", "digest": "0" * 64, "seat": "counter-1"},
    "review_alerts": {"seat": "counter-1"},
    "seen": {"rows": [{"staff_number": "1003", "place": "gate", "at": "2027-03-04T13:05:00+09:00"}]},
    "roster_stage": {"digest": "0" * 64, "at": 0, "rows": []},
    "roster_import": {"digest": "0" * 64},
    "carryout_request": {"kind": "file", "rows": 1, "purpose": "p", "destination": "d", "session": "ses_1"},
    "carryout_approve": {"carryout": "co_1", "session": "ses_1"},
    "carryout_use": {"kind": "file", "destination": "d", "capability": "c", "rows": 1, "session": "ses_1"},
    "carryout_exported": {"carryout": "co_1", "rows": 1, "canaries": 0, "file": "0" * 64, "prints": "0" * 64},
    "carryout_baseline": {"carryout": "co_1", "name": "n", "rows": 1, "file": "0" * 64, "prints": "0" * 64},
    "carryout_close": {"carryout": "co_1", "how": "erased", "seat": "counter-1"},
    "flag_request": {"seat": "counter-1", "change": "set", "record": "20481"},
    "flag_approve": {"request": "req_1", "seat": "counter-1"},
    "flag_ask": {"seat": "counter-1", "record": "20481", "purpose": "enquiry"},
    "flag_match": {"records": ["20481"]},
    "flag_follow": {"after": 0},
    "flag_held": {"version": 0},
    "look": {"session": "ses_1", "record": "1", "nonce": "0123456789abcdef", "at": "2026-11-22T00:00:00Z"},
    "unmask": {"look": "look_1", "purpose": "certificate", "shown": "x", "answers": {"screen": "read"}},
    "look_up": {"about": "seat:counter-1"},
    "certificate": {"session": "ses_1", "key": "B" * 87},
    "assertion": {"session": "ses_1"},
    "id_token": {"session": "ses_1"},
    "logout_token": {"session": "ses_1"},
    "security_event": {"seq": 1},
    "unattributed_look": {"source": "weblog"},
    "unattributed_sessions": {"from": "2026-11-22T00:00:00Z", "to": "2026-11-22T01:00:00Z"},
    "unattributed_found": {
        "source": "postgresql",
        "why": "shared",
        "account": "juki",
        "address": "10.0.0.5",
        "since": "2026-11-22T00:00:00Z",
    },
    "unattributed_ended": {"found": 1, "how": "cut"},
    "credential_noted": {"what": "sealed", "account": "staff_1042", "version": 1, "digest": "0" * 64},
    "view": {"session": "ses_1", "record": "1", "nonce": "0123456789abcdef", "at": "2026-11-22T00:00:00Z"},
}
PEERS = {Role.SCREEN: SCREEN, Role.APPLICATION: RESIDENT, Role.ADMIN: ADMIN}


def request(verb: str, number: int = 1, /, **members: object) -> bytes:
    return json.dumps({"id": number, "verb": verb, **MEMBERS.get(verb, {}), **members}).encode()


class Talking:
    """One conversation over a wire in memory."""

    def __init__(self, peer: Peer | None) -> None:
        self.peer = peer
        self.frames: list[dict[str, object]] = []
        self.reading = True
        self.in_vain = asyncio.Event()
        self.more = asyncio.Event()
        self.closed = asyncio.Event()

    def offer(self, frame: bytes) -> bool:
        if not self.reading:
            self.in_vain.set()
            return False
        self.frames.append(json.loads(frame))
        self.more.set()
        return True

    async def writable(self) -> None:
        await asyncio.sleep(0.001)

    async def hear(self, frame: bytes, count: int = 1) -> list[dict[str, object]]:
        """Say something; return the next `count` frames that come back."""
        self.frames.clear()
        self.conversation.hear(frame)
        return await self.next(count)

    async def next(self, count: int = 1) -> list[dict[str, object]]:
        while len(self.frames) < count:
            self.more.clear()
            await self.more.wait()
        return self.frames

    @asynccontextmanager
    async def at(self, host: World) -> AsyncGenerator[None, None]:
        async with asyncio.TaskGroup() as group:
            self.conversation = Conversation(host.desk, self, lambda: self.peer, group, self.closed.set)
            yield
            self.conversation.close()


def test_every_verb_is_in_the_table() -> None:
    assert set(VERBS) == set(requests.CALLS.values())
    assert set(PERMITTED) == set(requests.CALLS)


@pytest.mark.parametrize("verb", sorted(PERMITTED))
@pytest.mark.parametrize("role", list(Role))
def test_who_may_say_what(verb: str, role: Role) -> None:
    call = requests.decode(request(verb))
    if role in PERMITTED[verb]:
        assert authorise(PEERS[role], call, VERBS[type(call)]) is PEERS[role]
    else:
        with pytest.raises(Refused, match="not_permitted"):
            authorise(PEERS[role], call, VERBS[type(call)])


@pytest.mark.parametrize("verb", [verb for verb, members in MEMBERS.items() if "seat" in members])
@pytest.mark.parametrize("role", [Role.SCREEN, Role.APPLICATION])
def test_nobody_speaks_of_another_seat(verb: str, role: Role) -> None:
    call = requests.decode(request(verb, seat="counter-2"))
    with pytest.raises(Refused, match="not_permitted"):
        authorise(PEERS[role], call, VERBS[type(call)])


@pytest.mark.parametrize("verb", sorted(PERMITTED))
def test_a_revoked_key_may_say_nothing(verb: str) -> None:
    call = requests.decode(request(verb))
    with pytest.raises(Refused, match="not_permitted"):
        authorise(None, call, VERBS[type(call)])


@pytest.mark.parametrize("role", list(Role))
async def test_what_is_not_permitted_reaches_nothing_and_is_counted(host: World, role: Role) -> None:
    talking = Talking(PEERS[role])
    forbidden = [verb for verb, roles in PERMITTED.items() if role not in roles]
    async with talking.at(host):
        for verb in forbidden:
            (answer,) = await talking.hear(request(verb))
            assert answer["error"] == "not_permitted"
    assert host.house.calls == []
    assert host.tally.unauthorised == len(forbidden)


async def test_who_is_told_within_the_scope(host: World) -> None:
    host.house.open(ONE, SATO)
    talking = Talking(host.directory.of_key(host.resident.public))
    async with talking.at(host):
        (answer,) = await talking.hear(request("who", 5))
    assert answer["id"] == 5
    assert answer["person"] == {"name": "佐藤 花子", "section": "resident"}
    assert (answer["session"], answer["grade"], answer["state"]) == ("ses_1", "B", "active")


@pytest.mark.parametrize("verb", ["follow", "stop"])
async def test_who_goes_before_a_request_is_begun_leaves_nothing_unfinished(host: World, verb: str) -> None:
    """A coroutine that is never awaited is a warning, which pytest makes an error of."""
    talking = Talking(ADMIN)
    async with talking.at(host):
        talking.conversation.hear(request(verb))
        talking.conversation.close()
        await asyncio.sleep(0)
        gc.collect()
    assert host.house.calls == []


async def test_malformed_requests_are_answered_and_counted(host: World) -> None:
    talking = Talking(ADMIN)
    async with talking.at(host):
        (answer,) = await talking.hear(b"nonsense")
        assert (answer["id"], answer["error"]) == (None, "bad_request")
        (answer,) = await talking.hear(b'{"id":4,"verb":"unlock"}')
        assert (answer["id"], answer["error"]) == (4, "unknown_verb")
        (answer,) = await talking.hear(b"x" * 70_000)
    assert (host.tally.malformed, host.tally.oversized) == (2, 1)
    assert host.house.calls == []


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (Refused(Error.REFUSED, "no officer"), "refused"),
        (LedgerDown("full"), "ledger_down"),
        (Unavailable("child"), "busy"),
        (RuntimeError("a bug"), "fault"),
    ],
)
async def test_what_the_house_raises_is_answered_and_the_conversation_lives(
    host: World, raised: Exception, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise raised

    def fail_at_once(*_: object) -> None:
        raise raised

    monkeypatch.setattr(host.house, "disable", fail)
    monkeypatch.setattr(host.house, "who", fail_at_once)
    talking = Talking(ADMIN)
    async with talking.at(host):
        (answer,) = await talking.hear(request("disable"))
        assert answer["error"] == error
        (answer,) = await talking.hear(request("who"))
        assert answer["error"] == error
        (answer,) = await talking.hear(request("ping"))
        assert answer["ok"]


async def test_a_screen_opens_an_application_with_a_ticket(host: World) -> None:
    session = host.house.open(ONE, SATO)
    screen_one, resident = Talking(SCREEN), Talking(RESIDENT)
    async with screen_one.at(host), resident.at(host):
        (opened,) = await screen_one.hear(request("ticket"))
        assert opened["url"] == f"http://127.0.0.1:8790/open?lang=ja&ticket={opened['ticket']}"
        (answer,) = await resident.hear(request("exchange", ticket=opened["ticket"]))
        assert (answer["session"], answer["seat"], answer["subject"]) == (session, ONE, SATO)
        (again,) = await resident.hear(request("exchange", ticket=opened["ticket"]))
        assert again["error"] == "not_found"


async def test_a_ticket_is_worth_nothing_to_another_application(host: World) -> None:
    host.house.open(ONE, SATO)
    screen_one, tax = Talking(SCREEN), Talking(Peer(Role.APPLICATION, "tax", frozenset({ONE, TWO})))
    async with screen_one.at(host), tax.at(host):
        (opened,) = await screen_one.hear(request("ticket"))
        (answer,) = await tax.hear(request("exchange", ticket=opened["ticket"]))
    assert answer["error"] == "not_found"


async def test_a_ticket_of_the_last_owner_is_worth_nothing(host: World) -> None:
    host.house.open(ONE, SATO)
    screen_one, resident = Talking(SCREEN), Talking(RESIDENT)
    async with screen_one.at(host), resident.at(host):
        (opened,) = await screen_one.hear(request("ticket"))
        host.house.end(ONE, EndReason.HANDOVER)
        host.house.open(ONE, ITO)
        (answer,) = await resident.hear(request("exchange", ticket=opened["ticket"]))
    assert answer["error"] == "not_found"


async def test_a_ticket_is_good_for_thirty_seconds(host: World, monkeypatch: pytest.MonkeyPatch) -> None:
    host.house.open(ONE, SATO)
    screen_one, resident = Talking(SCREEN), Talking(RESIDENT)
    async with screen_one.at(host), resident.at(host):
        (opened,) = await screen_one.hear(request("ticket"))
        later = Instant(host.desk.clock.now() + 31_000_000_000)
        monkeypatch.setattr(host.desk.clock, "now", lambda: later)
        (answer,) = await resident.hear(request("exchange", ticket=opened["ticket"]))
    assert answer["error"] == "expired"


@pytest.mark.parametrize("state", [state for state in SeatState if state is not SeatState.ACTIVE])
async def test_no_ticket_without_an_active_session(host: World, state: SeatState) -> None:
    host.house.seats[ONE] = Occupancy(ONE, state, SessionId("ses_1"), SATO)
    talking = Talking(SCREEN)
    async with talking.at(host):
        (answer,) = await talking.hear(request("ticket"))
    assert answer["error"] == "refused"


async def test_step_up_is_for_sessions_at_the_applications_own_seats(host: World) -> None:
    here, there = host.house.open(ONE, SATO), host.house.open(TWO, ITO)
    talking = Talking(RESIDENT)
    async with talking.at(host):
        (answer,) = await talking.hear(request("step_up", session=there))
        assert answer["error"] == "not_found"
        (answer,) = await talking.hear(request("step_up", session=here))
        assert answer["stepped_up"] is True
    assert [call for call in host.house.calls if call[0] == "step_up"] == [("step_up", ONE, here, "resident/view")]


@pytest.mark.parametrize("moment", ["2026-11-22", "yesterday", "2026-11-22T00:00:00"])
async def test_a_time_without_its_offset_is_no_time(host: World, moment: str) -> None:
    talking = Talking(ADMIN)
    async with talking.at(host):
        (answer,) = await talking.hear(request("history", **{"from": moment}))
    assert answer["error"] == "bad_request"


async def test_an_enrolment_is_streamed_and_can_be_abandoned(host: World) -> None:
    talking = Talking(ADMIN)
    async with talking.at(host):
        (step,) = await talking.hear(request("enrol", 2))
        assert str(step["item"]).startswith("{'step': 'present', 'done': 0.3, ")
        (answer,) = await talking.hear(request("cancel", 3, stream=2))
        assert answer["ok"]
        (answer,) = await talking.hear(request("cancel", 4, stream=2))
        assert answer["error"] == "not_found"
        host.house.gate.set()
        steps = await talking.hear(request("enrol", 5), 3)
    assert [step.get("item", step.get("end")) for step in steps][1:] == [
        {"step": "done", "done": 1.0, "hint": None, "subject": "sub_new", "finger": "", "left": None, "again": False},
        True,
    ]


async def test_unfinished_requests_are_bounded_and_ids_are_not_shared(host: World) -> None:
    talking = Talking(ADMIN)
    async with talking.at(host):
        for number in range(MOST_UNFINISHED):
            await talking.hear(request("enrol", number + 10))
        (answer,) = await talking.hear(request("enrol", 9))
        assert answer["error"] == "busy"
        await talking.hear(request("cancel", 1, stream=11))
        (answer,) = await talking.hear(request("enrol", 10))
        assert answer["error"] == "busy"
        (answer,) = await talking.hear(request("enrol", 9))
        assert "item" in answer
    assert host.tally.busy == 2


async def test_a_peer_that_hurries_is_told_so(host: World, monkeypatch: pytest.MonkeyPatch) -> None:
    now = host.desk.clock.now()
    monkeypatch.setattr(host.desk.clock, "now", lambda: now)
    talking = Talking(ADMIN)
    async with talking.at(host):
        for number in range(RATE):
            talking.conversation.hear(request("ping", number))
        (answer,) = await talking.hear(request("stop"))
    assert answer["error"] == "busy"
    assert host.house.calls == []


def test_a_bucket_fills_again() -> None:
    bucket = Bucket(Instant(0))
    assert all(bucket.take(Instant(0)) for _ in range(RATE))
    assert not bucket.take(Instant(0))
    assert bucket.take(Instant(1_000_000))
    assert sum(bucket.take(Instant(10**12)) for _ in range(2 * RATE)) == RATE


async def test_a_lock_overtakes_what_waits_to_be_read(host: World) -> None:
    talking = Talking(ADMIN)
    async with talking.at(host):
        await talking.hear(request("follow", 2, after=0), 2)
        talking.frames.clear()
        talking.reading = False
        for _ in range(50):
            host.house.open(ONE, SATO)
            host.ledger.append(Entry(Kind.SESSION_FADING, ONE))
        await talking.in_vain.wait()
        host.house.end(ONE)
        talking.reading = True
        await talking.next(20)
    assert "lock" in talking.frames[0]
    assert all("event" in frame for frame in talking.frames[1:20])


async def test_a_peer_that_does_not_read_is_cut_with_a_word(host: World) -> None:
    talking = Talking(ADMIN)
    async with talking.at(host):
        await talking.hear(request("enrol", 7))
        talking.reading = False
        for number in range(1_001):
            talking.conversation.hear(request("ping", number + 100))
        talking.frames.clear()
        talking.reading = True
        await talking.closed.wait()
        talking.conversation.hear(request("stop"))
    assert talking.frames == [{"id": 7, "ok": False, "error": "slow", "message": "cut: it was not read"}]
    assert host.tally.slow == 1
    assert ("stop",) not in host.house.calls


async def test_what_is_typed_reaches_the_house_and_no_answer(host: World) -> None:
    talking = Talking(SCREEN)
    async with talking.at(host):
        (answer,) = await talking.hear(request("answer"))
    assert answer == {"id": 1, "ok": True}
    assert host.house.typed == ["1234"]
    assert "1234" not in repr(requests.decode(request("answer")))


@pytest.mark.parametrize("typed", ["", "9" * 65, 1234, None])
async def test_what_nobody_types_is_refused_without_being_repeated(host: World, typed: object) -> None:
    talking = Talking(SCREEN)
    async with talking.at(host):
        (answer,) = await talking.hear(request("answer", typed=typed))
    assert answer["error"] == "bad_request"
    assert "1234" not in str(answer)
    assert "999" not in str(answer)


async def test_the_tiles_carry_names_by_their_reading(host: World) -> None:
    talking = Talking(SCREEN)
    async with talking.at(host):
        (answer,) = await talking.hear(request("roster"))
    assert answer["people"] == [
        {"subject": "sub_ito", "name": "伊藤 健", "kana": "イトウ ケン"},
        {"subject": "sub_sato", "name": "佐藤 花子", "kana": "サトウ ハナコ"},
    ]


@pytest.mark.parametrize("by", [{"subject": "sub_ito"}, {"subject": None, "staff_number": "1002"}])
async def test_a_person_is_named_by_tile_or_by_number(host: World, by: dict[str, object]) -> None:
    talking = Talking(SCREEN)
    async with talking.at(host):
        (answer,) = await talking.hear(request("claim", **by))
    assert answer["ok"]
    assert host.house.calls == [("claim", "counter-1", "sub_ito")]


@pytest.mark.parametrize("by", [{"subject": "sub_x"}, {"subject": None, "staff_number": "9"}, {"subject": None}])
async def test_nobody_is_named_who_is_not_of_the_seat(host: World, by: dict[str, object]) -> None:
    talking = Talking(SCREEN)
    async with talking.at(host):
        (answer,) = await talking.hear(request("claim", **by))
    assert answer["error"] == "not_found"
    assert host.house.calls == []


async def test_a_browser_is_told_what_to_ask_of_a_key(host: World) -> None:
    talking = Talking(SCREEN)
    async with talking.at(host):
        (answer,) = await talking.hear(request("webauthn_begin"))
        assert (answer["kind"], answer["options"]) == ("get", {"challenge": "AAAA", "allowCredentials": []})
        (answer,) = await talking.hear(request("webauthn_done", response='{"id": "x"}'))
        assert answer["ok"]
        (answer,) = await talking.hear(request("webauthn_done", response="é" * 40_000))
        assert answer["error"] == "bad_request"
    assert host.house.calls == [("signed", "counter-1", '{"id": "x"}')]


async def test_a_screen_that_watches_is_known_to(host: World) -> None:
    talking = Talking(SCREEN)
    async with talking.at(host):
        await talking.hear(request("watch"))
        assert host.house.watchers["counter-1"] == 1  # type: ignore[index]  # a seat's id is a string
        await talking.hear(request("cancel", 2, stream=1), 2)
        assert host.house.watchers["counter-1"] == 0  # type: ignore[index]  # a seat's id is a string


async def test_a_step_up_may_ask_for_more_and_for_less(host: World) -> None:
    session = host.house.open(ONE, SATO)
    talking = Talking(RESIDENT)
    terms = {"session": session, "acr_values": ["authd:two", "authd:one"], "max_age": 60}
    async with talking.at(host):
        (answer,) = await talking.hear(request("step_up", **terms))
    assert answer["stepped_up"]
    assert host.house.calls[-1] == ("step_up", ONE, session, "resident/view", "authd:two", "60")


@pytest.mark.parametrize("terms", [{"acr_values": ["urn:x"]}, {"max_age": -1}, {"max_age": 50_000}])
def test_terms_that_nobody_can_keep_are_refused(terms: dict[str, object]) -> None:
    with pytest.raises(requests.Malformed):
        requests.decode(request("step_up", **terms))


async def test_what_somebody_holds_is_told_and_revoked(host: World) -> None:
    talking = Talking(ADMIN)
    async with talking.at(host):
        answers = await talking.hear(request("keys"), 3)
        assert [each["item"]["label"] for each in answers if "item" in each] == ["key-1", "key-2"]  # type: ignore[index]
        (answer,) = await talking.hear(request("revoke"))
        assert answer["ok"]
    assert host.house.calls == [("revoke", "tpl_1@1", "counter-1")]


async def test_what_was_opened_outside_the_rules_is_told_and_reviewed(host: World) -> None:
    talking = Talking(ADMIN)
    async with talking.at(host):
        answers = await talking.hear(request("breakglass"), 2)
        (item,) = [each["item"] for each in answers if "item" in each]
        assert item == {
            "session": "ses_1",
            "seat": "counter-1",
            "subject": "sub_sato",
            "helper": "sub_ito",
            "opened": "2026-11-22T00:00:00.000Z",
            "due": "2026-11-24",
            "reviewed": None,
            "officer": None,
            "late": True,
        }
        (answer,) = await talking.hear(request("review"))
        assert answer["ok"]
    assert host.house.calls == [("review", "ses_1", "counter-1")]
