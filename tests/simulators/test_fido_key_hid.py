"""CTAPHID: packets by hand, and python-fido2's real Linux code over the pty."""

from __future__ import annotations

import os
import select
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fido2.ctap import CtapError
from fido2.ctap1 import ApduError, Ctap1
from fido2.ctap2.base import Ctap2
from fido2.hid import CtapHidDevice
from fido2.hid.base import HidDescriptor
from fido2.hid.linux import LinuxCtapHidConnection
from hypothesis import given, settings
from hypothesis import strategies as st

from authd_simulators.fido_key import TOUCH, Key
from authd_simulators.fido_key.framing import BROADCAST, PACKET, Assembler, Hid, packets
from authd_simulators.fido_key.hid import HidTransport
from authd_simulators.fido_key.hidraw import HidrawPort
from authd_simulators.fido_key.profile import MAX_MESSAGE

NONCE = bytes(range(8))


class Wire:
    """The platform's end of a transport: what the key sent, packet by packet."""

    def __init__(self, key: Key | None = None) -> None:
        self.key = key or Key()
        self.sent: list[bytes] = []
        self.new = threading.Condition()
        self.transport = HidTransport(self.key, self._write)

    def _write(self, data: bytes) -> None:
        with self.new:
            self.sent += [data[start : start + PACKET] for start in range(0, len(data), PACKET)]
            self.new.notify_all()

    def say(self, channel: int, command: int, body: bytes = b"") -> None:
        for packet in packets(channel, command, body):
            self.transport.feed(packet)

    def heard(self, command: int) -> bytes:
        """Wait for a packet of this command and return its first bytes; what came before is gone."""
        with self.new:
            assert self.new.wait_for(lambda: any(each[4] == 0x80 | command for each in self.sent), 60)
            at = next(n for n, each in enumerate(self.sent) if each[4] == 0x80 | command)
            packet = self.sent[at]
            del self.sent[: at + 1]
        return packet[7 : 7 + min(int.from_bytes(packet[5:7], "big"), 57)]

    def channel(self) -> int:
        self.say(BROADCAST, Hid.INIT, NONCE)
        answer = self.heard(Hid.INIT)
        assert answer[:8] == NONCE
        return int.from_bytes(answer[8:12], "big")


@given(st.integers(1, BROADCAST - 1), st.binary(max_size=MAX_MESSAGE))
@settings(max_examples=40, deadline=None)
def test_messages_come_out_as_they_went_in(channel: int, body: bytes) -> None:
    assembler = Assembler()
    sent = packets(channel, Hid.PING, body)
    assert {len(each) for each in sent} == {PACKET}
    *parts, whole = [assembler.feed(each) for each in sent]
    assert parts == [None] * len(parts)
    assert whole is not None
    assert (whole.channel, whole.command, whole.body) == (channel, Hid.PING, body)


@given(st.lists(st.binary(min_size=PACKET, max_size=PACKET), max_size=8))
@settings(deadline=None)
def test_no_packet_whatever_harms_the_transport(noise: list[bytes]) -> None:
    wire = Wire()
    for packet in noise:
        wire.transport.feed(packet)
    assert wire.channel()


def test_a_packet_out_of_sequence_ends_its_message() -> None:
    wire = Wire()
    channel = wire.channel()
    first, second, third, *_ = packets(channel, Hid.PING, bytes(200))
    for packet in (first, third):
        wire.transport.feed(packet)
    assert wire.heard(Hid.ERROR) == b"\x04"
    wire.transport.feed(second)  # leftovers say nothing
    wire.say(channel, Hid.PING, b"again")
    assert wire.heard(Hid.PING) == b"again"


def test_a_message_that_is_too_long_is_refused() -> None:
    wire = Wire()
    channel = wire.channel()
    wire.transport.feed(channel.to_bytes(4, "big") + b"\x90" + (MAX_MESSAGE + 1).to_bytes(2, "big") + bytes(57))
    assert wire.heard(Hid.ERROR) == b"\x03"


@pytest.mark.parametrize("channel", [0, 77, BROADCAST])
def test_channels_that_nobody_was_given_are_refused(channel: int) -> None:
    wire = Wire()
    wire.say(channel, Hid.PING, b"x")
    assert wire.heard(Hid.ERROR) == b"\x0b"


def test_unknown_commands_are_refused() -> None:
    wire = Wire()
    wire.say(wire.channel(), 0x2A)
    assert wire.heard(Hid.ERROR) == b"\x01"


def test_the_rest_of_a_message_that_does_not_come_is_a_timeout() -> None:
    wire = Wire()
    channel = wire.channel()
    wire.transport.message_s = 0
    wire.transport.feed(packets(channel, Hid.PING, bytes(200))[0])
    wire.transport.tick()
    assert wire.heard(Hid.ERROR) == b"\x05"


def test_while_one_waits_for_a_touch_others_are_told_that_it_is_busy() -> None:
    wire = Wire()
    mine, other = wire.channel(), wire.channel()
    wire.say(mine, Hid.CBOR, b"\x0b")
    assert wire.heard(Hid.KEEPALIVE) == b"\x02"
    wire.say(other, Hid.PING, b"x")
    assert wire.heard(Hid.ERROR) == b"\x06"
    wire.say(other, Hid.CANCEL)  # nobody cancels for another
    wire.say(mine, Hid.CANCEL)
    assert wire.heard(Hid.CBOR) == b"\x2d"


