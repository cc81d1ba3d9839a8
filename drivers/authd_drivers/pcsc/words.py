"""What every status word and every PC/SC code means: one table each, one outcome a code.

- `OK`: it is done, or goes on with what the word says (61xx: more to fetch).
- `RETRY`: the same again, as the word says (6Cxx: with that length; reset by another program). Never a PIN.
- `Hint`: the person can do better. `Fault`: the device is in trouble. `Denial`: the card says no.

Status words: ISO/IEC 7816-4 5.1.3 and NIST SP 800-73-4 part 2; a word that neither knows is `Fault.PROTOCOL`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from authd.driver import Denial, Fault, Hint

OK: Final = "ok"
RETRY: Final = "retry"
Outcome = Literal["ok", "retry"] | Hint | Fault | Denial

STATUS: Final[dict[tuple[int, int], tuple[Outcome, str]]] = {
    (0x0000, 0x5FFF): (Fault.PROTOCOL, "no status word at all"),
    (0x6000, 0x60FF): (Fault.PROTOCOL, "a procedure byte (wait), which the reader keeps to itself"),
    (0x6100, 0x61FF): (OK, "so many bytes more are to be fetched (00: 256 or more)"),
    (0x6200, 0x62FF): (Fault.PROTOCOL, "a warning: what it gave may be cut short or spoilt"),
    (0x6300, 0x6300): (Hint.PIN_WRONG, "wrong PIN, tries left not said"),
    (0x6301, 0x63BF): (Fault.PROTOCOL, "a warning: its memory has changed"),
    (0x63C0, 0x63C0): (Denial.BLOCKED, "wrong PIN, no try left"),
    (0x63C1, 0x63CF): (Hint.PIN_WRONG, "wrong PIN, so many tries left"),
    (0x63D0, 0x63FF): (Fault.PROTOCOL, "a warning: its memory has changed"),
    (0x6400, 0x65FF): (Fault.PROTOCOL, "an error of the card's own; its memory may be failing"),
    (0x6600, 0x66FF): (Fault.PROTOCOL, "security-related, not defined"),
    (0x6700, 0x67FF): (Fault.PROTOCOL, "wrong length"),
    (0x6800, 0x68FF): (Fault.PROTOCOL, "a class, chain or secure messaging that it does not know"),
    (0x6900, 0x6981): (Fault.PROTOCOL, "the command is not allowed"),
    (0x6982, 0x6982): (Denial.UNVERIFIED, "the PIN (or secure messaging) is asked for first"),
    (0x6983, 0x6984): (Denial.BLOCKED, "the PIN is blocked"),
    (0x6985, 0x6985): (Denial.ABSENT, "its conditions are not met: nobody touched it, where it wants that"),
    (0x6986, 0x69FF): (Fault.PROTOCOL, "the command is not allowed"),
    (0x6A00, 0x6A80): (Fault.PROTOCOL, "wrong parameters or data"),
    (0x6A81, 0x6A83): (Denial.UNKNOWN, "no such function, application, object or key"),
    (0x6A84, 0x6A87): (Fault.PROTOCOL, "wrong parameters, or its memory is full"),
    (0x6A88, 0x6A88): (Denial.UNKNOWN, "no such key"),
    (0x6A89, 0x6BFF): (Fault.PROTOCOL, "wrong parameters"),
    (0x6C00, 0x6CFF): (RETRY, "the same again with this length"),
    (0x6D00, 0x6EFF): (Denial.UNKNOWN, "no application here that knows the command"),
    (0x6F00, 0x8FFF): (Fault.PROTOCOL, "an error of the card's own, or no status word"),
    (0x9000, 0x9000): (OK, "done"),
    (0x9001, 0xFFFF): (Fault.PROTOCOL, "a word of somebody's own, or none"),
}
"""Ranges of status words, first and last, without gap or overlap."""

CODES: Final[dict[int, tuple[Outcome, str]]] = {
    0x00000000: (OK, "SCARD_S_SUCCESS"),
    0x80100001: (Fault.PROTOCOL, "SCARD_F_INTERNAL_ERROR"),
    0x80100002: (RETRY, "SCARD_E_CANCELLED"),
    0x80100003: (Fault.REMOVED, "SCARD_E_INVALID_HANDLE"),  # pcscd was started anew and knows the handle no more
    0x80100004: (Fault.PROTOCOL, "SCARD_E_INVALID_PARAMETER"),
    0x80100005: (Fault.PROTOCOL, "SCARD_E_INVALID_TARGET"),
    0x80100006: (Fault.FULL, "SCARD_E_NO_MEMORY"),
    0x80100007: (Fault.TIMEOUT, "SCARD_F_WAITED_TOO_LONG"),
    0x80100008: (Fault.PROTOCOL, "SCARD_E_INSUFFICIENT_BUFFER"),
    0x80100009: (Fault.REMOVED, "SCARD_E_UNKNOWN_READER"),
    0x8010000A: (Fault.TIMEOUT, "SCARD_E_TIMEOUT"),
    0x8010000B: (Fault.BUSY, "SCARD_E_SHARING_VIOLATION"),
    0x8010000C: (Hint.HOLD_LONGER, "SCARD_E_NO_SMARTCARD"),
    0x8010000D: (Denial.UNKNOWN, "SCARD_E_UNKNOWN_CARD"),
    0x8010000E: (Fault.PROTOCOL, "SCARD_E_CANT_DISPOSE"),
    0x8010000F: (Fault.PROTOCOL, "SCARD_E_PROTO_MISMATCH"),
    0x80100010: (Fault.SUSPENDED, "SCARD_E_NOT_READY"),
    0x80100011: (Fault.PROTOCOL, "SCARD_E_INVALID_VALUE"),
    0x80100012: (Fault.SUSPENDED, "SCARD_E_SYSTEM_CANCELLED"),
    0x80100013: (Hint.HOLD_LONGER, "SCARD_F_COMM_ERROR"),  # or pcscd died in mid-call, as the watcher then knows
    0x80100014: (Fault.PROTOCOL, "SCARD_F_UNKNOWN_ERROR"),
    0x80100015: (Fault.PROTOCOL, "SCARD_E_INVALID_ATR"),
    0x80100016: (Hint.HOLD_LONGER, "SCARD_E_NOT_TRANSACTED"),  # ccid and vpcd: the card went in mid-command
    0x80100017: (Fault.REMOVED, "SCARD_E_READER_UNAVAILABLE"),
    0x80100018: (Fault.SUSPENDED, "SCARD_P_SHUTDOWN"),
    0x80100019: (Fault.PROTOCOL, "SCARD_E_PCI_TOO_SMALL"),
    0x8010001A: (Fault.PROTOCOL, "SCARD_E_READER_UNSUPPORTED"),
    0x8010001B: (Fault.DUPLICATE, "SCARD_E_DUPLICATE_READER"),
    0x8010001C: (Hint.REMOVE_AND_RETRY, "SCARD_E_CARD_UNSUPPORTED"),
    0x8010001D: (Fault.REMOVED, "SCARD_E_NO_SERVICE"),
    0x8010001E: (Fault.REMOVED, "SCARD_E_SERVICE_STOPPED"),
    0x8010001F: (Fault.PROTOCOL, "SCARD_E_UNEXPECTED"),
    0x80100020: (Fault.PROTOCOL, "SCARD_E_ICC_INSTALLATION"),
    0x80100021: (Fault.PROTOCOL, "SCARD_E_ICC_CREATEORDER"),
    0x80100022: (Fault.PROTOCOL, "SCARD_E_UNSUPPORTED_FEATURE"),
    0x80100023: (Denial.UNKNOWN, "SCARD_E_DIR_NOT_FOUND"),
    0x80100024: (Denial.UNKNOWN, "SCARD_E_FILE_NOT_FOUND"),
    0x80100025: (Denial.UNKNOWN, "SCARD_E_NO_DIR"),
    0x80100026: (Denial.UNKNOWN, "SCARD_E_NO_FILE"),
    0x80100027: (Fault.NOT_PERMITTED, "SCARD_E_NO_ACCESS"),
    0x80100028: (Fault.PROTOCOL, "SCARD_E_WRITE_TOO_MANY"),
    0x80100029: (Fault.PROTOCOL, "SCARD_E_BAD_SEEK"),
    0x8010002A: (Hint.PIN_INVALID, "SCARD_E_INVALID_CHV"),
    0x8010002B: (Fault.PROTOCOL, "SCARD_E_UNKNOWN_RES_MNG"),
    0x8010002C: (Denial.UNKNOWN, "SCARD_E_NO_SUCH_CERTIFICATE"),
    0x8010002D: (Denial.UNKNOWN, "SCARD_E_CERTIFICATE_UNAVAILABLE"),
    0x8010002E: (Fault.REMOVED, "SCARD_E_NO_READERS_AVAILABLE"),
    0x8010002F: (Hint.HOLD_LONGER, "SCARD_E_COMM_DATA_LOST"),
    0x80100030: (Denial.UNKNOWN, "SCARD_E_NO_KEY_CONTAINER"),
    0x80100031: (Fault.BUSY, "SCARD_E_SERVER_TOO_BUSY"),
    0x80100065: (Hint.REMOVE_AND_RETRY, "SCARD_W_UNSUPPORTED_CARD"),
    0x80100066: (Hint.REMOVE_AND_RETRY, "SCARD_W_UNRESPONSIVE_CARD"),  # put in the wrong way round
    0x80100067: (Hint.REMOVE_AND_RETRY, "SCARD_W_UNPOWERED_CARD"),
    0x80100068: (RETRY, "SCARD_W_RESET_CARD"),
    0x80100069: (Hint.HOLD_LONGER, "SCARD_W_REMOVED_CARD"),
    0x8010006A: (Fault.NOT_PERMITTED, "SCARD_W_SECURITY_VIOLATION"),  # pcscd's polkit rules, mostly
    0x8010006B: (Hint.PIN_WRONG, "SCARD_W_WRONG_CHV"),
    0x8010006C: (Denial.BLOCKED, "SCARD_W_CHV_BLOCKED"),
    0x8010006D: (Fault.PROTOCOL, "SCARD_W_EOF"),
    0x8010006E: (RETRY, "SCARD_W_CANCELLED_BY_USER"),
    0x8010006F: (Denial.UNVERIFIED, "SCARD_W_CARD_NOT_AUTHENTICATED"),
}
"""Codes of pcsclite.h and winscard.h."""


def status(word: int) -> Outcome:
    """Return what a status word, 0 to 0xFFFF, means."""
    return _WORDS[word]


def scard(code: int) -> Outcome:
    """Return what a PC/SC code means; `Fault.PROTOCOL` for one that does not exist."""
    return CODES.get(code & 0xFFFFFFFF, (Fault.PROTOCOL, ""))[0]


def tries_left(word: int) -> int | None:
    """Return how many tries a PIN has left, if this word says it."""
    if word & 0xFFF0 == 0x63C0:
        return word & 0xF
    return 0 if status(word) is Denial.BLOCKED else None


def rows() -> Iterator[tuple[str, Outcome, str]]:
    """Yield every code or range, its outcome and what it stands for, for the reference pages."""
    for (first, last), (outcome, meaning) in STATUS.items():
        yield f"{first:04X}" if first == last else f"{first:04X}-{last:04X}", outcome, meaning
    for code, (outcome, name) in CODES.items():
        yield f"0x{code:08X}", outcome, name


_WORDS: Final[list[Outcome]] = [
    outcome for (first, last), (outcome, _) in STATUS.items() for _word in range(first, last + 1)
]
