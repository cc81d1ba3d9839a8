"""Where a key can be put: a hidraw port (`hidraw.HidrawPort`) or the virtual reader."""

from __future__ import annotations

from typing import Protocol

from authd_simulators.fido_key.key import Key
from authd_simulators.fido_key.nfc import NfcApplet
from authd_simulators.vpcd import PORT, Slot


class Place(Protocol):
    """Something that the key is put into and taken out of."""

    @property
    def inserted(self) -> bool:
        """Whether the key is in."""
        ...

    def insert(self) -> None:
        """Put the key in. Raises `OSError`."""
        ...

    def remove(self) -> None:
        """Take it out, whatever is going on."""
        ...


class Reader:
    """The virtual reader of pcscd, the key lying on it."""

    def __init__(self, key: Key, host: str = "127.0.0.1", port: int = PORT) -> None:
        self._slot = Slot(NfcApplet(key), host, port)

    @property
    def inserted(self) -> bool:
        """Whether the key lies on the reader."""
        return self._slot.inserted

    def insert(self) -> None:
        """Lay it down. Raises `ConnectionError`."""
        self._slot.insert()

    def remove(self) -> None:
        """Take it away."""
        self._slot.remove()