def test_starting_over_on_a_channel_ends_what_it_waits_for() -> None:
    wire = Wire()
    channel = wire.channel()
    wire.say(channel, Hid.CBOR, b"\x0b")
    wire.heard(Hid.KEEPALIVE)
    wire.say(channel, Hid.INIT, NONCE)
    assert wire.heard(Hid.INIT)[:8] == NONCE
    wire.say(channel, Hid.PING, b"x")
    assert wire.heard(Hid.PING) == b"x"


@pytest.fixture
def port(tmp_path: Path) -> Iterator[HidrawPort]:
    made = HidrawPort(Key(), tmp_path / "hidraw")
    made.insert()
    yield made
    made.remove()


def device(port: HidrawPort) -> CtapHidDevice:
    descriptor = HidDescriptor(str(port.path), 0xFFFF, 1, 64, 64, None, None)
    connection: Any = LinuxCtapHidConnection  # python-fido2 leaves its argument untyped
    return CtapHidDevice(descriptor, connection(descriptor))


def test_the_longest_message_goes_through_the_pty(port: HidrawPort) -> None:
    dev = device(port)
    for body in (b"", b"x", bytes(range(256)) * 29 + bytes(MAX_MESSAGE - 256 * 29)):
        assert dev.ping(body) == body
    dev.wink()
    assert port.transport is not None
    assert port.transport.winks == 1
    dev.close()


def test_a_newcomer_does_not_see_what_another_left_unread(port: HidrawPort) -> None:
    port.stale_s = 0.1
    first = os.open(port.path, os.O_RDWR | os.O_NOCTTY)
    os.write(first, b"\0" + packets(BROADCAST, Hid.INIT, NONCE)[0])
    assert select.select([first], [], [], 60)[0]  # the answer is there, and is not read
    deadline = time.monotonic() + 60
    while select.select([first], [], [], 0)[0]:
        assert time.monotonic() < deadline
    assert device(port).ping(b"hello") == b"hello"
    os.close(first)


def test_a_touch_is_awaited_and_can_be_cancelled(port: HidrawPort) -> None:
    ctap = Ctap2(device(port))
    told: list[int] = []
    threading.Timer(0.15, port.key.presence.hand.give, [TOUCH]).start()
    ctap.selection(on_keepalive=told.append)
    assert told == [2]
    cancel = threading.Event()
    with pytest.raises(CtapError, match="KEEPALIVE_CANCEL"):
        ctap.selection(event=cancel, on_keepalive=lambda _: cancel.set())


def test_unplugged_in_mid_touch_is_an_io_error(port: HidrawPort) -> None:
    ctap = Ctap2(device(port))
    # Whoever reads at that very moment gets nothing instead of an error, which python-fido2 takes for a packet.
    with pytest.raises((OSError, struct.error), match=r"Errno 5|requires a buffer"):
        ctap.selection(on_keepalive=lambda _: threading.Thread(target=port.remove).start())
    assert not port.path.exists()


def test_u2f_goes_over_the_same_wire(port: HidrawPort) -> None:
    port.key.presence.hand.auto = True
    ctap = Ctap1(device(port))
    assert ctap.get_version() == "U2F_V2"
    challenge, application = b"\1" * 32, b"\2" * 32
    made = ctap.register(challenge, application)
    made.verify(application, challenge)
    answer = ctap.authenticate(challenge, application, made.key_handle)
    answer.verify(application, challenge, made.public_key)
    assert answer.user_presence == 1
    port.key.presence.hand.auto = False
    for attempt in (
        lambda: ctap.register(challenge, application),
        lambda: ctap.authenticate(challenge, application, made.key_handle, check_only=True),
    ):
        assert refused(attempt) == 0x6985
    assert refused(lambda: ctap.authenticate(challenge, b"\3" * 32, made.key_handle)) == 0x6A80


def refused(attempt: Callable[[], object]) -> int:
    with pytest.raises(ApduError) as error:
        attempt()
    return error.value.code


SURVIVE = """
import os, sys
handle = os.open(sys.argv[1], os.O_RDWR)
print("open", flush=True)
try:
    sys.exit(len(os.read(handle, 64)))
except OSError as error:
    sys.exit(error.errno)
"""


def wait(process: subprocess.Popen[bytes], word: bytes) -> None:
    assert process.stdout is not None
    assert process.stdout.readline().strip() == word


@pytest.mark.real
def test_a_session_leader_that_has_the_key_open_survives_its_unplugging(tmp_path: Path) -> None:
    control, path = tmp_path / "c", tmp_path / "h"
    argv = [sys.executable, "-m", "authd_simulators.fido_key", "--control", str(control), "--pty", str(path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as key:
        wait(key, b"ready")
        argv = [sys.executable, "-c", SURVIVE, str(path)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True) as reader:
            wait(reader, b"open")
            key.terminate()
            assert reader.wait(60) in (0, 5)
        assert key.wait(60) == 0


def test_hostile_packets_come_when_they_are_asked_for() -> None:
    wire = Wire()
    channel = wire.channel()
    wire.key.trouble.wire = 7
    for _ in range(7):
        wire.say(channel, Hid.CBOR, b"\x04")
        with wire.new:
            assert wire.new.wait_for(lambda: wire.sent, 60)
            assert not any(b"FIDO_2_1" in packet for packet in wire.sent)
            wire.sent.clear()
    wire.say(channel, Hid.CBOR, b"\x04")
    assert b"FIDO_2" in wire.heard(Hid.CBOR)
