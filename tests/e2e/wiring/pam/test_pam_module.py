"""The PAM module before a door that says what a test wants; built with the sanitizers, so that a leak is an error."""

from __future__ import annotations

import json
import os
import random
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from authd.pam.words import say, why
from authd.service.config import load
from tests.tools.howto import how_to, same, shell
from tests.tools.pam import (
    AUTH_ERR,
    AUTHINFO_UNAVAIL,
    MUST_FAIL,
    PERM_DENIED,
    SERVICE_ERR,
    SESSION_ERR,
    SUCCESS,
    YES,
    Built,
    Door,
    Script,
    Tried,
    raw,
    safe,
    says,
    watchers,
)
from tests.tools.pam.stage import PACKAGED

pytestmark = pytest.mark.real
SEAT = ("seat=counter-1", "application=login")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return Built(tmp_path_factory.mktemp("pam"))


@pytest.fixture
def door() -> Iterator[Door]:
    with Door() as made:
        yield made


def one(built: Built, door: Door, *options: str, user: str | None = None, **how: Any) -> Tried:
    services = built.service(door.folder / "pam.d", door.option, *SEAT, *options, what=how.get("what", "auth"))
    (tried,) = built.run(services, user, **how)
    return tried


def test_the_person_becomes_the_account(built: Built, door: Door) -> None:
    tried = one(built, door, "login")
    assert tried == Tried(SUCCESS, "staff_1001", "staff_1001", "ses_1", "sub_1")
    asked = {"id": 1, "verb": "authenticate", "seat": "counter-1", "application": "login", "service": "seat"}
    assert door.asked == [asked | {"within": 30, "login": True}]


def test_an_account_that_was_named_is_asked_for(built: Built, door: Door) -> None:
    assert one(built, door, "max_age=60", "acr=two", "timeout=5", user="staff_1001").result == SUCCESS
    found = door.asked[0]
    assert (found["user"], found["max_age"], found["acr"], found["within"]) == ("staff_1001", 60, "authd:two", 5)
    assert "login" not in found


def test_a_yes_for_somebody_else_than_was_asked_for_is_no_yes(built: Built, door: Door) -> None:
    assert one(built, door, user="staff_1002").result == AUTH_ERR


def test_a_shared_account_is_kept_and_the_person_stands_beside_it(built: Built, door: Door) -> None:
    tried = one(built, door, "keep_user", user="counter")
    assert (tried.result, tried.user, tried.account) == (SUCCESS, "counter", "staff_1001")
    assert "user" not in door.asked[0]


@pytest.mark.parametrize("outcome", ["other", "nobody", "late", "refused", "ended", "no_account"])
def test_a_wrong_person_is_told_from_a_daemon_that_cannot(built: Built, door: Door, outcome: str) -> None:
    door.script = says({"item": {"say": "waiting"}}, {"beat": 0}, {"item": {"outcome": outcome}})
    tried = one(built, door, user="staff_1001")
    assert (tried.result, tried.user, tried.account) == (AUTH_ERR, "staff_1001", "")
    assert tried.said == [say("waiting", "en"), why(outcome, "en")]


def test_what_is_said_is_japanese_where_the_terminal_is(built: Built, door: Door) -> None:
    door.script = says({"item": {"say": "confirm"}}, {"item": {"say": "once_more"}}, {"item": {"outcome": "late"}})
    words = [say("confirm", "ja"), say("once_more", "ja"), why("late", "ja")]
    assert one(built, door, language="ja_JP.UTF-8").said == words
    assert one(built, door, "lang=ja").said == words
    assert one(built, door, "lang=en", language="ja_JP.UTF-8").said == [
        say("confirm", "en"),
        say("once_more", "en"),
        why("late", "en"),
    ]
    assert one(built, door, "quiet").said == one(built, door, silent=True).said == []
    assert one(built, door, "cue", silent=True).said == [
        say("confirm", "en"),
        say("once_more", "en"),
        why("late", "en"),
    ]


def test_a_reader_that_is_away_is_nobodys_fault(built: Built, door: Door) -> None:
    door.script = says({"item": {"outcome": "unavailable"}})
    assert one(built, door).result == AUTHINFO_UNAVAIL


