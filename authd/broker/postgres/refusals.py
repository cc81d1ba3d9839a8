"""The sentences that an application shows when its connection is refused or ended, in an encoding that it can read."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from authd.broker.postgres import messages
from authd.locale import text

ENCODINGS: Final[Mapping[str, str]] = {
    "": "utf-8",
    "UTF8": "utf-8",
    "UNICODE": "utf-8",
    "SJIS": "cp932",
    "MSKANJI": "cp932",
    "SHIFTJIS": "cp932",
    "WIN932": "cp932",
    "WINDOWS932": "cp932",
    "SHIFTJIS2004": "shift_jis_2004",
    "EUCJP": "euc_jp",
    "EUCJIS2004": "euc_jis_2004",
}
"""PostgreSQL's `client_encoding`, without case and punctuation; in any other one the sentence is in English."""


class Refusal(StrEnum):
    """Why there is no connection, or none any more."""

    NOBODY = "nobody"
    LOCKED = "locked"
    NO_ACCOUNT = "no_account"
    NO_CREDENTIAL = "no_credential"
    SERVER = "server"
    NOT_YOU = "not_you"
    NOT_THIS = "not_this"
    TLS = "tls"
    BUSY = "busy"
    PROTOCOL = "protocol"


CODES: Final[Mapping[Refusal, str]] = {
    Refusal.NOBODY: "28000",
    Refusal.LOCKED: "57P01",
    Refusal.NO_ACCOUNT: "28000",
    Refusal.NO_CREDENTIAL: "28000",
    Refusal.SERVER: "08006",
    Refusal.NOT_YOU: "28000",
    Refusal.NOT_THIS: "0A000",
    Refusal.TLS: "28000",
    Refusal.BUSY: "53300",
    Refusal.PROTOCOL: "08P01",
}
"""SQLSTATE of each."""


class Refused(Exception):
    """The connection is not served."""

    def __init__(self, why: Refusal) -> None:
        super().__init__(why.value)
        self.why = why


def response(why: Refusal, language: str = "ja", encoding: str = "") -> bytes:
    """Write the ErrorResponse: the sentence, and beneath it the same in the other language."""
    codec = ENCODINGS.get("".join(each for each in encoding.upper() if each.isalnum()))
    if codec is None:
        return messages.error(CODES[why], text(f"postgres.{why.value}", "en").encode("ascii", "replace"))
    other = "en" if language == "ja" else "ja"
    said, again = (text(f"postgres.{why.value}", each).encode(codec, "replace") for each in (language, other))
    return messages.error(CODES[why], said, again)
