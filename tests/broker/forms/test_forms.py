import socket
import threading
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authd.broker.forms import FormRotator, FormSystem, Legacy, Outcome
from authd.broker.forms.browser import Browser, Unreachable, origin_of
from authd.broker.forms.page import read
from authd.broker.rotation import ChangeRefused, SystemSilent, rotate
from authd.broker.secret import Secret
from authd.broker.vault import Vault
from authd.client.tables import BadSettings, convert
from tests.broker.forms.old_web import TABLE, OldWeb, serving

HERE = Path("/")
KNOWN = "ひみつの言葉1"


@pytest.fixture
def web() -> Generator[OldWeb]:
    with serving({"staff_1042": KNOWN, "staff_1043": "b"}) as made:
        yield made


def system(web: OldWeb, **changes: object) -> FormSystem:
    return convert({**TABLE, "origin": web.origin, **changes}, FormSystem, "system.tax")


def test_signs_on_in_the_page_s_own_letters_and_off_again(web: OldWeb) -> None:
    outcome, visit = Legacy(system(web), HERE).sign_on("staff_1042", Secret(KNOWN))
    assert outcome is Outcome.DONE
    (cookie,) = visit.cookies
    assert web.sessions == {cookie.value: "staff_1042"}
    assert (cookie.name, cookie.path) == ("JSESSIONID", "/tax")
    visit.sign_off()
    assert web.sessions == {}


def test_a_wrong_password_is_wrong_and_nothing_else(web: OldWeb) -> None:
    outcome, _ = Legacy(system(web), HERE).sign_on("staff_1042", Secret("no"))
    assert outcome is Outcome.WRONG
    assert web.sessions == {}


def test_what_somebody_remembers_stops_working(web: OldWeb, tmp_path: Path) -> None:
    vault = Vault.create(tmp_path / "vault")
    vault.put("tax/staff_1042", Secret(KNOWN))
    rotator = FormRotator(system(web), HERE)
    rotate(vault, "tax/staff_1042", rotator)
    assert not rotator.opens("staff_1042", Secret(KNOWN))
    assert rotator.opens("staff_1042", vault.get("tax/staff_1042"))
    assert web.sessions == {}
    assert web.people["staff_1043"] == "b"


def test_an_answer_that_says_neither_yes_nor_no_is_no_answer(web: OldWeb) -> None:
    web.broken = lambda path: ("500 Internal Server Error", [], "ORA-00600") if path == "/tax/login.do" else None
    with pytest.raises(SystemSilent, match="neither"):
        FormRotator(system(web), HERE).opens("staff_1042", Secret(KNOWN))


def test_a_changed_page_is_said(web: OldWeb) -> None:
    sign_on = {**TABLE["sign_on"], "password": "passwd"}
    with pytest.raises(SystemSilent, match="no form with a field passwd"):
        FormRotator(system(web, sign_on=sign_on), HERE).opens("staff_1042", Secret(KNOWN))
    with pytest.raises(ChangeRefused, match="no page for a new password"):
        FormRotator(system(web, change=None), HERE).change("staff_1042", Secret(KNOWN), Secret("x"))


def test_an_application_that_refuses_the_new_one(web: OldWeb) -> None:
    with pytest.raises(ChangeRefused, match="does not say"):
        FormRotator(system(web), HERE).change("staff_1042", Secret(KNOWN), Secret("x" * 33))
    assert web.people["staff_1042"] == KNOWN


@pytest.mark.parametrize(
    "where", ["http://elsewhere.example/", "https://127.0.0.1/", "file:///etc/passwd", "//x.example"]
)
def test_nothing_typed_goes_to_another_origin(web: OldWeb, where: str) -> None:
    web.broken = lambda path: ("302 Found", [("Location", where)], "") if path == "/tax/login.do" else None
    with pytest.raises(Unreachable, match=r"another origin|neither"):
        Legacy(system(web), HERE).sign_on("staff_1042", Secret(KNOWN))
    form = f'<form action="{where}" method="post"><input name="pw"></form>'
    web.broken = lambda path: ("200 OK", [], form)
    with pytest.raises(Unreachable, match="another origin"):
        Legacy(system(web), HERE).sign_on("staff_1042", Secret(KNOWN))


