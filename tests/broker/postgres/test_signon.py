from __future__ import annotations

import base64
import hashlib
import hmac
import struct

import pytest

from authd.broker.postgres import messages
from authd.broker.postgres.scram import Scram, ScramFailed
from authd.broker.postgres.signon import MOST_BYTES, SignOn, SignOnFailed
from authd.broker.secret import Secret

PARAMETERS = {"user": "staff_1042", "database": "resident"}
WELCOME = (
    messages.message(b"S", b"server_version\x0015.10\0")
    + messages.message(b"K", struct.pack("!I", 4711) + b"\1\2\3\4")
    + messages.message(b"Z", b"I")
)
LET_IN = messages.message(b"R", struct.pack("!I", 0))


def asked(kind: int, body: bytes = b"") -> bytes:
    return messages.message(b"R", struct.pack("!I", kind) + body)


OFFER = asked(10, b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0")


class Server:
    """The other half, as PostgreSQL does it."""

    def __init__(self, password: str = "pencil", iterations: int = 4096, nonce: str = "server") -> None:
        self.salt, self.iterations, self.nonce = b"0123456789abcdef", iterations, nonce
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), self.salt, iterations)
        self.client_key = hmac.digest(salted, b"Client Key", "sha256")
        self.server_key = hmac.digest(salted, b"Server Key", "sha256")
        self.bare = b""
        self.challenge = b""

    def first(self, answer: bytes) -> bytes:
        found, _ = messages.split(answer)
        mechanism, _, rest = found[0].body.partition(b"\0")
        self.mechanism = mechanism
        self.gs2, self.bare = rest[4:].split(b",,")
        nonce = self.bare.partition(b"r=")[2].decode() + self.nonce
        salt = base64.b64encode(self.salt).decode()
        self.challenge = f"r={nonce},s={salt},i={self.iterations}".encode()
        return asked(11, self.challenge)

    def final(self, answer: bytes) -> bytes:
        found, _ = messages.split(answer)
        without, _, proof = found[0].body.rpartition(b",p=")
        self.bound = base64.b64decode(without.partition(b",")[0].removeprefix(b"c="))
        said = b",".join((self.bare, self.challenge, without))
        signature = hmac.digest(hashlib.sha256(self.client_key).digest(), said, "sha256")
        expected = bytes(a ^ b for a, b in zip(self.client_key, signature, strict=True))
        if base64.b64decode(proof) != expected:
            return messages.error("28P01", b"no")
        proof = base64.b64encode(hmac.digest(self.server_key, said, "sha256"))
        return asked(12, b"v=" + proof) + LET_IN + WELCOME


def signing_on(password: str = "pencil", binding: bytes | None = None) -> SignOn:
    made = SignOn(PARAMETERS, Secret(password), "nonce", binding)
    made.begin()
    return made


