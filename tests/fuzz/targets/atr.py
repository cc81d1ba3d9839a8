"""What a card says first: `authd_drivers.pcsc.atr`."""

from __future__ import annotations

from collections.abc import Iterator

from authd.driver import DriverError, Fault
from authd_drivers.pcsc.atr import parse_atr
from authd_simulators.fido_key.nfc import ATR


def one(data: bytes) -> None:
    """Read an ATR; what it gives lies within what it was."""
    atr = parse_atr(data)
    assert atr.historical in data
    assert len(atr.historical) <= 15
    assert atr.protocols
    assert isinstance(atr.storage, bool)


def declared(error: Exception) -> bool:
    """Whether this is the error that is meant."""
    return isinstance(error, DriverError) and error.fault is Fault.PROTOCOL


def seeds() -> Iterator[bytes]:
    """Yield ATRs: of the simulated key, of contact cards with and without interface bytes, of a storage card."""
    yield ATR
    yield bytes.fromhex("3b00")
    yield bytes.fromhex("3b6800000073c84013009000")
    yield bytes.fromhex("3f6525083304 6c9000".replace(" ", ""))
    yield bytes.fromhex("3b8f8001804f0ca000000306030001000000006a")
    yield bytes.fromhex("3bfd1300008131fe158073c021c057597562694b657940")
