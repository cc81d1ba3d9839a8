"""Driver of the simulated presence sensor: says that somebody is there, or nobody, and never who."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping

from authd.driver import Ask, DriverError, Event, Fault, Op, Reader, State, StateChange, Watch
from authd_simulators.cable import Plug, Say, Want

_STATES = {b"1": State.PERSON_PRESENT, b"0": State.PERSON_ABSENT}


class PresenceSensorReader:
    """Watches; cannot capture."""

    def __init__(self, cable: str) -> None:
        self._cable = cable
        self._plug: Plug | None = None

    async def open(self) -> None:
        """Plug in. Raises `DriverError`."""
        await self.close()
        self._plug = await Plug.connect(self._cable)

    async def run(self, op: Op, ask: Ask) -> AsyncGenerator[Event, None]:
        """Say whether somebody is there, now and at each change. Raises `DriverError`."""
        del ask
        if not isinstance(op, Watch):
            raise DriverError(Fault.NOT_PERMITTED, "a presence sensor only watches")
        believed = b"?"
        while True:
            believed = await self._differs(believed)
            yield StateChange(_STATES[believed])

    async def close(self) -> None:
        """Pull the plug; safe to call twice."""
        if self._plug is not None:
            self._plug.close()
            self._plug = None

    async def _differs(self, believed: bytes) -> bytes:
        """Wait until the device says something else than what is believed."""
        if self._plug is None:
            raise DriverError(Fault.REMOVED, "not open")
        answer = await self._plug.ask(Want.PRESENCE, believed)
        said = bytes(answer.body)
        if answer.say is not Say.PRESENT or said not in _STATES:
            raise DriverError(Fault.PROTOCOL, "neither present nor absent")
        return said


def READER(settings: Mapping[str, str]) -> Reader:  # noqa: N802 - the name of every driver's factory
    """Make the reader of the cable that `[reader.*]` names."""
    return PresenceSensorReader(settings["cable"])