def test_a_question_that_was_withdrawn_counts_for_nothing_and_against_nobody(built: Built, door: Door) -> None:
    """A stack with a password beside it: ours is ignored, so that no module counts a failure (KDE #483130)."""
    door.script = says({"item": {"outcome": "withdrawn"}})
    services = built.service(door.folder / "pam.d", door.option, *SEAT)
    with (services / "seat").open("a") as file:
        file.write("auth required pam_permit.so\n")
    assert built.run(services, "staff_1001")[0] == Tried(SUCCESS, "staff_1001", "", "", "")
    assert one(built, door).result == MUST_FAIL  # alone, it lets nobody in


def test_a_stack_can_withdraw_what_another_one_asks(built: Built, door: Door) -> None:
    door.script = raw(b'{"id":1,"ok":true,"withdrawn":1}\n')
    assert one(built, door, "withdraw").result == MUST_FAIL
    assert door.asked == [{"id": 1, "verb": "withdraw", "seat": "counter-1"}]


def test_the_account_phase_asks_who_is_there_and_wants_no_touch(built: Built, door: Door) -> None:
    assert one(built, door, user="staff_1001", what="account").result == SUCCESS
    assert door.asked[0]["present"] is True
    door.script = says({"item": {"outcome": "nobody"}})
    assert one(built, door, user="staff_1001", what="account").result == PERM_DENIED


@pytest.mark.parametrize("error", ["not_permitted", "unknown_verb", "bad_request", "not_found", "refused"])
def test_what_is_set_up_wrongly_is_neither(built: Built, door: Door, error: str) -> None:
    door.script = raw(json.dumps({"id": None, "ok": False, "error": error, "message": "x"}).encode() + b"\n")
    tried = one(built, door)
    assert (tried.result, tried.said) == (SERVICE_ERR, [why("setup", "en")])


@pytest.mark.parametrize("error", ["busy", "ledger_down", "fault", "slow", "something_new"])
def test_what_may_pass_is_a_daemon_that_is_down(built: Built, door: Door, error: str) -> None:
    door.script = raw(json.dumps({"id": 1, "ok": False, "error": error}).encode() + b"\n")
    tried = one(built, door)
    assert (tried.result, tried.said) == (AUTHINFO_UNAVAIL, [why("gone", "en")])


@pytest.mark.parametrize(
    "option",
    [
        "sea=counter-1",
        "seat=",
        "seat=a/b",
        'seat="',
        "timeout=0",
        "timeout=61",
        "timeout=1x",
        "max_age=-1",
        "lang=fr",
        "acr=three",
        "socket=door.sock",
        "application=" + "a" * 65,
        "login=yes",
    ],
)  # fmt: skip - one list
def test_an_unknown_option_lets_nobody_in(built: Built, door: Door, option: str) -> None:
    assert one(built, door, option).result == SERVICE_ERR
    assert door.asked == []


@pytest.mark.parametrize("user", ["a b", '"', "a\\b", "../a", "佐藤", "-a", "1001", "a" * 64, "a\nb"])
def test_a_name_that_is_no_account_is_not_even_asked_for(built: Built, door: Door, user: str) -> None:
    assert one(built, door, user=user).result == AUTH_ERR
    assert door.asked == []


@pytest.mark.parametrize(("host", "asks"), [("", 1), ("localhost", 1), ("::1", 1), ("[local]", 1), ("192.0.2.7", 0)])
def test_a_touch_here_is_not_for_a_login_from_elsewhere(built: Built, door: Door, host: str, asks: int) -> None:
    assert one(built, door, host=host).result == (SUCCESS if asks else AUTH_ERR)
    assert len(door.asked) == asks
    assert one(built, door, "any_host", host=host).result == SUCCESS


@pytest.mark.parametrize("conversation", ["refuses", "mute"])
def test_an_application_that_cannot_show_anything_is_served_all_the_same(
    built: Built, door: Door, conversation: str
) -> None:
    door.script = says(*[{"item": {"say": "once_more"}}] * 5, {"item": YES})
    assert one(built, door, conversation=conversation).result == SUCCESS


def test_nobody_there_is_a_daemon_that_is_down(built: Built, tmp_path: Path) -> None:
    services = built.service(tmp_path / "pam.d", f"socket={tmp_path}/none.sock", *SEAT)
    assert built.run(services)[0].result == AUTHINFO_UNAVAIL


def test_a_daemon_that_falls_silent_is_given_up_after_two_seconds(built: Built, door: Door) -> None:
    door.script = says({"beat": 0})
    assert one(built, door).result == AUTHINFO_UNAVAIL


