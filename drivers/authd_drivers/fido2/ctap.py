"""CTAP2 with a key: python-fido2's commands, with our lengths before its CBOR, and one error for all that it lets out.

Parsers: `parse_ctap`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final, cast

from fido2 import cbor
from fido2.ctap import CtapDevice, CtapError
from fido2.ctap2.base import Ctap2
from fido2.hid import CAPABILITY, CTAPHID

from authd.driver import DriverError, Fault
from authd_drivers.fido2.errand import Cancelled, Gone

MAX_ANSWER: Final = 7_609
_SMALLEST: Final = 1_024
"""What any key takes in one message."""


def parse_ctap(answer: bytes) -> Mapping[int, Any]:
    """Read an answer to a CTAP2 command: a status byte, then a map in CBOR's canonical form, or nothing.

    Raises `CtapError` for any status but success, `DriverError` with `Fault.PROTOCOL` for what is no answer.
    """
    if not 0 < len(answer) <= MAX_ANSWER:
        raise DriverError(Fault.PROTOCOL, "CTAP: too long, or nothing")
    if answer[0]:
        if len(answer) > 1:
            raise DriverError(Fault.PROTOCOL, "CTAP: a status, and then something")
        raise CtapError(answer[0])
    if len(answer) == 1:
        return {}
    with one_error():
        decoded = cbor.decode(answer[1:])  # pyright: ignore[reportUnknownMemberType]  # its parameter has no type
        if not isinstance(decoded, Mapping) or cbor.encode(decoded) != answer[1:]:  # the library cuts strings short
            raise DriverError(Fault.PROTOCOL, "CTAP: no canonical map")
        return cast("Mapping[int, Any]", decoded)


@contextmanager
def one_error() -> Generator[None, None, None]:
    """Turn all that the library raises over an answer into one error; the key's own no and the way out stay."""
    try:
        yield
    except (CtapError, DriverError, Cancelled, Gone):
        raise
    except Exception as error:  # ValueError, TypeError, KeyError, IndexError, struct.error, RecursionError, ...
        raise DriverError(Fault.PROTOCOL, f"CTAP: {type(error).__name__}") from None


class Ctap(Ctap2):
    """The library's commands over `parse_ctap`."""

    def __init__(self, device: CtapDevice) -> None:
        """Ask the key what it is. Raises `CtapError` NOT_ALLOWED's like for a key of U2F only."""
        if not device.capabilities & CAPABILITY.CBOR:
            raise CtapError(CtapError.ERR.UNSUPPORTED_OPTION)
        with one_error():
            super().__init__(device)

    def send_cbor(
        self,
        cmd: int,
        data: Mapping[int, Any] | None = None,
        *,
        event: object = None,
        on_keepalive: Callable[[int], None] | None = None,
    ) -> Mapping[int, Any]:
        """Carry out one command."""
        request = bytes([cmd]) + (b"" if data is None else cbor.encode(data))
        if len(request) > max(self._max_msg_size, _SMALLEST):
            raise CtapError(CtapError.ERR.REQUEST_TOO_LARGE)
        return parse_ctap(self.device.call(CTAPHID.CBOR, request, None, on_keepalive))
