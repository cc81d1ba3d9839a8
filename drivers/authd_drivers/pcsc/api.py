"""PC/SC as this driver uses it: everything of pyscard that is touched, typed, and imported only when a reader opens.

Calls block, for as long as pcscd pleases: make them in a thread. Each raises `Trouble` with the code that PC/SC gave.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from authd.driver import DriverError, Fault

MAX_RESPONSE = 65_538
"""Bytes of a response APDU, status word included (ISO/IEC 7816-3)."""
MAX_READERS = 16
"""PCSCLITE_MAX_READERS_CONTEXTS"""
MAX_NAME = 128

PNP = "\\\\?PnP?\\Notification"
"""Name under which pcscd says that a reader came or went."""
UNAWARE, CHANGED, UNAVAILABLE, EMPTY, PRESENT, EXCLUSIVE, MUTE = 0x0, 0x2, 0x8, 0x10, 0x20, 0x80, 0x200
NO_READERS, TIMEOUT, RESET_CARD, REMOVED_CARD = 0x8010002E, 0x8010000A, 0x80100068, 0x80100069
NO_SERVICE, SECURITY_VIOLATION = 0x8010001D, 0x8010006A
NO_CARD, NOT_TRANSACTED, SHARING = 0x8010000C, 0x80100016, 0x8010000B
_GONE = (NO_CARD, NOT_TRANSACTED, REMOVED_CARD)
_ICC_PRESENCE = 0x00090300
"""One byte, 0 for no card (PC/SC part 3); of ccid's readers, and asked of the reader at that moment."""
_ATR = 0x0303
"""pcsc-lite's TAG_IFD_ATR, for drivers that do not know the attribute above; an error where there is no card."""
_POLLING = 0x0FB3
"""pcsc-lite's TAG_IFD_POLLING_THREAD_WITH_TIMEOUT: not empty where the reader itself tells pcscd of cards."""
MISSING = (
    "pyscard is missing: pip install 'authd-seat[pcsc]' "
    "(Debian: first apt-get install gcc swig libpcsclite-dev, and pcscd for the daemon)"
)


class Trouble(Exception):
    """What a PC/SC call answered instead of success; `words.scard` says what it means."""

    def __init__(self, code: int, call: str) -> None:
        super().__init__(f"{call}: 0x{code:08X}")
        self.code = code
        self.call = call


@dataclass(frozen=True, slots=True)
class Seen:
    """How one reader is: `flags` with pcscd's count of insertions and removals in the upper half, and the ATR."""

    flags: int
    atr: bytes = b""

    @property
    def present(self) -> bool:
        """Whether a card is in it."""
        return bool(self.flags & PRESENT)

    @property
    def count(self) -> int:
        """Insertions and removals since pcscd started; begins anew with it."""
        return self.flags >> 16


class Connection(Protocol):
    """One card, shared with other programs."""

    def begin(self) -> None:
        """Begin a transaction: other programs wait until `end`."""
        ...

    def transmit(self, apdu: bytes) -> bytes:
        """Send a command APDU and return the response, status word included."""
        ...

    def end(self, *, reset: bool = False) -> None:
        """End the transaction and let go of the card; as it is, or reset. Never raises."""
        ...


class Context(Protocol):
    """One client's connection to pcscd; of one thread."""

    def readers(self) -> list[str]:
        """Return the names of all readers."""
        ...

    def changes(self, known: Mapping[str, int], timeout_ms: int) -> dict[str, Seen]:
        """Wait until a reader is not as `known` (its flags), and say how all are. Raises `Trouble(TIMEOUT)`."""
        ...

    def connect(self, reader: str) -> Connection:
        """Take the card in this reader, shared."""
        ...

    def there(self, reader: str) -> bool | None:
        """Ask the reader, and no card, whether one is in; None: it cannot say, or is another program's now."""
        ...

    def wakes(self, reader: str) -> bool | None:
        """Whether the reader tells pcscd of cards by itself, so that nobody has to look; None: it cannot be asked."""
        ...

    def release(self) -> None:
        """Let go. Never raises."""
        ...


Service = Callable[[], Context]
"""Connects to pcscd. Raises `Trouble`; `DriverError` where the library is missing."""


def service(socket: str = "") -> Service:
    """Return the way to the real pcscd. Raises `DriverError` with what to install.

    socket: path of its socket, if not the usual one; the library reads it once, so it is one for the whole process.
    """
    if socket:
        os.environ["PCSCLITE_CSOCK_NAME"] = socket
    try:
        scard = importlib.import_module("smartcard.scard")
    except ImportError as error:
        raise DriverError(Fault.NOT_PERMITTED, f"{MISSING}: {error}") from None
    return lambda: _Context(scard)


