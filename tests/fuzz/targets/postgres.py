"""What applications and servers say of PostgreSQL's protocol before the first query: `authd.broker.postgres`."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from authd.broker.postgres import messages
from authd.broker.postgres.messages import Cancel, Encrypt, Malformed, Startup
from authd.broker.postgres.refusals import Refusal, response
from authd.broker.postgres.scram import ScramFailed
from authd.broker.postgres.signon import SignOn, SignOnFailed
from authd.broker.secret import Secret

PASSWORD = "a-password-that-nobody-says"
LET_IN = messages.message(b"R", bytes(4))
REST = messages.message(b"S", b"a\0b\0") + messages.message(b"K", bytes(8)) + messages.message(b"Z", b"I")
OFFER = messages.message(b"R", struct.pack("!I", 10) + b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0")
CHALLENGE = messages.message(b"R", struct.pack("!I", 11) + b"r=nonceserver,s=MDEyMw==,i=4096")
FINAL = messages.message(b"R", struct.pack("!I", 12) + b"v=" + b"A" * 43 + b"=")


def one(data: bytes) -> None:
    """The first byte says who speaks."""
    who, rest = data[:1], data[1:]
    if who == b"a":
        application(rest)
    elif who == b"c":
        server(SignOn({"user": "staff_1"}, None, "nonce"), rest, proved=True)
    else:
        server(SignOn({"user": "staff_1"}, Secret(PASSWORD), "nonce", b"binding"), rest, proved=False)


def application(data: bytes) -> None:
    """What is read can be written again, and whatever encoding is asked for, a refusal can be said."""
    found = messages.opening(data)
    if found is None:
        return
    opening, rest = found
    assert data.endswith(rest)
    if isinstance(opening, Startup):
        written = messages.opening(messages.startup(opening.parameters))
        assert written == (Startup(opening.parameters), b"")
        said = response(Refusal.NOBODY, "ja", opening.parameters.get("client_encoding", ""))
        assert len(messages.split(said)[0]) == 1
        messages.only_version_3_0(opening.extensions)
    elif isinstance(opening, Cancel):
        assert messages.opening(messages.cancel(opening)) == (opening, b"")
    else:
        assert isinstance(opening, Encrypt)


def server(attempt: SignOn, data: bytes, *, proved: bool) -> None:
    """However it is cut, no server is believed that has not proved itself, and none hears the password."""
    half = len(data) // 2
    for part in (data[:half], data[half:]):
        assert PASSWORD.encode() not in attempt.receive(part)
    assert proved or not attempt.ready
    assert PASSWORD.encode() not in attempt.welcome


def declared(error: Exception) -> bool:
    """Whether this is the error that is meant."""
    return isinstance(error, (Malformed, SignOnFailed)) and not isinstance(error, ScramFailed)


def seeds() -> Iterator[bytes]:
    """Yield what each side says when all is well."""
    yield b"a" + messages.startup({"user": "resident_app", "database": "resident", "client_encoding": "SJIS"})
    yield b"a" + messages.ask_tls()
    yield b"a" + messages.cancel(Cancel(4711, b"\1\2\3\4"))
    yield b"c" + LET_IN + REST
    yield b"p" + OFFER + CHALLENGE + FINAL + LET_IN + REST
    yield b"p" + messages.error("28P01", b"no")