def test_a_socket_in_a_folder_that_others_may_write_is_not_believed(built: Built, door: Door) -> None:
    services = built.service(door.folder / "pam.d", door.option, *SEAT)
    door.folder.chmod(0o777)
    assert built.run(services)[0].result == AUTHINFO_UNAVAIL
    assert door.asked == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_socket_of_another_account_than_the_folders_is_not_believed(built: Built, door: Door) -> None:
    services = built.service(door.folder / "pam.d", door.option, *SEAT)
    os.chown(door.folder, 4_001, -1)
    assert built.run(services)[0].result == AUTHINFO_UNAVAIL
    assert door.asked == []


def test_a_door_that_hangs_up_at_once_kills_no_application(built: Built, door: Door) -> None:
    """SIGPIPE would: 200 connections that are closed before anything was read."""
    door.deaf = True
    services = built.service(door.folder / "pam.d", door.option, *SEAT)
    assert {each.result for each in built.run(services, times=200)} == {AUTHINFO_UNAVAIL}


def test_signals_that_interrupt_every_wait_change_nothing(built: Built, door: Door) -> None:
    """A handler of the application's returns every millisecond, while the door speaks in pieces of a few bytes."""

    def slowly(connection: socket.socket, request: dict[str, Any]) -> None:
        lines = b"".join(json.dumps({"id": 1, **each}).encode() + b"\n" for each in ({"ok": True}, {"item": YES}))
        for at in range(0, len(lines), 4):
            connection.sendall(lines[at : at + 4])
            time.sleep(0.002)  # not to wait for anything: the pieces are to come apart

    door.script = slowly
    tried = one(built, door, "login", interrupted=True)
    assert (tried.result, tried.user) == (SUCCESS, "staff_1001")
    assert tried.interrupted > 10
    door.script = says({"item": {"outcome": "late"}})
    assert one(built, door, interrupted=True).result == AUTH_ERR
    tried = opened(built, door, says({"item": YES}), interrupted=True)
    assert tried.result == SUCCESS, tried


def opened(built: Built, door: Door, then: Script, program: Path | None = None, **how: Any) -> Tried:
    """Let a person in, and open their session. then: what the door says to the program that would end it."""
    if os.geteuid() != 0:
        pytest.fail("run as root: whoever is to end a login has to be")

    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        (then if request.get("present") else says({"item": YES}))(connection, request)

    door.script = script
    services = door.folder / "pam.d"
    line = f"required {built.module} {door.option} {' '.join(SEAT)} hang_up={program or built.hang_up}"
    services.mkdir(exist_ok=True)
    (services / "seat").write_text(f"auth {line}\nsession {line}\n")
    (tried,) = built.run(services, what="session", **how)
    until = time.monotonic() + 30
    while watchers(built.hang_up) and time.monotonic() < until:
        time.sleep(0.01)
    assert watchers(built.hang_up) == []
    return tried


def test_a_session_is_watched_and_nobody_watches_once_it_is_closed(built: Built, door: Door) -> None:
    assert opened(built, door, says({"item": YES})).result == SUCCESS
    asked = {"id": 1, "verb": "authenticate", "seat": "counter-1", "application": "login", "user": "staff_1001"}
    assert door.asked[1] == asked | {"within": 1, "present": True}


@pytest.mark.parametrize(
    "item", [{"outcome": "nobody"}, {"outcome": "other"}, {**YES, "session": "ses_2"}, {"outcome": "no_account"}]
)
def test_a_lock_between_the_touch_and_the_session_lets_nobody_in(
    built: Built, door: Door, item: dict[str, str]
) -> None:
    tried = opened(built, door, says({"item": item}))
    assert (tried.result, tried.said) == (SESSION_ERR, [why("ended", "en")])


@pytest.mark.parametrize("item", [{"outcome": "unavailable"}, {"outcome": "yes"}, {"account": "staff_1001"}])
def test_a_session_of_which_nobody_can_say_that_it_lasts_is_not_opened(
    built: Built, door: Door, item: dict[str, str]
) -> None:
    tried = opened(built, door, says({"item": item}, {"end": True}))
    assert tried.result == SESSION_ERR


def test_a_login_that_nothing_would_end_is_none(built: Built, door: Door, tmp_path: Path) -> None:
    for program in (tmp_path / "none", Path("/bin/true")):
        tried = opened(built, door, says({"item": YES}), program)
        assert (tried.result, tried.said) == (SESSION_ERR, [why("setup", "en")])


