"""The reader of FIDO2 keys: a key is put in, touched, and signs; nobody types a name.

    office = "/etc/authd/fido2.toml"      # office.py
    device = "/dev/hidraw*"               # or "/dev/hidraw0", or "pcsc:" and how the card reader's name begins
    tap = "yes"                           # of NFC: a key is held to the reader and taken away again; nothing stays
    socket = "/run/pcscd/pcscd.comm"      # pcscd's, for "pcsc:"

A key that is pulled out in the middle is no fault of the reader's and no failed try: it waits for the next one. One
that hangs or talks rubbish is a fault; the reader's process ends with it, and the next one begins anew.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path

from authd.driver import Ask, Capture, Confirm, DriverError, Enroll, Event, Fault, Op, Watch
from authd_drivers.fido2 import office
from authd_drivers.fido2.exchange import Exchange, Port
from authd_drivers.fido2.plug import HidPlug, Plug

_PCSC = "pcsc:"


class KeyReader:
    """Implements `authd.driver.Reader`."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._office = settings.get("office", "")
        self._stays = settings.get("tap", "no") != "yes"
        self._device = settings.get("device", "")
        self._plug = _plug(self._device, settings.get("socket", ""))
        self._port: Port | None = None

    async def open(self) -> None:
        """Read the office file and claim the place; a key need not be there. Raises `DriverError`."""
        await self.close()
        if not self._device.startswith(("/", _PCSC)):
            raise DriverError(Fault.NOT_PERMITTED, 'device: "/dev/hidraw*", a path, or "pcsc:..." is expected')
        try:
            text = _read(self._office)
        except (OSError, ValueError) as error:
            raise DriverError(Fault.NOT_PERMITTED, f"office = {self._office!r}: {error}") from None
        said = office.parse(text)
        await self._plug.open()
        self._port = Port(self._plug, said, self._stays)

    async def close(self) -> None:
        """Let go; safe to call twice."""
        self._port = None
        await self._plug.close()

    async def run(self, op: Op, ask: Ask) -> AsyncGenerator[Event, None]:
        """Carry out one operation; see `authd.driver.Reader`."""
        if self._port is None:
            raise DriverError(Fault.REMOVED, "not open")
        exchange = Exchange(self._port, ask)
        match op:
            case Watch():
                events = exchange.watch()
            case Capture() | Enroll():
                events = exchange.until_answered(op)
            case Confirm():
                events = exchange.confirm(op)
            case _:
                raise DriverError(Fault.NOT_PERMITTED, f"a key's reader has no {type(op).__name__}")
        async with aclosing(events):
            async for event in events:
                yield event


def _read(path: str) -> str:
    with Path(path).open(encoding="utf-8") as file:
        return file.read(office.MAX_OFFICE_BYTES + 1)


def _plug(device: str, socket: str) -> Plug:
    if not device.startswith(_PCSC):
        return HidPlug(device)
    from authd_drivers.fido2.nfc import PcscPlug  # with pyscard, which not every host has

    return PcscPlug(device.removeprefix(_PCSC), socket)