class _Context:
    def __init__(self, scard: Any) -> None:
        self._scard = scard
        code, self._handle = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
        _check(code, "SCardEstablishContext")

    def readers(self) -> list[str]:
        code, names = self._scard.SCardListReaders(self._handle, [])
        if code & 0xFFFFFFFF == NO_READERS:
            return []
        _check(_went(code), "SCardListReaders")
        return [str(name)[:MAX_NAME] for name in names][:MAX_READERS]

    def changes(self, known: Mapping[str, int], timeout_ms: int) -> dict[str, Seen]:
        code, states = self._scard.SCardGetStatusChange(self._handle, timeout_ms, list(known.items()))
        _check(_went(code), "SCardGetStatusChange")
        return {str(name): Seen(int(flags) & 0xFFFFFFFF, bytes(atr)) for name, flags, atr in states}

    def connect(self, reader: str) -> Connection:
        scard = self._scard
        protocols = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
        code, handle, protocol = scard.SCardConnect(self._handle, reader, scard.SCARD_SHARE_SHARED, protocols)
        if code & 0xFFFFFFFF == SECURITY_VIOLATION:
            self.readers()  # raises if it was cut off; whoever may not have the card is answered still
        _check(code, "SCardConnect")
        return _Connection(scard, handle, protocol)

    def there(self, reader: str) -> bool | None:
        with self._direct(reader) as attribute:
            code, value = attribute(_ICC_PRESENCE)
            if code == 0 and value:
                return value[0] != 0
            code, value = attribute(_ATR)
            return True if code == 0 else False if code in _GONE else None

    def wakes(self, reader: str) -> bool | None:
        with self._direct(reader) as attribute:
            code, value = attribute(_POLLING)
            return None if code == SHARING else code == 0 and any(value)

    @contextmanager
    def _direct(self, reader: str) -> Generator[Callable[[int], tuple[int, bytes]], None, None]:
        """Give a way to ask for attributes of the reader, over a connection that touches no card."""
        scard = self._scard
        code, handle, _ = scard.SCardConnect(self._handle, reader, scard.SCARD_SHARE_DIRECT, 0)
        if code & 0xFFFFFFFF != SHARING:
            _check(_went(code), "SCardConnect")

        def attribute(which: int) -> tuple[int, bytes]:
            if code:
                return code & 0xFFFFFFFF, b""
            said, value = scard.SCardGetAttrib(handle, which)
            return said & 0xFFFFFFFF, bytes(value)

        try:
            yield attribute
        finally:
            if not code:
                scard.SCardDisconnect(handle, scard.SCARD_LEAVE_CARD)

    def release(self) -> None:
        self._scard.SCardReleaseContext(self._handle)


class _Connection:
    def __init__(self, scard: Any, handle: Any, protocol: int) -> None:
        self._scard, self._handle, self._protocol = scard, handle, protocol
        self._within = False

    def begin(self) -> None:
        scard = self._scard
        code = scard.SCardBeginTransaction(self._handle)
        if code & 0xFFFFFFFF == RESET_CARD:  # by another program, since we connected: once, then it is trouble
            code, self._protocol = scard.SCardReconnect(
                self._handle,
                scard.SCARD_SHARE_SHARED,
                scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1,
                scard.SCARD_LEAVE_CARD,
            )
            _check(_went(code), "SCardReconnect")
            code = scard.SCardBeginTransaction(self._handle)
        _check(_went(code), "SCardBeginTransaction")
        self._within = True

    def transmit(self, apdu: bytes) -> bytes:
        scard = self._scard
        old = self._protocol == scard.SCARD_PROTOCOL_T0
        pci = scard.SCARD_PCI_T0 if old else scard.SCARD_PCI_T1
        code, response = scard.SCardTransmit(self._handle, pci, list(_for_t0(apdu) if old else apdu))
        _check(_went(code), "SCardTransmit")
        if not response:  # what some readers' drivers say of a card that went in mid-command
            raise Trouble(REMOVED_CARD, "SCardTransmit")
        return bytes(response[: MAX_RESPONSE + 1])

    def end(self, *, reset: bool = False) -> None:
        scard = self._scard
        leave = scard.SCARD_RESET_CARD if reset else scard.SCARD_LEAVE_CARD
        if self._within:
            scard.SCardEndTransaction(self._handle, leave)
        scard.SCardDisconnect(self._handle, leave)


def _for_t0(apdu: bytes) -> bytes:
    """Return a short APDU as T=0 carries it (ISO/IEC 7816-3, 12.2): always with P3, and with no length after data."""
    if len(apdu) == 4:
        return apdu + b"\0"
    return apdu[:-1] if len(apdu) > 5 and len(apdu) == 6 + apdu[4] else apdu


def _went(code: int) -> int:
    """Return the code; libpcsclite calls an answer that was cut off a violation, for pcscd drops whom it does not know.

    It asks polkit about a client at the beginning and, with an answer of its own, about a card. Of one that it has
    served, the end is pcscd's own.
    """
    return NO_SERVICE if code & 0xFFFFFFFF == SECURITY_VIOLATION else code


def _check(code: int, call: str) -> None:
    if code:
        raise Trouble(code & 0xFFFFFFFF, call)


def matching(names: Iterable[str], prefix: str) -> list[str]:
    """Return the readers whose names begin so; an empty prefix means all."""
    return [name for name in names if name.startswith(prefix)]