def test_whoever_was_let_in_by_something_else_is_not_watched(built: Built, door: Door) -> None:
    services = built.service(door.folder / "pam.d", door.option, *SEAT, what="session")
    with (services / "seat").open("a") as file:
        file.write("auth required pam_permit.so\nsession required pam_permit.so\n")
    assert built.run(services, "root", what="session")[0].result == SUCCESS
    assert door.asked == []


WHOLE = b'"session":"s","subject":"s"}}\n'
BAD = {
    "nothing": b"\n",
    "no object": b"[]\n",
    "half an object": b'{"id":1,"ok":true\n',
    "an answer without a question": b'{"id":1,"item":{"outcome":"yes","account":"root"}}\n',
    "another question's answer": b'{"id":2,"ok":true}\n{"id":2,"item":{"outcome":"yes","account":"a"}}\n',
    "a yes beside the item": b'{"id":1,"ok":true}\n{"id":1,"outcome":"yes","account":"root"}\n{"id":1,"end":true}\n',
    "a yes inside something else": b'{"id":1,"ok":true}\n{"id":1,"x":{"item":{"outcome":"yes","account":"root"}}}\n',
    "a yes in a list": b'{"id":1,"ok":true}\n{"id":1,"item":[{"outcome":"yes","account":"root"}]}\n',
    "a yes in the acceptance": b'{"id":1,"ok":true,"item":{"outcome":"yes","account":"a","session":"s"}}\n',
    "two accounts": b'{"id":1,"ok":true}\n{"id":1,"item":{"outcome":"yes","account":"a","account":"root",' + WHOLE,
    "two outcomes": b'{"id":1,"ok":true}\n{"id":1,"item":{"outcome":"late","outcome":"yes","account":"root",' + WHOLE,
    "two numbers": b'{"id":2,"ok":true,"id":1}\n{"id":1,"item":{"outcome":"yes","account":"root",' + WHOLE,
    "a yes without an account": b'{"id":1,"ok":true}\n{"id":1,"item":{"outcome":"yes"}}\n',
    "a yes without a session": b'{"id":1,"ok":true}\n{"id":1,"item":{"outcome":"yes","account":"a"}}\n',
    "an account that is a path": b'{"id":1,"ok":true}\n{"id":1,"item":{"outcome":"yes","account":"../a",'
    b'"session":"s","subject":"s"}}\n',
    "an account with an escape": b'{"id":1,"ok":true}\n{"id":1,"item":{"outcome":"yes","account":"ro\\u006ft",'
    b'"session":"s","subject":"s"}}\n',
    "an account of 64 letters": b'{"id":1,"ok":true}\n{"id":1,"item":{"outcome":"yes","account":"' + b"a" * 64 + b'",'
    b'"session":"s","subject":"s"}}\n',
    "a line without end": b'{"id":1,"ok":true,"x":"' + b"a" * 100_000,
    "deeper than anything": b'{"id":1,"ok":true,"x":' + b"[" * 3_000 + b"\n",
    "a NUL": b'{"id":1,"ok":true}\0\n',
    "a number beyond numbers": b'{"id":99999999999999999999999999,"ok":true}\n',
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_answer_is_a_daemon_that_is_down(built: Built, door: Door, name: str) -> None:
    door.script = raw(BAD[name])
    assert one(built, door).result == AUTHINFO_UNAVAIL


GOOD = (
    b'{"id":1,"ok":true,"seat":"counter-1"}\n',
    b'{"id":1,"beat":0}\n',
    b'{"id":1,"item":{"say":"waiting"}}\n',
    b'{"id":1,"item":{"outcome":"yes","account":"staff_1001","session":"ses_1","subject":"sub_1"}}\n',
    b'{"id":1,"end":true}\n',
    b'{"id":null,"ok":false,"error":"busy","message":"\\u6e05 \\"x\\""}\n',
)


def mutated(dice: random.Random) -> bytes:
    """The lines of an honest door, cut, repeated, turned round and bitten into."""
    data = bytearray(b"".join(dice.choice(GOOD) for _ in range(dice.randint(1, 5))))
    for _ in range(dice.randint(0, 6)):
        at = dice.randrange(len(data) + 1)
        match dice.randrange(5):
            case 0 if data:
                data[at % len(data)] = dice.randrange(256)
            case 1:
                data[at:at] = bytes(dice.choices(b'{}[]",:\\u0\n\0eE+-.1tfn', k=dice.randint(1, 8)))
            case 2:
                del data[at : at + dice.randint(1, 20)]
            case 3:
                data[at:at] = data[: dice.randint(0, 60)]
            case _:
                data[at:at] = dice.choice((b"[" * 50, b"a" * 5_000, b'{"item":' * 20, b'"account":"root",'))
    return bytes(data)


def test_no_answer_of_any_door_breaks_the_parser(built: Built) -> None:
    """60,000 lines, each in a block of just its size, under the sanitizers."""
    dice = random.Random(6)
    lines = [line for _ in range(15_000) for line in mutated(dice).split(b"\n")[:4]]
    records = b"".join(struct.pack("=I", len(line)) + line for line in lines)
    done = subprocess.run([str(built.parser)], input=records, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-4_000:].decode(errors="replace")
    taken = [line for line, good in zip(lines, done.stdout, strict=True) if good == ord("1")]
    assert len(taken) > 1_000
    for line in taken:  # whatever is taken is JSON to others as well
        assert isinstance(json.loads(line.decode("utf-8", "replace"), strict=True), dict)


@pytest.mark.parametrize("member", ["error", "say", "outcome", "account", "session", "subject"])
def test_a_word_is_as_long_as_its_place_and_no_longer(built: Built, member: str) -> None:
    shape = '{"id":1,"error":"%s"}' if member == "error" else '{"id":1,"item":{"' + member + '":"%s"}}'
    lines = [(shape % ("x" * size)).encode() for size in (0, 1, 63, 64, 65, 66, 70)]
    records = b"".join(struct.pack("=I", len(line)) + line for line in lines)
    done = subprocess.run([str(built.parser)], input=records, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, b"1111000")


def test_no_answer_of_any_door_lets_anybody_else_in(built: Built, door: Door) -> None:
    dice, sent = random.Random(9), list[bytes]()

    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        sent.append(mutated(dice))
        connection.sendall(sent[-1])

    door.script = script
    services = built.service(door.folder / "pam.d", door.option, *SEAT)
    found = built.run(services, times=1_500)
    assert len(found) == len(sent) == 1_500
    assert {each.result for each in found} >= {SUCCESS, AUTHINFO_UNAVAIL}
    for each, data in zip(found, sent, strict=True):
        if each.result == SUCCESS:
            assert safe(each.account)
            assert each.account == each.user
            assert f'"account":"{each.account}"'.encode() in data
            assert b'"outcome":"yes"' in data
        else:
            assert (each.user, each.account) == ("", "")


def test_pam_exec_has_a_helper_that_asks_the_same(door: Door) -> None:
    words = [sys.executable, "-I", "-m", "authd.pam", door.option, *SEAT, "lang=ja"]
    environment = {"PAM_USER": "staff_1001", "PAM_SERVICE": "login", "PATH": os.environ["PATH"]}

    def run(**more: str) -> tuple[int, str]:
        done = subprocess.run(
            words, env=environment | more, capture_output=True, text=True, encoding="utf-8", timeout=60, check=False
        )
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout.strip()

    assert run() == (0, "")
    assert (door.asked[0]["user"], door.asked[0]["service"], door.asked[0]["seat"]) == (
        "staff_1001",
        "login",
        "counter-1",
    )
    assert run(PAM_USER="staff_1002") == (1, why("other", "ja"))
    assert run(PAM_RHOST="192.0.2.7") == (1, why("elsewhere", "ja"))
    door.script = says({"item": {"say": "confirm"}}, {"item": {"outcome": "late"}})
    assert run() == (1, f"{say('confirm', 'ja')}\n{why('late', 'ja')}")
    door.script = raw(b'{"id":1,"ok":false,"error":"not_found"}\n')
    assert run() == (2, why("setup", "ja"))
    for data in BAD.values():
        door.script = raw(data)
        assert run()[0] in (1, 3), data


def test_the_page_shows_the_files_that_these_tests_have_used() -> None:
    page = how_to("pam")
    for path in sorted(PACKAGED.iterdir()):
        same(page, path.name, path)


def test_the_page_builds_the_module_and_its_configuration_is_one(tmp_path: Path) -> None:
    page = how_to("pam")
    build = page.commands()[0].splitlines()[0]
    assert shell(build, tmp_path, {"dist/pam": "made"}).stdout.split() == ["made/pam_authd_seat.so", "made/hang-up"]
    page.write(tmp_path)
    config = load(tmp_path / "authd.toml")
    assert (config.door_group, config.applications["db"].accounts) == ("authd-seat-door", ("postgres",))
