"""An access log as it grows: what is read, what is not, and what a hostile line does."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authd.broker.unattributed.compare import Access
from authd.broker.unattributed.settings import Weblog
from authd.broker.unattributed.weblog import LONGEST, BadLine, WeblogSight, access

COMBINED = '10.0.0.5 - staff_1001 [24/Nov/2026:13:05:00 +0900] "GET /residents/20481 HTTP/1.1" 200 512 "-" "Mozilla"'
AT = 1_795_493_100_000
JSON = '{"time":"2026-11-24T13:05:00+09:00","account":"staff_1001","address":"10.0.0.5","status":200,"path":"/r/1"}'


def table(path: Path = Path("/dev/null"), **more: object) -> Weblog:
    return Weblog(application="resident", file=str(path), **more)  # type: ignore[arg-type] # the fields of the table


@pytest.mark.parametrize(("line", "form"), [(COMBINED, "combined"), (JSON, "json")])
def test_who_was_let_in_from_where_and_when(line: str, form: str) -> None:
    assert access(line, table(format=form), "site") == Access("staff_1001", "10.0.0.5", "site", AT, AT)


@pytest.mark.parametrize("status", ["301", "401", "403", "500"])
def test_whoever_was_not_let_in_is_nobody(status: str) -> None:
    assert access(COMBINED.replace(" 200 ", f" {status} "), table(), "site") is None


def test_a_connection_that_went_on_is_a_request_too() -> None:
    assert access(COMBINED.replace(" 200 ", " 101 "), table(), "site") is not None


def test_no_line_says_what_the_door_would_not_take() -> None:
    rules, far = table(format="json"), "fe80::1%" + "x" * 300
    found = access(JSON.replace("10.0.0.5", far), rules, "site")
    assert found is not None
    assert len(found.address) <= 100
    for time in ("9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+00:00"):
        with pytest.raises(BadLine):
            access(JSON.replace("2026-11-24T13:05:00+09:00", time), rules, "site")


def test_a_request_without_an_account_is_one() -> None:
    found = access(COMBINED.replace("staff_1001", "-"), table(), "site")
    assert found is not None
    assert found.account == ""


def test_pages_for_everybody_are_left_out_and_no_others() -> None:
    rules = table(open=["/static/"])
    assert access(COMBINED.replace("/residents/20481", "/static/seat.css?v=1"), rules, "s") is None
    for path in (
        "/static/../residents/1",
        "/static/%2e%2e/residents/1",
        "/static//x",
        "/residents/static/",
        "/Residents",
    ):
        assert access(COMBINED.replace("/residents/20481", path), rules, "s") is not None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "x",
        COMBINED.replace("24/Nov", "24/Foo"),
        COMBINED.replace(" +0900", ""),
        COMBINED.replace("10.0.0.5", "evil.example"),
        COMBINED.replace(" 200 ", " 20x "),
    ],
)
def test_what_cannot_be_read_is_not_guessed(line: str) -> None:
    with pytest.raises(BadLine):
        access(line, table(), "site")


@given(st.text(max_size=200) | st.text(max_size=60).map(lambda text: COMBINED.replace("staff_1001", text)))
def test_no_line_does_anything_else(line: str) -> None:
    for form in ("combined", "json"):
        try:
            found = access(line, table(format=form), "site")
        except BadLine:
            continue
        assert found is None or found.account.isprintable()


def test_a_quote_in_an_account_makes_no_other_line() -> None:
    line = COMBINED.replace("staff_1001", 'x" 200 [24/Nov/2026')
    with pytest.raises(BadLine):
        access(line, table(), "site")


def _accounts(sight: WeblogSight) -> list[str]:
    return [each.account for each in sight.look().accesses]


def _line(account: str) -> str:
    return COMBINED.replace("staff_1001", account) + "\n"


def test_only_what_is_written_from_now_on_is_read(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(_line("old"))
    sight = WeblogSight(table(log), "site")
    assert _accounts(sight) == []
    with log.open("a") as file:
        file.write(_line("a") + _line("b")[:-20])
        file.flush()
        assert _accounts(sight) == ["a"]
        file.write(_line("b")[-20:])
    assert _accounts(sight) == ["b"]
    sight.close()


def test_rotation_and_truncation_lose_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("")
    sight = WeblogSight(table(log), "site")
    assert _accounts(sight) == []
    log.write_text(_line("a"))
    log.rename(tmp_path / "log.1")
    log.write_text(_line("b"))
    assert _accounts(sight) == ["a", "b"]
    log.write_text(_line("c")[:40])  # cut and begun anew, in the middle of a line
    assert _accounts(sight) == []
    with log.open("a") as file:
        file.write(_line("c")[40:])
    assert _accounts(sight) == ["c"]
    sight.close()


def test_a_log_that_comes_later_is_read_from_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "log"
    sight = WeblogSight(table(log), "site")
    with pytest.raises(FileNotFoundError):
        sight.look()
    log.write_text(_line("a"))
    assert _accounts(sight) == ["a"]
    sight.close()


def test_a_line_without_end_is_counted_and_fills_no_memory(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("x" * (LONGEST * 3))
    sight = WeblogSight(table(log), "site", from_start=True)
    assert _accounts(sight) == []
    with log.open("a") as file:
        file.write("y\n" + _line("a"))
    looked = sight.look()
    assert ([each.account for each in looked.accesses], looked.unread) == (["a"], 1)
    sight.close()
