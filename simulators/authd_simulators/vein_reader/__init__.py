"""Driver of the simulated vein reader: the `vein` driver's own reader and extraction, another source of frames."""

from __future__ import annotations

from collections.abc import Mapping

from authd.driver import DriverError, Fault, Reader
from authd_drivers.vein.engine.profile import named
from authd_drivers.vein.reader import VeinReader
from authd_simulators.vein_reader.source import CableSource


def READER(settings: Mapping[str, str]) -> Reader:  # noqa: N802 - the one name that authd looks for in every driver
    """Make the reader of the cable that `[reader.*]` names. Raises `DriverError` for settings that are wrong."""
    cable = settings.get("cable", "")
    if not cable.startswith("/"):
        raise DriverError(Fault.NOT_PERMITTED, "cable: the absolute path of a simulated device's cable is expected")
    try:
        profile, seconds = named(settings.get("profile", "sim")), float(settings.get("pulse", "0"))
        return VeinReader(CableSource(cable), profile, min(60.0, max(0.0, seconds)))
    except ValueError as error:  # ProfileError is one
        raise DriverError(Fault.NOT_PERMITTED, str(error)) from None
