"""Signing on to a server for somebody: bytes in, bytes out, until it says that it is ready for a query.

Nothing but SCRAM is answered: not a question for the password itself, which a false server could ask, nor MD5. A server
that asks for nothing is refused too, unless TLS has already told it who comes (a certificate), since its `pg_hba.conf`
would let anybody in.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from authd.broker.postgres import messages
from authd.broker.postgres.messages import Malformed, Message
from authd.broker.postgres.scram import BOUND, MECHANISM, Scram, ScramFailed
from authd.broker.secret import Secret

MOST_MESSAGES: Final = 200
"""Of one sign-on; a server tells some twenty parameters."""
MOST_BYTES: Final = 131_072
_OK, _SASL, _SASL_GOES_ON, _SASL_FINAL = 0, 10, 11, 12


class SignOnFailed(Exception):
    """The server cannot be used. `code`: its SQLSTATE, where it gave one; the text is for whoever runs the broker."""

    def __init__(self, said: str, code: str = "") -> None:
        super().__init__(said)
        self.code = code

    @property
    def wrong_password(self) -> bool:
        """Whether another password might do."""
        return self.code == "28P01"


class SignOn:
    """One sign-on. `ready` once `welcome` holds what the application is to be told, and `rest` what came behind it."""

    def __init__(
        self, parameters: Mapping[str, str], password: Secret | None, nonce: str, binding: bytes | None = None
    ) -> None:
        """Without a password, a certificate says who comes. binding: see `scram.Scram`."""
        self._parameters = parameters
        self._password = password
        self._nonce = nonce
        self._binding = binding
        self._scram: Scram | None = None
        self._proved = password is None
        self._accepted = False
        self._buffer = b""
        self._seen = 0
        self._heard = 0
        self.ready = False
        self.welcome = b""
        self.cancel: messages.Cancel | None = None
        """How the connection's work can be cancelled."""

    def begin(self) -> bytes:
        """Return the first packet."""
        return messages.startup(self._parameters)

    def receive(self, data: bytes) -> bytes:
        """Take what the server says, and return what is answered. Raises `SignOnFailed`."""
        self._heard += len(data)
        try:
            if self._heard > MOST_BYTES:
                raise Malformed("more bytes than any sign-on has")
            found, self._buffer = messages.split(self._buffer + data)
            self._seen += len(found)
            if self._seen > MOST_MESSAGES:
                raise Malformed("more messages than any sign-on has")
            return b"".join(self._take(each) for each in found)
        except (Malformed, ScramFailed, struct.error) as error:
            raise SignOnFailed(f"the server does not speak the protocol: {error}") from error

    @property
    def proved(self) -> bool:
        """Whether the password is the right one, even if the server does not let the role in for another reason."""
        return self._proved

    @property
    def rest(self) -> bytes:
        """What has come of a message that is not whole."""
        return self._buffer

    def _take(self, each: Message) -> bytes:
        if self.ready:
            raise Malformed("it speaks before it is asked")
        if each.letter == b"E":
            code = messages.error_code(each.body)
            raise SignOnFailed(f"the server refuses: SQLSTATE {code}", code)
        if each.letter == b"N":
            return b""  # a notice before the first query is nobody's business
        if each.letter == b"v":
            return b""  # it knows less than 3.2, of which nothing was asked
        return self._parameter(each) if self._accepted else self._authentication(each)

    def _parameter(self, each: Message) -> bytes:
        """What follows on being let in: settings, the key to cancel by, and that it is ready."""
        if each.letter == b"K" and 5 <= len(each.body) <= 4 + messages.LONGEST_CANCEL_KEY:
            self.cancel = messages.Cancel(int.from_bytes(each.body[:4], "big"), each.body[4:])
        elif each.letter == b"Z" and each.body in (b"I", b"T", b"E"):
            self.ready = True
        elif each.letter != b"S" or each.body.count(b"\0") != 2:
            raise Malformed("an unexpected message")
        self.welcome += each.raw
        return b""

    def _authentication(self, each: Message) -> bytes:
        if each.letter != b"R" or len(each.body) < 4:
            raise Malformed("an unexpected message")
        (kind,) = struct.unpack_from("!I", each.body)
        rest = each.body[4:]
        if kind == _OK and not rest:
            return self._let_in(each)
        if kind == _SASL and self._scram is None and self._password is not None:
            return self._offered(rest)
        if kind == _SASL_GOES_ON and self._scram is not None:
            return messages.message(b"p", self._scram.final(rest))
        if kind == _SASL_FINAL and self._scram is not None:
            self._scram.check(rest)
            self._proved = True
            return b""
        raise SignOnFailed("the server does not ask for SCRAM: set scram-sha-256 for this role in pg_hba.conf")

    def _let_in(self, each: Message) -> bytes:
        if not self._proved:
            raise SignOnFailed("the server lets this role in without a password: mend its pg_hba.conf")
        self._accepted = True
        self.welcome += each.raw
        return b""

    def _offered(self, body: bytes) -> bytes:
        """Answer the offer of mechanisms with the strongest one that both know."""
        assert self._password is not None
        offered = set(body.split(b"\0"))
        bound = BOUND.encode() in offered and self._binding is not None
        if not bound and MECHANISM.encode() not in offered:
            raise SignOnFailed("the server does not offer SCRAM-SHA-256")
        self._scram = Scram(self._password.reveal(), self._nonce, self._binding if bound else None)
        first = self._scram.first()
        answer = self._scram.mechanism.encode() + b"\0" + struct.pack("!I", len(first)) + first
        return messages.message(b"p", answer)
