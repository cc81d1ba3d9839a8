"""`authd.toml`: whatever is wrong with it is one line, `file:line: what is expected`."""

from __future__ import annotations

import re
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authd.core.model import ReaderId, SeatId
from authd.service import words
from authd.service.config import LONGEST, Config, ConfigError, load
from authd.service.parts import check
from authd.service.toml import LONGEST as LONGEST_LINE

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "configure.md"
WHOLE = """\
[host]
name = "ward-1"
state = "state"
run = "run"
simulate = true
[seat.counter-1]
name_ja = "窓口1"
class = "office"
section = "resident"
roster = ["resident", "tax"]
readers = ["vein-1", "presence-1"]
applications = ["resident"]
[reader.vein-1]
driver = "vein"
source = "/dev/video0"
[reader.presence-1]
driver = "presence"
[application.resident]
name_ja = "住民記録"
url = "http://127.0.0.1:8790/?legacy=1"
key = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
scope = ["name", "section"]
[section.resident]
name_ja = "市民課"
[door]
router = "tcp://127.0.0.1:5555"
[web]
listen = "127.0.0.1:8780"
frame_ancestors = ["http://127.0.0.1:8791"]
[policy]
folder = "policy"
settings = "/etc/authd-seat/settings.toml"
"""
LEAST = "[seat.a]\n"


def read(folder: Path, text: str | bytes) -> Config:
    path = folder / "authd.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(path)


def refusal(folder: Path, text: str | bytes) -> str:
    """The error, checked to be one line that begins with file and line; what comes after the file is returned."""
    with pytest.raises(ConfigError) as error:
        read(folder, text)
    line, file = str(error.value), f"{folder}/authd.toml:"
    assert line.startswith(file)
    assert line.isprintable()
    assert len(line) <= LONGEST_LINE
    assert re.match(r"\d+: ", line.removeprefix(file))
    return line.removeprefix(file)


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    config = read(tmp_path, WHOLE)
    seat = config.seats[SeatId("counter-1")]
    assert (seat.name_ja, seat.name_en, seat.seat_class, seat.section) == ("窓口1", "counter-1", "office", "resident")
    assert (seat.roster, seat.applications) == (("resident", "tax"), ("resident",))
    assert seat.readers == (ReaderId("vein-1"), ReaderId("presence-1"))
    assert dict(config.readers[ReaderId("vein-1")].settings) == {"source": "/dev/video0"}
    assert (config.host, config.simulate, config.lenient) == ("ward-1", True, False)
    assert (config.web_host, config.web_port) == ("127.0.0.1", 8780)
    assert config.frame_ancestors == ("http://127.0.0.1:8791",)
    assert config.router == "tcp://127.0.0.1:5555"
    assert config.sections == {"resident": ("市民課", "resident")}
    assert config.applications["resident"].scope == ("name", "section")


def test_an_application_that_is_no_page_needs_no_url(tmp_path: Path) -> None:
    assert read(tmp_path, LEAST + "[application.db]\naccounts = []\n").applications["db"].url == ""


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    config = read(tmp_path, WHOLE)
    assert (config.state, config.run, config.socket) == (
        tmp_path / "state",
        tmp_path / "run",
        tmp_path / "run" / "door.sock",
    )
    assert (config.policy, config.settings) == (tmp_path / "policy", Path("/etc/authd-seat/settings.toml"))


def test_the_least_file_has_the_defaults_of_a_counter_terminal(tmp_path: Path) -> None:
    config = read(tmp_path, LEAST)
    assert (config.state, config.run) == (Path("/var/lib/authd-seat"), Path("/run/authd-seat"))
    assert config.router == "ipc:///run/authd-seat/router.sock"
    assert (config.web_port, config.simulate, config.lenient) == (0, False, False)
    assert (config.policy, config.settings) == (None, None)
    assert config.seats[SeatId("a")].seat_class == "counter"
    assert (config.views_per_session, config.views_per_application) == (10, 50)