def test_rfc_7677_s_own_example() -> None:
    scram = Scram("pencil", "rOprNGfwEbeRWgbNEkqO", name="user")
    assert scram.first() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    nonce = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    answer = scram.final(nonce + b",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
    assert answer == b"c=biws," + nonce + b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    scram.check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


@pytest.mark.parametrize("binding", [None, b"end point"])
def test_signing_on(binding: bytes | None) -> None:
    server, client = Server(), signing_on(binding=binding)
    answer = client.receive(server.first(client.receive(OFFER)))
    assert not client.ready
    assert client.receive(server.final(answer)) == b""
    assert client.ready
    assert client.welcome == LET_IN + WELCOME
    assert client.cancel == messages.Cancel(4711, b"\1\2\3\4")
    assert server.mechanism == (b"SCRAM-SHA-256-PLUS" if binding else b"SCRAM-SHA-256")
    assert server.bound == (b"p=tls-server-end-point,,end point" if binding else b"n,,")


def test_byte_by_byte_it_is_the_same() -> None:
    server, client = Server(), signing_on()

    def slowly(data: bytes) -> bytes:
        return b"".join(client.receive(data[at : at + 1]) for at in range(len(data)))

    slowly(server.final(slowly(server.first(slowly(OFFER)))))
    assert client.ready


def test_another_password_might_do_where_the_server_says_so() -> None:
    server, client = Server("another"), signing_on()
    with pytest.raises(SignOnFailed) as caught:
        client.receive(server.final(client.receive(server.first(client.receive(OFFER)))))
    assert caught.value.wrong_password
    assert "pencil" not in str(caught.value)


def test_a_server_that_does_not_know_the_password_itself_is_no_server() -> None:
    server, client = Server(), signing_on()
    server.server_key = b"guessed"
    with pytest.raises(SignOnFailed, match="does not know"):
        client.receive(server.final(client.receive(server.first(client.receive(OFFER)))))


@pytest.mark.parametrize(
    "ask",
    [
        asked(3),  # the password in clear
        asked(5, b"salt"),  # MD5
        LET_IN + WELCOME,  # nothing at all: pg_hba says trust
        asked(12, b"v=" + base64.b64encode(b"proof")),
        asked(11, b"r=nonceserver,s=AAAA,i=4096"),
        asked(10, b"SCRAM-SHA-1\0\0"),
        OFFER + asked(12, b"v=" + base64.b64encode(b"")) + LET_IN + WELCOME,
        OFFER + OFFER,
        b"Z\0\0\0\5I",
        b"T\0\0\0\4",
        messages.message(b"S", b"a\0b\0"),
        messages.message(b"R", b"\0"),
    ],
)
def test_what_does_not_prove_that_the_server_knows_the_password_ends_the_sign_on(ask: bytes) -> None:
    client = signing_on()
    with pytest.raises(SignOnFailed):
        client.receive(ask)
    assert not client.ready


def test_the_password_is_never_said() -> None:
    server, client = Server(), signing_on("a-very-long-password")
    said = client.begin() + (first := client.receive(OFFER)) + client.receive(server.first(first))
    assert b"a-very-long" not in said


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (b"nonceserver", b"another"),
        (b"nonceserver", b"nonce"),
        (b"i=4096", b"i=1"),
        (b"i=4096", b"i=999999999"),
        (b"i=4096", b"i=-4096"),
        (b"s=", b"s=*"),
        (b"r=", b"m=ext,r="),
        (b",", b""),
    ],
)
def test_a_challenge_that_is_wrong_in_one_place(right: bytes, wrong: bytes) -> None:
    challenge = b"r=nonceserver,s=MDEyMw==,i=4096"
    Scram("pencil", "nonce").final(challenge)
    with pytest.raises(ScramFailed):
        Scram("pencil", "nonce").final(challenge.replace(right, wrong))


def test_with_a_certificate_nothing_else_is_shown() -> None:
    client = SignOn(PARAMETERS, None, "nonce")
    client.receive(LET_IN + WELCOME)
    assert client.ready
    with pytest.raises(SignOnFailed, match=r"pg_hba\.conf"):
        SignOn(PARAMETERS, None, "nonce").receive(OFFER)


def test_a_server_that_talks_on_and_on_is_left() -> None:
    client = SignOn(PARAMETERS, None, "nonce")
    client.receive(LET_IN)
    for _ in range(MOST_BYTES // 60_005):
        client.receive(messages.message(b"N", b"x" * 60_000))
    with pytest.raises(SignOnFailed):
        client.receive(messages.message(b"N", b"x" * 60_000))
    with pytest.raises(SignOnFailed):
        signing_on().receive(messages.message(b"N", b"") * 201)


def test_a_server_that_speaks_before_it_is_asked() -> None:
    client = SignOn(PARAMETERS, None, "nonce")
    with pytest.raises(SignOnFailed):
        client.receive(LET_IN + WELCOME + messages.message(b"T", b""))
