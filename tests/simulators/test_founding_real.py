"""`authd init --officer ... --officer ...` at a reader: the first thing that is done on a new host."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from authd_simulators.people import Staff
from authd_simulators.stage import Stage, StageError, free_ports

pytestmark = pytest.mark.real
PATIENCE_S = 120.0


class New(Stage):
    """A host with devices and keys, on which nobody was ever enrolled."""

    async def begin(self) -> None:
        """Leave the daemon to `authd init`."""

    async def _enrol_everybody(self) -> None:
        """Leave the officers to `authd init`."""

    def asked(self) -> Staff | None:
        """Whose touch was asked for last."""
        lines = (self.folder / "found.log").read_text(encoding="utf-8").splitlines()
        return next((each for line in reversed(lines) for each in self.people if line.startswith(each.name)), None)


async def test_two_officers_are_founded_as_soon_as_the_reader_is_up() -> None:
    async with New(free_ports(), people=2) as host:
        officers = [f"{each.staff_number}:{each.name}:{each.kana}:{each.section}" for each in host.people]
        words = [word for officer in officers for word in ("--officer", officer)]
        await host.start("found", ["-m", "authd", "init", "--config", str(host.config), *words])
        founding = asyncio.ensure_future(host.processes["found"].wait())
        async with asyncio.timeout(PATIENCE_S):
            while not (await asyncio.wait({founding}, timeout=0.3))[0]:
                if (person := host.asked()) is not None:
                    with suppress(StageError):  # the reader asks no more once the last finger is known
                        await host.press(host.seats[0], person)
        assert founding.result() == 0, (host.folder / "found.log").read_text(encoding="utf-8")
        await Stage.begin(host)
        async with host.door() as door:
            found = {each.staff_number: each.officer for each in await door.people()}
        assert found == {each.staff_number: True for each in host.people}
