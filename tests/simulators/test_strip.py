"""The strip: its own page plays the devices, nobody else's does."""

import json

import pytest

from authd_simulators.bench import Bench
from authd_simulators.strip.__main__ import seat, with_key
from authd_simulators.strip.app import make_app
from tests.simulators.asgi import Answer, Browser

SEATS = [seat("http://127.0.0.1:8780", "counter-1,vein-1,presence-1,窓口1,Counter 1")]
OWN = {"origin": "http://127.0.0.1", "content-type": "text/plain"}


def browser(bench: Bench, host: str = "127.0.0.1") -> Browser:
    app = make_app(bench.control.path, SEATS, {"127.0.0.1"}, ["http://127.0.0.1:8780"], "<note>")
    return Browser(app, host)


async def order(bench: Bench, line: str) -> Answer:
    return await browser(bench).post("/command", line.encode(), OWN)


async def test_the_page_knows_the_people_and_the_seats(bench: Bench) -> None:
    answer = await browser(bench).get("/")
    known = json.loads(answer.text.split('type="application/json">')[1].split("</script>")[0])
    assert known["seats"][0]["url"] == "http://127.0.0.1:8780/seat/counter-1"
    assert len(known["people"]) == 12
    assert "&lt;note&gt;" in answer.text
    assert "frame-src http://127.0.0.1:8780" in answer.headers["content-security-policy"]


def test_a_seat_may_have_a_key() -> None:
    words = ["counter-2,key-2,TOUCH,中村 誠,2468", "counter-1,key-1,FINGER 2,伊藤 拓也,"]
    found = with_key(SEATS[0], words)
    assert (found.key, found.act, found.owner, found.pin) == ("key-1", "FINGER 2", "伊藤 拓也", "")
    assert with_key(SEATS[0], words[:1]) == SEATS[0]


async def test_no_request_leaves_the_machine(bench: Bench) -> None:
    for target in ("/", "/static/strip.css", "/static/strip.js"):
        text = (await browser(bench).get(target)).text.replace("http://127.0.0.1:8780", "")
        assert "http://" not in text
        assert "https://" not in text


async def test_a_command_reaches_the_device_and_its_state_comes_back(bench: Bench) -> None:
    assert json.loads((await order(bench, "presence-1 LEAVE")).text) == {"answer": "ok absent"}
    state = json.loads((await browser(bench).get("/state")).text)
    assert state["presence-1"]["present"] is False


@pytest.mark.parametrize("line", ["", "PEOPLE", "vein-1 TOUCH 1001\nvein-1 UNPLUG", "vein-1", "x" * 300, "vein-1 ; rm"])
async def test_what_is_no_command_goes_no_further(bench: Bench, line: str) -> None:
    assert (await order(bench, line)).status in (400, 413)


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"origin": "http://evil.example", "content-type": "text/plain"},
        {"origin": "http://127.0.0.1:8780", "content-type": "text/plain"},
        {"origin": "http://127.0.0.1", "content-type": "application/x-www-form-urlencoded"},
    ],
)
async def test_nobody_else_plays_the_devices(bench: Bench, headers: dict[str, str]) -> None:
    answer = await browser(bench).post("/command", b"vein-1 TOUCH 1001", headers)
    assert answer.status in (403, 415)
    assert bench.devices["vein-1"].status()["touches"] == 0


async def test_another_host_name_is_refused(bench: Bench) -> None:
    assert (await browser(bench, "evil.example").get("/state")).status == 421


async def test_a_bench_that_is_gone_is_said_plainly(bench: Bench) -> None:
    bench.control.close()
    assert (await browser(bench).get("/state")).status == 503