def test_a_page_without_end_and_a_server_that_is_gone(web: OldWeb) -> None:
    web.broken = lambda path: ("200 OK", [], "x" * 1_048_577)
    with pytest.raises(Unreachable, match="longer than"):
        Legacy(system(web), HERE).sign_on("staff_1042", Secret(KNOWN))
    with pytest.raises(Unreachable, match="does not answer"):
        Browser("http://127.0.0.1:9", 1.0).get("/")


@pytest.mark.parametrize("where", ["//[", "http://[x/", "//[::1"])
def test_a_form_that_leads_to_no_address(web: OldWeb, where: str) -> None:
    """It ended the broker: nobody but `Unreachable` was expected at a sign-off."""
    form = f'<form action="{where}" method="post"><input name="pw"></form>'
    web.broken = lambda path: ("200 OK", [], form)
    with pytest.raises(Unreachable, match="no address"):
        Legacy(system(web), HERE).sign_on("staff_1042", Secret(KNOWN))


@pytest.mark.parametrize("status", [b"200 OK", b"500 Internal Server Error"])
def test_a_page_that_breaks_off(status: bytes) -> None:
    """That of an error raised IncompleteRead, or a time-out: nobody expected it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answer = b"HTTP/1.1 " + status + b"\r\nTransfer-Encoding: chunked\r\n\r\nff\r\ncut"
        told = threading.Thread(target=_tell, args=(listener, answer))
        told.start()
        with pytest.raises(Unreachable, match="IncompleteRead"):
            Browser(f"http://127.0.0.1:{listener.getsockname()[1]}", 60.0).get("/")
        told.join()


def _tell(listener: socket.socket, answer: bytes) -> None:
    caller, _ = listener.accept()
    with caller:
        caller.recv(65_536)
        caller.sendall(answer)


def test_redirects_in_a_circle_end(web: OldWeb) -> None:
    web.broken = lambda path: ("302 Found", [("Location", "/again")], "")
    assert Browser(web.origin, 5.0).get("/").status == 302


@pytest.mark.parametrize(
    "changes",
    [{"origin": "ftp://a"}, {"origin": "http://a/b"}, {"length": 4}, {"alphabet": "kana"}, {"sign_on": {}}, {"x": 1}],
)
def test_settings_that_cannot_be_meant(web: OldWeb, changes: dict[str, object]) -> None:
    with pytest.raises(BadSettings, match=r"system\.tax"):
        system(web, **changes)


@given(st.binary(max_size=400), st.sampled_from(["", "utf-8", "Shift_JIS", "zip", "idna", "utf-16", "\0", "x" * 50]))
def test_any_bytes_make_some_page(body: bytes, declared: str) -> None:
    read(200, "/", declared, body + b"<form><input name=a><form action='\xff'><input name=b type=")


@pytest.mark.parametrize("odd", ["<![x[", "<![x[ a ]]>", "<![CDATA[>", "&#" + "0" * 5_000, "&#" + "9" * 5_000 + ";"])
def test_what_python_s_own_parser_does_not_expect(odd: str) -> None:
    """It raised AssertionError and ValueError; a browser passes over it."""
    page = read(200, "/", "utf-8", f"<form><input name=a>{odd}><input name=b>".encode())
    assert [dict(form.fields) for form in page.forms] == [{"a": "", "b": ""}]


def test_origins() -> None:
    assert origin_of("http://a") == origin_of("http://a:80/x?y") != origin_of("https://a")
    assert origin_of("http://a:99999") == origin_of("javascript:1") == origin_of("//a") == ""
