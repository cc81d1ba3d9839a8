"""The simulated key as python-fido2 sees a device: the independent other end, in process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Event

from fido2.ctap import STATUS, CtapDevice, CtapError
from fido2.hid import CAPABILITY, CTAPHID

from authd_simulators.fido_key import Key, Unplugged


class KeyDevice(CtapDevice):
    """No transport at all: each call is a call of the key. `OSError` when it is unplugged, as with a real one."""

    def __init__(self, key: Key) -> None:
        self.key = key

    @property
    def capabilities(self) -> int:
        return CAPABILITY.CBOR

    def call(
        self,
        cmd: int,
        data: bytes = b"",
        event: Event | None = None,
        on_keepalive: Callable[[STATUS], None] | None = None,
    ) -> bytes:
        if cmd != CTAPHID.CBOR:
            raise CtapError(CtapError.ERR.INVALID_COMMAND)
        last: list[int] = []

        def keepalive(status: int) -> None:
            if on_keepalive is not None and last != [status]:
                last[:] = [status]
                on_keepalive(STATUS(status))
            if event is not None and event.is_set():
                self.key.cancel()

        try:
            return self.key.call(data, keepalive)
        except Unplugged:
            raise OSError(5, "the key was unplugged") from None

    def close(self) -> None:
        pass

    @classmethod
    def list_devices(cls) -> Iterator[CtapDevice]:
        return iter(())
