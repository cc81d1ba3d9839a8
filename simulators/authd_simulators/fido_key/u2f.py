"""U2F 1.2 (CTAP1): version, register, authenticate, as raw messages."""

from __future__ import annotations

from authd_simulators.fido_key.apdu import SW, Apdu, ApduError, parse
from authd_simulators.fido_key.credential import Facts, open_id
from authd_simulators.fido_key.device import UP
from authd_simulators.fido_key.key import Key
from authd_simulators.fido_key.presence import Want
from authd_simulators.fido_key.signing import ES256, sign

REGISTER, AUTHENTICATE, VERSION = 1, 2, 3
CHECK_ONLY, ENFORCE, NO_TOUCH = 7, 3, 8
TOUCH_WAIT_S = 0.05


def answer_u2f(key: Key, raw: bytes) -> bytes:
    """Answer one APDU, status word included. Raises `Unplugged`."""
    with key.lock:
        key.trouble.pause(key.presence.gone)
        try:
            return carry_out(key, parse(raw)) + SW.OK.to_bytes(2, "big")
        except ApduError as error:
            return error.sw.to_bytes(2, "big")


def carry_out(key: Key, apdu: Apdu) -> bytes:
    """Return the response's data. Raises `ApduError`."""
    if apdu.cla != 0:
        raise ApduError(SW.CLASS)
    if not key.profile.u2f or key.memory.always_uv:
        raise ApduError(SW.INSTRUCTION)
    match apdu.ins:
        case _ if apdu.ins == VERSION:
            if apdu.data:
                raise ApduError(SW.LENGTH)
            return b"U2F_V2"
        case _ if apdu.ins == REGISTER:
            return _register(key, apdu.data)
        case _ if apdu.ins == AUTHENTICATE:
            return _authenticate(key, apdu)
        case _:
            raise ApduError(SW.INSTRUCTION)


def _register(key: Key, data: bytes) -> bytes:
    if len(data) != 64:
        raise ApduError(SW.LENGTH)
    challenge, application = data[:32], data[32:]
    _touched(key)
    credential = key.create(application, Facts(ES256))
    public = credential.public
    x, y = public[-2], public[-3]
    assert isinstance(x, bytes)
    assert isinstance(y, bytes)
    point = b"\x04" + x + y
    signature = key.attestation.sign(b"\0" + application + challenge + credential.id + point)
    handle = bytes([len(credential.id)]) + credential.id
    return b"\x05" + point + handle + key.attestation.certificate + signature


def _authenticate(key: Key, apdu: Apdu) -> bytes:
    data = apdu.data
    if len(data) < 65 or len(data) != 65 + data[64]:
        raise ApduError(SW.LENGTH)
    challenge, application, handle = data[:32], data[32:64], data[65:]
    credential = open_id(key.memory.secret, application, handle)
    if credential is None or credential.facts.resident or credential.facts.algorithm != ES256:
        raise ApduError(SW.DATA)
    if apdu.p1 == CHECK_ONLY:
        raise ApduError(SW.CONDITIONS)
    if apdu.p1 not in (ENFORCE, NO_TOUCH):
        raise ApduError(SW.DATA)
    if apdu.p1 == ENFORCE:
        _touched(key)
    facts = bytes([UP if apdu.p1 == ENFORCE else 0]) + key.count().to_bytes(4, "big")
    return facts + sign(credential.private, application + facts + challenge)


def _touched(key: Key) -> None:
    """Raise `ApduError` unless the key is touched right now: a platform of U2F asks again and again."""
    key.presence.hand.begin(Want.TOUCH)
    try:
        gesture = key.approve(Want.TOUCH, TOUCH_WAIT_S)
    finally:
        key.presence.hand.begin(None)
    if gesture is None:
        raise ApduError(SW.CONDITIONS)
