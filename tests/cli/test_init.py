"""`authd init`: the keys and the first two officers, once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from authd.core.model import Hint, SubjectId
from authd.service import daemon
from authd.service.bus.house import EnrolStep, Error, Refused
from authd.service.config import Config
from tests.cli.conftest import Authd
from tests.service.bus.fakes import World, world

OFFICERS = ("--officer", "1001:青木美咲:あおきみさき:resident", "--officer", "1002:石川健:いしかわけん:tax")


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file with its mode and content."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
    }


async def test_the_keys_are_made_for_this_account_alone(authd: Authd, folder: Path) -> None:
    assert (await authd("init", "--keys-only")).code == 0
    made = snapshot(folder / "state")
    assert {"keys/host.key", "keys/ledger.key", "keys/event.key", "keys/curve/seat-counter-1.key"} <= made.keys()
    assert all(mode & 0o077 == 0 for mode, _ in made.values())
    assert (folder / "state").stat().st_mode & 0o077 == 0


async def test_a_second_time_changes_nothing(authd: Authd, folder: Path) -> None:
    await authd("init", "--keys-only")
    before = snapshot(folder)
    assert (await authd("init", "--keys-only")).code == 0
    assert snapshot(folder) == before


async def test_a_seat_that_came_later_gets_its_key_and_the_others_keep_theirs(
    authd: Authd, folder: Path, toml: Path
) -> None:
    await authd("init", "--keys-only")
    before = snapshot(folder / "state")
    with toml.open("a") as file:
        file.write("[seat.counter-2]\n[application.x]\nurl = 'http://a/'\n")
    await authd("init", "--keys-only")
    after = snapshot(folder / "state")
    assert after.keys() - before.keys() == {
        "keys/curve/seat-counter-2.key",
        "keys/seat-counter-2.key",
        "keys/curve/app-x.key",
    }
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize("officers", [(), OFFICERS[:2], OFFICERS + OFFICERS[:2]])
async def test_two_officers_are_expected(officers: tuple[str, ...], authd: Authd, folder: Path) -> None:
    said = await authd("init", *officers)
    assert said.code == 2
    assert said.err == f"authd: --officer is expected twice, got {len(officers) // 2}; or --keys-only\n"
    assert not (folder / "state").exists()


@pytest.mark.parametrize("given", ["1001", "1001:a:b", "1001::b:c", "1001:a:b:c:d"])
async def test_an_officer_is_four_words(given: str, authd: Authd) -> None:
    said = await authd("init", "--officer", given, "--officer", given)
    assert said.code == 2
    assert "NUMBER:NAME:KANA:SECTION is expected" in said.err


async def test_a_state_that_is_a_file_is_one_line(authd: Authd, folder: Path) -> None:
    (folder / "state").write_text("")
    said = await authd("init", "--keys-only")
    assert said.code == 2
    assert said.err == f"authd: {folder}/state: cannot be made, host.state must be a folder: File exists\n"


async def test_loose_keys_are_refused(authd: Authd, folder: Path) -> None:
    await authd("init", "--keys-only")
    (folder / "state" / "keys").chmod(0o755)
    said = await authd("init", "--keys-only")
    assert said.code == 2
    assert "lets others in; run chmod 0700" in said.err


class Founding:
    """A daemon that founds whoever comes, or refuses."""

    def __init__(self, folder: Path, refused: Refused | None) -> None:
        self.host: World = world(folder, frozenset({os.geteuid()}))
        self.ended = False
        self._refused = refused
        self.host.house.enrol = self._enrol  # type: ignore[method-assign]

    async def serve(self, config: Config, ready: object) -> None:
        """As `daemon.serve`, until it is told to stop; then it still has to write something."""
        import asyncio

        assert config.web_port == 0
        stopped = asyncio.Event()

        async def stop() -> None:
            stopped.set()

        self.host.house.stop = stop  # type: ignore[method-assign]
        async with self.host.serving():
            ready()  # type: ignore[operator]
            await stopped.wait()
            await asyncio.sleep(0.05)
        self.ended = True

    async def _enrol(self, order: object):  # type: ignore[no-untyped-def]
        self.host.house.calls.append(("enrol", order.staff_number, str(order.founding)))  # type: ignore[attr-defined]
        if self._refused:
            raise self._refused
        yield EnrolStep("touch")
        yield EnrolStep("hint", 0.3, Hint.DRY)
        yield EnrolStep("done", 1.0, subject=SubjectId("sub_new"))


async def test_two_officers_are_founded_one_after_the_other(
    authd: Authd, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    founding = Founding(folder, None)
    monkeypatch.setattr(daemon, "serve", founding.serve)
    said = await authd("init", *OFFICERS)
    assert said.code == 0
    assert founding.host.house.calls == [("enrol", "1001", "True"), ("enrol", "1002", "True")]
    assert "青木美咲: Touch the reader, then lift the finger [0 %]\n" in said.err
    assert "青木美咲: Once more (Finger is dry) [30 %]\n" in said.err
    assert founding.ended, "the daemon was not let end by itself"


async def test_a_third_time_is_refused_and_the_daemon_may_still_write(
    authd: Authd, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    founding = Founding(folder, Refused(Error.REFUSED, "only the first 2 officers are founded"))
    monkeypatch.setattr(daemon, "serve", founding.serve)
    said = await authd("init", *OFFICERS)
    assert (said.code, said.err) == (4, "authd: refused: only the first 2 officers are founded\n")
    assert founding.ended, "the daemon was not let end by itself"