BROKEN = {
    "nothing": ("", "1: at least one [seat.NAME] is expected"),
    "no TOML": ("[seat.a\n", "1: expected TOML: "),
    "an end that is missing": ("[seat.a]\nreaders = [\n", "2: expected TOML: "),
    "nested too deeply": ("a = " + "[" * 5_000, "1: expected TOML"),
    "a number of 5,000 digits": ("a = " + "9" * 5_000, "1: expected TOML"),
    "an unknown table": (LEAST + "[seats.b]\n", "2: unknown key seats, expected one of: host, seat, reader"),
    "an unknown key of host": (LEAST + "[host]\nnmae = 'x'\n", "3: unknown key nmae, expected one of: name, state"),
    "an unknown key of a seat": (LEAST + "reader = []\n", "2: unknown key reader, expected one of: name_ja"),
    "an unknown key of the door": (LEAST + "[door]\nsocket = 'x'\n", "3: unknown key socket, expected one of: router"),
    "an unknown key of web": (LEAST + "[web]\nport = 1\n", "3: unknown key port"),
    "an unknown key of the policy": (LEAST + "[policy]\nfile = 'x'\n", "3: unknown key file"),
    "more views than a person opens": (
        LEAST + "[evidence]\nviews_per_session = 201\n",
        "3: views_per_session must be <= 200 (record views a second), got 201",
    ),
    "no views at all": (LEAST + "[evidence]\nviews_per_application = 0\n", "3: views_per_application must be >= 1"),
    "an unknown key of a section": (LEAST + "[section.x]\nname = 'x'\n", "3: unknown key name"),
    "an unknown key of an application": (LEAST + "[application.x]\nuri = 'x'\n", "3: unknown key uri"),
    "a table that is none": ("seat = 3\n", "1: seat must be a table, got 3"),
    "a seat that is no table": ("[seat]\na = 3\n", "2: seat.a must be a table, got 3"),
    "a list of seats": ("[[seat]]\nname_ja = 'x'\n", "1: seat must be a table"),
    "host that is none": ("host = 1\n" + LEAST, "1: host must be a table, got 1"),
    "a number for a word": (LEAST + "name_ja = 3\n", "2: name_ja must be a string, got 3"),
    "a word for a flag": (LEAST + "[host]\nsimulate = 'no'\n", "3: simulate must be true or false, got 'no'"),
    "a class that is none": (LEAST + "class = 'cafe'\n", "2: class must be one of counter, office, got 'cafe'"),
    "a word for a list": (LEAST + "readers = 'v'\n", "2: readers must be a list, got 'v'"),
    "a list of numbers": (LEAST + "readers = [1]\n", "2: readers must hold names of readers, got 1"),
    "a reader that is missing": (LEAST + "readers = ['v']\n", "2: reader 'v' has no [reader.v]"),
    "a reader at two seats": (
        LEAST + "readers = ['v']\n[seat.b]\nreaders = ['v']\n[reader.v]\ndriver = 'vein'\n",
        "4: reader 'v' already stands at seat 'a'",
    ),
    "a reader twice at one seat": (
        LEAST + "readers = ['v', 'v']\n[reader.v]\ndriver = 'vein'\n",
        "2: readers names 'v' twice",
    ),
    "an account that would be two peers": (
        '[door]\ngroup = "door"\n'
        + LEAST
        + 'account = "till"\n[application.x]\nurl = "http://a/"\naccounts = ["till"]\n',
        "7: account 'till' is already seat 'a'; an account is one of them only",
    ),
    "an account that cannot reach the door": (LEAST + 'account = "till"\n', '2: [door] group = "..." is expected'),
    "an application that is missing": (LEAST + "applications = ['x']\n", "2: 'x' has no [application.x]"),
    "a reader without driver": (LEAST + "[reader.v]\nsource = 'x'\n", "2: reader v needs driver"),
    "a driver that is a path": (LEAST + "[reader.v]\ndriver = '../v'\n", "3: reader v needs driver"),
    "a driver's setting that is no word": (LEAST + "[reader.v]\ndriver='v'\nn = 3\n", "4: n must be a string, got 3"),
    "a driver's setting of two lines": (LEAST + '[reader.v]\ndriver="v"\nn = "a\\nb"\n', "4: n must be one line"),
    "a url that is none": (LEAST + "[application.x]\nurl = 'http://[::1'\n", "3: url must be http://"),
    "a url of a script": (LEAST + "[application.x]\nurl = 'javascript:alert(1)'\n", "3: url must be http://"),
    "a url with an account": (LEAST + "[application.x]\nurl = 'http://a:b@c/'\n", "3: url must be http://"),
    "a url with a fragment": (LEAST + "[application.x]\nurl = 'http://a/#b'\n", "3: url must be http://"),
    "a url with another header": (LEAST + "[application.x]\nurl = 'http://a; script-src *'\n", "3: url must be"),
    "a port that is none": (LEAST + "[application.x]\nurl = 'http://a:99999/'\n", "3: url must be http://"),
    "a key that is none": (LEAST + "[application.x]\nurl = 'http://a/'\nkey = 'abc'\n", "4: key must be a CURVE"),
    "a key of two": (
        LEAST + f"[application.x]\nurl = 'http://a/'\nkey = '{'1' * 40}'\n"
        f"[application.y]\nurl = 'http://a/'\nkey = '{'1' * 40}'\n",
        "7: key is that of 'x'; its own is expected",
    ),
    "a scope that is none": (
        LEAST + "[application.x]\nurl = 'http://a/'\nscope = ['salary']\n",
        "4: scope must hold some of name, kana, section, staff_number, got 'salary'",
    ),
    "authd as an application": (LEAST + "[application.authd]\nurl = 'http://a/'\n", "2: application name 'authd' is"),
    "admin as an application": (LEAST + "[application.admin]\nurl = 'http://a/'\n", "2: application name 'admin' is"),
    "a page for everybody": (LEAST + "[web]\nlisten = '0.0.0.0:8780'\n", "3: listen must be 127.0.0.1:PORT"),
    "a page on no port": (LEAST + "[web]\nlisten = '127.0.0.1:0'\n", "3: listen must be 127.0.0.1:PORT"),
    "a page on a port of 5,000 digits": (LEAST + f"[web]\nlisten = '127.0.0.1:{'9' * 5_000}'\n", "3: listen must be"),
    "an ancestor that is a page": (LEAST + "[web]\nframe_ancestors = ['http://a/b']\n", "3: frame_ancestors must hold"),
    "an ancestor with a query": (LEAST + "[web]\nframe_ancestors = ['http://a?b']\n", "3: frame_ancestors must hold"),
    "an ancestor of another header": (LEAST + "[web]\nframe_ancestors = ['http://a; b']\n", "3: frame_ancestors"),
    "a router that is none": (LEAST + "[door]\nrouter = 'here'\n", "3: router must be ipc:///path"),
    "a state that is nowhere": (LEAST + "[host]\nstate = ''\n", "3: state must be a path, got ''"),
    "a state with a NUL": (LEAST + '[host]\nstate = "a\\u0000"\n', "3: state must be a path"),
    "a run folder too long for a socket": (LEAST + f"[host]\nrun = '/{'a' * 100}'\n", "3: run must be shorter"),
    "a host that is a path": (LEAST + "[host]\nname = '../b'\n", "3: name must be 1 to 40 of"),
    "a label that steers the terminal": (LEAST + 'name_ja = "\\u001b[2J"\n', "2: name_ja must be at most 100"),
    "a label that turns the line": (LEAST + 'name_ja = "\\u202e"\n', "2: name_ja must be at most 100"),
    "a label of a page": (LEAST + f"name_ja = '{'a' * 2_000}'\n", "2: name_ja must be at most 100"),
    "too many seats": ("".join(f"[seat.s{n}]\n" for n in range(33)), "33: at most 32 [seat.NAME], got 33"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_one_line_that_says_where_and_what(name: str, tmp_path: Path) -> None:
    text, expected = BROKEN[name]
    assert refusal(tmp_path, text).startswith(expected)


HOSTILE = ["", "../a", "a/b", ".", "A", "-a", "a-", "a b", "a\\u0000", "a\\n", "a\\u202e", "é", "e\\u0301", "a" * 41]


@pytest.mark.parametrize("table", ["seat", "reader", "application", "section"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_a_path_or_a_log_could_misread_is_refused(table: str, name: str, tmp_path: Path) -> None:
    assert f"{table} name must be 1 to 40 of" in refusal(tmp_path, f'{LEAST}[{table}."{name}"]\n')


def test_no_utf_8_is_said_with_its_line(tmp_path: Path) -> None:
    assert refusal(tmp_path, LEAST.encode() + b'name_ja = "\x91\x8b"\n') == "2: expected UTF-8"


def test_a_long_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    assert refusal(tmp_path, b"#" * 1_000_000) == f"1: expected at most {LONGEST} bytes"


def test_a_file_of_the_greatest_length_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, LEAST + "#" * (LONGEST - len(LEAST))).seats


def example() -> str:
    """The annotated file of the how-to page."""
    return PAGE.read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]


def test_the_example_of_the_page_can_be_used_as_it_is(tmp_path: Path) -> None:
    config = read(tmp_path, example())
    check(config)
    assert config.applications["resident"].scope == ("name", "section")


def test_the_page_shows_every_key_with_its_default(tmp_path: Path) -> None:
    shown = tomllib.loads(example())
    for table in ("host", "seat.counter-1", "application.resident", "door", "web", "policy", "section.resident"):
        expected = refusal(tmp_path, f"{LEAST}[{table}]\nno-key = 1\n").partition("expected one of: ")[2].split(", ")
        keys = shown
        for name in table.split("."):
            keys = keys[name]
        assert set(keys) == set(expected), table
    least = read(tmp_path, LEAST)
    assert (str(least.state), str(least.run)) == (shown["host"]["state"], shown["host"]["run"])
    assert next(iter(least.seats.values())).ladder == tuple(shown["seat"]["counter-1"]["ladder"])
    assert (least.router, least.tap) == (shown["door"]["router"], shown["door"]["tap"])


@pytest.mark.parametrize("there", ["nothing", "a folder"])
def test_a_file_that_cannot_be_read_is_said(there: str, tmp_path: Path) -> None:
    path = tmp_path / ("authd.toml" if there == "nothing" else "")
    with pytest.raises(ConfigError, match=r":1: expected a readable file: (No such file|Is a directory)"):
        load(path)


@given(st.text(max_size=60))
def test_no_text_breaks_a_check(text: str) -> None:
    for good in (words.is_url, words.is_host, words.is_endpoint, words.is_key, words.is_path, words.is_label):
        assert good(text) in (True, False)
    assert words.listens(text) is None


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_the_one_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    with suppress(ConfigError):
        read(tmp_path_factory.mktemp("config"), LEAST.encode() + data)


def test_a_file_that_may_not_be_read_says_as_whom_to_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigError, match="Permission denied; run this as root or as the account of authd"):
        load(tmp_path / "authd.toml")
