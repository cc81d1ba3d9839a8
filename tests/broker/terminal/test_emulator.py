import asyncio

import pytest

from authd.broker.secret import Secret
from authd.broker.settings import read
from authd.broker.terminal.emulator import LONGEST, ActionRefused, Emulator, EmulatorError, quoted
from authd.broker.terminal.settings import TerminalSettings, terminals
from authd.broker.terminal.signon import NoScreen, WrongPassword, connect, sign_off, sign_on
from authd.client.tables import BadSettings
from tests.broker.terminal.emulators import OK, scripted, shows

TERMS = TerminalSettings(
    seat="counter-1",
    application="host",
    port=4001,
    host="127.0.0.1:3270",
    screen="SIGN ON",
    user_at=(10, 34),
    password_at=(12, 34),
    done="MENU",
    wrong="INCORRECT",
    sign_off=("PF(3)",),
)


async def test_actions_and_their_answers() -> None:
    said: list[str] = []

    def answers(action: str) -> bytes:
        said.append(action)
        return b"data: no\nU F\nerror\n" if action == "Bogus()" else shows("a", "", "b")

    async with scripted(answers) as port:
        emulator = await Emulator.dial(port)
        assert await emulator.screen(5.0) == "a\n\nb"
        with pytest.raises(ActionRefused):
            await emulator.do("Bogus()", 5.0)
        with pytest.raises(ActionRefused, match="one line"):
            await emulator.do('String("a\nQuit()")', 5.0)
        await emulator.do("Enter()", 5.0)
        emulator.close()
    assert said == ["Ascii1()", "Bogus()", "Enter()"]


@pytest.mark.parametrize(
    "answer", [b"", b"x" * (LONGEST + 10), b"data: x\n" * 600, b"\n", b"\xff\xfe\n\n", b"ok", None, b"data: \n"]
)
async def test_an_emulator_that_says_anything_else_is_no_emulator(answer: bytes | None) -> None:
    async with scripted(lambda action: answer) as port:
        emulator = await Emulator.dial(port)
        with pytest.raises(EmulatorError) as told:
            await emulator.do(f"String({quoted('hunter2')})", 0.2)
        assert "hunter2" not in str(told.value)


async def test_nobody_at_the_port() -> None:
    with pytest.raises(EmulatorError, match="not there"):
        await Emulator.dial(9)


@pytest.mark.parametrize("text", ['a"b', "a\\b", 'a\\"', "Quit()", ""])
def test_what_is_typed_never_ends_its_own_quotes(text: str) -> None:
    inner = quoted(text)[1:-1]
    assert inner.replace("\\\\", "").replace('\\"', "").count('"') == 0
    assert quoted(text)[0] == quoted(text)[-1] == '"'


async def test_signs_on_where_the_settings_say_and_waits_for_the_host_s_word() -> None:
    said: list[str] = []

    def answers(action: str) -> bytes:
        said.append(action)
        if action == "Ascii1()":
            return shows("MAIN MENU" if "Enter()" in said else "SIGN ON")
        return OK

    async with scripted(answers) as port:
        emulator = await Emulator.dial(port)
        await connect(emulator, TERMS)
        await sign_on(emulator, TERMS, "s1042", Secret("PA\\SS"))
        await sign_off(emulator, TERMS)
        emulator.close()
    assert [each for each in said if each != "Ascii1()"] == [
        "Connect(127.0.0.1:3270)",
        "MoveCursor1(10,34)",
        "EraseEOF()",
        'String("S1042")',
        "MoveCursor1(12,34)",
        "EraseEOF()",
        'String("PA\\\\SS")',
        "Enter()",
        "PF(3)",
    ]


async def test_the_host_s_no_and_a_host_that_shows_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authd.broker.terminal.signon.LOOKS", 3)
    async with scripted(lambda action: shows("PASSWORD INCORRECT") if action == "Ascii1()" else OK) as port:
        emulator = await Emulator.dial(port)
        with pytest.raises(WrongPassword):
            await sign_on(emulator, TERMS, "s1042", Secret("a"))
        with pytest.raises(NoScreen):
            await connect(emulator, TERMS)
        emulator.close()


async def test_given_up_in_the_middle_the_connection_is_not_used_again() -> None:
    async with scripted(lambda action: None) as port:
        emulator = await Emulator.dial(port)
        asking = asyncio.ensure_future(emulator.do("Enter()", 30.0))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        with pytest.raises(EmulatorError):
            await emulator.do("Enter()", 5.0)


TABLE = """
[terminal.first]
seat = "counter-1"
application = "host"
port = 4001
host = "L:host.example:992"
screen = "SIGN ON"
user_at = [10, 34]
password_at = [12, 34]
done = "MENU"
wrong = "NO"
"""


def test_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    here = tmp_path_factory.getbasetemp()
    assert terminals(read(TABLE.encode(), here))["first"].upper
    twice = TABLE + TABLE.replace("first", "second")
    with pytest.raises(BadSettings, match="port of its own"):
        terminals(read(twice.encode(), here))
    bad = ('sign_off = ["Quit()"]', 'sign_off = ["Execute(rm)"]', 'sign_off = ["String(\\"a\\")Quit()"]', "more = 1")
    for line in bad:
        with pytest.raises(BadSettings, match=r"terminal\.first"):
            terminals(read((TABLE + line).encode(), here))
    for was, now in (
        ("4001", "0"),
        ("[10, 34]", "[0, 34]"),
        ("L:host.example:992", "a b"),
        ("L:host.example:992", "a,b)"),
    ):
        with pytest.raises(BadSettings, match=r"terminal\.first"):
            terminals(read(TABLE.replace(was, now, 1).encode(), here))
