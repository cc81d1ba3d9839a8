"""The key itself: bytes of CTAP2 and U2F in, bytes out, never an exception but `Unplugged`."""

from __future__ import annotations

from authd_simulators.fido_key.cbor import Fields, decode, encode
from authd_simulators.fido_key.client_pin import client_pin
from authd_simulators.fido_key.configure import configure
from authd_simulators.fido_key.device import Command, Device
from authd_simulators.fido_key.enrol_finger import enrol_finger
from authd_simulators.fido_key.get_assertion import get_assertion, get_next_assertion
from authd_simulators.fido_key.info import get_info
from authd_simulators.fido_key.large_blobs import large_blobs
from authd_simulators.fido_key.make_credential import make_credential
from authd_simulators.fido_key.manage_credentials import manage_credentials
from authd_simulators.fido_key.presence import Keepalive
from authd_simulators.fido_key.profile import MAX_MESSAGE
from authd_simulators.fido_key.status import CtapError, Status, demand


def _reset(key: Device, _: Fields) -> dict[int, object]:
    key.reset()
    return {}


def _selection(key: Device, _: Fields) -> dict[int, object]:
    key.touch()
    return {}


NEXT_ASSERTION, CREDENTIALS, BLOBS, FINGERS = 0x08, 0x0A, 0x0C, 0x09
COMMANDS: dict[int, Command] = {
    0x01: make_credential,
    0x02: get_assertion,
    0x04: get_info,
    0x06: client_pin,
    0x07: _reset,
    NEXT_ASSERTION: get_next_assertion,
    FINGERS: enrol_finger,
    CREDENTIALS: manage_credentials,
    0x0B: _selection,
    BLOBS: large_blobs,
    0x0D: configure,
}
_BARE = frozenset({0x04, 0x07, NEXT_ASSERTION, 0x0B})
"""Commands that take no parameters."""


class Key(Device):
    """A simulated key. Commands of several threads wait for each other; `cancel` and `power` do not wait."""

    def call(self, request: bytes, keepalive: Keepalive | None = None) -> bytes:
        """Answer one CTAP2 command: a status byte and, on success, CBOR. Raises `Unplugged`.

        keepalive: called with 2 at once and then each 0.1 s while the key waits for a touch.
        """
        with self.lock:
            self.presence.start(keepalive)
            self.trouble.pause(self.presence.gone)
            forced = self.trouble.strike()
            if forced is not None:
                return forced
            try:
                return bytes([Status.SUCCESS]) + self._carry_out(request)
            except CtapError as error:
                return bytes([error.status])

    def cancel(self) -> None:
        """End the wait for a touch: the command that waits answers KEEPALIVE_CANCEL."""
        self.presence.cancel()

    def _carry_out(self, request: bytes) -> bytes:
        demand(len(request) > 0, Status.INVALID_LENGTH)
        demand(len(request) <= MAX_MESSAGE, Status.REQUEST_TOO_LARGE)
        number, body = request[0], request[1:]
        command = COMMANDS.get(number)
        if command is None:
            raise CtapError(Status.INVALID_COMMAND)
        self._forget_all_but(number)
        if number in _BARE:
            demand(not body, Status.INVALID_LENGTH)
            fields = Fields({})
        else:
            fields = Fields.of(decode(body))
        answer = command(self, fields)
        return encode(answer) if answer else b""

    def _forget_all_but(self, number: int) -> None:
        """Drop what only the command right before may go on with."""
        if number != NEXT_ASSERTION:
            self.volatile.assertions = None
        if number != CREDENTIALS:
            self.volatile.rps, self.volatile.credentials = [], []
        if number != BLOBS:
            self.volatile.blob = None
        if number != FINGERS:
            self.volatile.learning = None
