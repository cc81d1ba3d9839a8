from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from authd_drivers.pcsc.api import (
    NO_SERVICE,
    NOT_TRANSACTED,
    RESET_CARD,
    SECURITY_VIOLATION,
    SHARING,
    Trouble,
    service,
)

UNSUPPORTED, INVALID_HANDLE = 0x8010001F, 0x80100003
PRESENCE, ATR, POLLING = 0x00090300, 0x0303, 0x0FB3
NOTHING = list[int]()


class Scard:
    """pyscard's functions, with these answers."""

    SCARD_SCOPE_SYSTEM = SCARD_PROTOCOL_T1 = SCARD_PCI_T1 = 2
    SCARD_PROTOCOL_T0 = SCARD_PCI_T0 = SCARD_LEAVE_CARD = 0
    SCARD_SHARE_SHARED = 1

    def __init__(self, established: int, listed: int = 0, connected: int = 0) -> None:
        self.established, self.listed, self.connected = established, listed, connected
        self.begun = self.reconnected = self.sent = 0

    def SCardEstablishContext(self, scope: int) -> tuple[int, int]:
        return self.established, scope

    def SCardListReaders(self, handle: int, groups: list[str]) -> tuple[int, list[str]]:
        return self.listed, groups

    def SCardGetStatusChange(
        self, handle: int, timeout_ms: int, known: list[tuple[str, int]]
    ) -> tuple[int, list[tuple[str, int]]]:
        return self.listed, known

    def SCardConnect(self, handle: int, reader: str, share: int, protocols: int) -> tuple[int, int, int]:
        return self.connected, handle, protocols

    def SCardReconnect(self, handle: int, share: int, protocols: int, leave: int) -> tuple[int, int]:
        return self.reconnected, protocols

    def SCardBeginTransaction(self, handle: int) -> int:
        return self.begun

    def SCardTransmit(self, handle: int, pci: int, apdu: list[int]) -> tuple[int, list[int]]:
        return self.sent, apdu


class Reader(Scard):
    """pyscard's functions for one reader, whose driver has these attributes, each a code and a value."""

    SCARD_SHARE_DIRECT, SCARD_LEAVE_CARD = 3, 0

    def __init__(self, attributes: Mapping[int, tuple[int, list[int]]], connected: int = 0) -> None:
        super().__init__(0)
        self.attributes, self.connected = attributes, connected
        self.held = 0

    def SCardConnect(self, handle: int, reader: str, share: int, protocols: int) -> tuple[int, int, int]:
        assert (share, protocols) == (self.SCARD_SHARE_DIRECT, 0)
        self.held += not self.connected
        return self.connected, 1, 0

    def SCardGetAttrib(self, handle: int, which: int) -> tuple[int, list[int]]:
        return self.attributes.get(which, (UNSUPPORTED, NOTHING))

    def SCardDisconnect(self, handle: int, how: int) -> int:
        assert how == self.SCARD_LEAVE_CARD
        self.held -= 1
        return 0


def used(monkeypatch: pytest.MonkeyPatch, made: Scard) -> None:
    def instead(name: str) -> Scard:
        return made

    monkeypatch.setattr("authd_drivers.pcsc.api.importlib.import_module", instead)


@pytest.mark.parametrize("signed", [SECURITY_VIOLATION, SECURITY_VIOLATION - (1 << 32)])
def test_an_answer_that_is_cut_off_is_a_service_that_went(signed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    used(monkeypatch, Scard(0, signed))
    context = service()()
    with pytest.raises(Trouble) as listing:
        context.readers()
    with pytest.raises(Trouble) as waiting:
        context.changes({}, 10)
    assert (listing.value.code, waiting.value.code) == (NO_SERVICE, NO_SERVICE)


def test_who_is_turned_away_at_the_beginning_is_not_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    used(monkeypatch, Scard(SECURITY_VIOLATION))
    with pytest.raises(Trouble) as refused:
        service()()
    assert refused.value.code == SECURITY_VIOLATION


def trouble(call: Callable[[], object]) -> int:
    with pytest.raises(Trouble) as caught:
        call()
    return caught.value.code


@pytest.mark.parametrize("signed", [SECURITY_VIOLATION, SECURITY_VIOLATION - (1 << 32)])
def test_a_service_that_goes_in_mid_conversation_with_a_card_went(signed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    scard = Scard(0)
    used(monkeypatch, scard)
    connection = service()().connect("reader")
    scard.sent = signed
    assert trouble(lambda: connection.transmit(b"\0\xa4\4\0")) == NO_SERVICE
    scard.begun, scard.reconnected = RESET_CARD, signed
    assert trouble(connection.begin) == NO_SERVICE
    scard.begun = signed
    assert trouble(connection.begin) == NO_SERVICE


def test_a_card_that_one_may_not_have_is_not_a_service_that_went(monkeypatch: pytest.MonkeyPatch) -> None:
    scard = Scard(0, connected=SECURITY_VIOLATION)
    used(monkeypatch, scard)
    context = service()()
    assert trouble(lambda: context.connect("reader")) == SECURITY_VIOLATION
    scard.listed = SECURITY_VIOLATION  # nobody answers any more
    assert trouble(lambda: context.connect("reader")) == NO_SERVICE


@pytest.mark.parametrize(
    ("attributes", "there"),
    [
        pytest.param({PRESENCE: (0, [2]), ATR: (NOT_TRANSACTED, NOTHING)}, True, id="ccid, in"),
        pytest.param({PRESENCE: (0, [0]), ATR: (0, [0x3B])}, False, id="ccid, out, with the ATR of before"),
        pytest.param({ATR: (0, [0x3B])}, True, id="vpcd, in"),
        pytest.param({ATR: (NOT_TRANSACTED - (1 << 32), NOTHING)}, False, id="vpcd, out"),
        pytest.param({ATR: (SHARING, NOTHING)}, None, id="in another's transaction"),
        pytest.param({}, None, id="knows nothing"),
    ],
)
def test_a_reader_is_asked_what_its_driver_knows(
    attributes: dict[int, tuple[int, list[int]]], there: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader(attributes)
    used(monkeypatch, reader)
    assert service()().there("a reader") is there
    assert reader.held == 0


@pytest.mark.parametrize(
    ("code", "length", "wakes"), [(0, 8, True), (0, 0, False), (UNSUPPORTED, 0, False), (SHARING, 0, None)]
)
def test_a_reader_with_an_interrupt_is_known(
    code: int, length: int, wakes: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    used(monkeypatch, Reader({POLLING: (code, [1] * length)}))
    assert service()().wakes("a reader") is wakes


def test_a_reader_of_another_program_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    used(monkeypatch, Reader({PRESENCE: (0, [2])}, SHARING))
    assert (service()().there("a reader"), service()().wakes("a reader")) == (None, None)


@pytest.mark.parametrize("code", [NO_SERVICE, INVALID_HANDLE, SECURITY_VIOLATION - (1 << 32)])
def test_a_service_that_went_is_no_answer_of_a_reader(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    used(monkeypatch, Reader({PRESENCE: (0, [0])}, code))
    with pytest.raises(Trouble):
        service()().there("a reader")
