"""The virtual reader's client, against a server that speaks as pcscd's driver does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from authd_simulators.vpcd import Slot

APDU = bytes.fromhex("00a4040000")


class Echo:
    """A card that answers with what it was sent, backwards."""

    atr = b"\x3b\x00"

    def __init__(self) -> None:
        self.powers: list[bool] = []
        self.off = threading.Event()

    def power(self, on: bool, /) -> None:
        self.powers.append(on)
        if not on:
            self.off.set()

    def transmit(self, apdu: bytes, /) -> bytes:
        return apdu[::-1]


class VirtualReader:
    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.server.settimeout(60)
        self.port = int(self.server.getsockname()[1])

    def card(self) -> socket.socket:
        line, _ = self.server.accept()
        line.settimeout(60)
        return line


def say(line: socket.socket, frame: bytes) -> None:
    line.sendall(len(frame).to_bytes(2, "big") + frame)


def hear(line: socket.socket) -> bytes:
    with line.makefile("rb", buffering=0) as stream:
        head = stream.read(2)
        assert head is not None
        data = stream.read(int.from_bytes(head, "big"))
        assert data is not None
        return data


@pytest.fixture
def reader() -> Iterator[VirtualReader]:
    made = VirtualReader()
    yield made
    made.server.close()


@pytest.fixture
def slot(reader: VirtualReader) -> Iterator[Slot]:
    made = Slot(Echo(), port=reader.port)
    yield made
    made.remove()


def test_a_card_answers_atr_and_apdus_and_hears_of_power(reader: VirtualReader, slot: Slot) -> None:
    slot.insert()
    line = reader.card()
    say(line, b"\x04")
    assert hear(line) == Echo.atr
    for code in (b"\x01", b"\x02", b"\x00"):
        say(line, code)
    say(line, APDU)
    assert hear(line) == APDU[::-1]
    assert isinstance(slot.card, Echo)
    assert slot.card.powers == [True, False, True, False, True, False]
    line.close()


def test_taken_out_it_hangs_up_and_loses_its_power(reader: VirtualReader, slot: Slot) -> None:
    slot.insert()
    line = reader.card()
    slot.remove()
    assert line.recv(1) == b""
    assert not slot.inserted
    assert not slot.connected
    line.close()


def test_it_stays_in_the_slot_when_the_reader_dies(reader: VirtualReader, slot: Slot) -> None:
    slot.insert()
    reader.card().close()
    again = reader.card()
    say(again, APDU)
    assert hear(again) == APDU[::-1]
    again.close()


def test_without_a_reader_it_does_not_go_in(reader: VirtualReader, slot: Slot) -> None:
    reader.server.close()
    with pytest.raises(ConnectionError):
        slot.insert(wait_s=0.2)
    assert not slot.inserted
