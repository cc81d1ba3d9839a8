"""One outcome for every status byte of CTAP 2.1 (section 6.3), and for every status word of its NFC and U2F framing.

OK: go on. RETRY: not an answer yet, ask the key again. A `Hint` is for the person, who can do better; a `Fault` is the
device's trouble; a `Denial` is the key's own no. What is not assigned, an extension's or a maker's is `Fault.PROTOCOL`:
nothing that authd asks is answered by it.
"""

from __future__ import annotations

from typing import Final, Literal

from authd.driver import Denial, Fault, Hint

OK: Final = "ok"
RETRY: Final = "retry"
Outcome = Hint | Fault | Denial | Literal["ok", "retry"]

OUTCOMES: Final[dict[int, tuple[str, Outcome]]] = {
    0x00: ("CTAP2_OK", OK),
    0x01: ("CTAP1_ERR_INVALID_COMMAND", Fault.PROTOCOL),
    0x02: ("CTAP1_ERR_INVALID_PARAMETER", Fault.PROTOCOL),
    0x03: ("CTAP1_ERR_INVALID_LENGTH", Fault.PROTOCOL),
    0x04: ("CTAP1_ERR_INVALID_SEQ", Fault.PROTOCOL),
    0x05: ("CTAP1_ERR_TIMEOUT", Fault.TIMEOUT),
    0x06: ("CTAP1_ERR_CHANNEL_BUSY", Fault.BUSY),
    0x0A: ("CTAP1_ERR_LOCK_REQUIRED", Fault.BUSY),
    0x0B: ("CTAP1_ERR_INVALID_CHANNEL", Fault.PROTOCOL),
    0x11: ("CTAP2_ERR_CBOR_UNEXPECTED_TYPE", Fault.PROTOCOL),
    0x12: ("CTAP2_ERR_INVALID_CBOR", Fault.PROTOCOL),
    0x14: ("CTAP2_ERR_MISSING_PARAMETER", Fault.PROTOCOL),
    0x15: ("CTAP2_ERR_LIMIT_EXCEEDED", Fault.FULL),
    0x17: ("CTAP2_ERR_FP_DATABASE_FULL", Fault.FULL),
    0x18: ("CTAP2_ERR_LARGE_BLOB_STORAGE_FULL", Fault.FULL),
    0x19: ("CTAP2_ERR_CREDENTIAL_EXCLUDED", Denial.DUPLICATE),
    0x21: ("CTAP2_ERR_PROCESSING", RETRY),
    0x22: ("CTAP2_ERR_INVALID_CREDENTIAL", Denial.UNKNOWN),
    0x23: ("CTAP2_ERR_USER_ACTION_PENDING", RETRY),
    0x24: ("CTAP2_ERR_OPERATION_PENDING", RETRY),
    0x25: ("CTAP2_ERR_NO_OPERATIONS", Fault.PROTOCOL),
    0x26: ("CTAP2_ERR_UNSUPPORTED_ALGORITHM", Denial.NOT_ALLOWED),
    0x27: ("CTAP2_ERR_OPERATION_DENIED", Hint.TOUCH_THE_KEY),
    0x28: ("CTAP2_ERR_KEY_STORE_FULL", Fault.FULL),
    0x2B: ("CTAP2_ERR_UNSUPPORTED_OPTION", Denial.NOT_ALLOWED),
    0x2C: ("CTAP2_ERR_INVALID_OPTION", Denial.NOT_ALLOWED),
    0x2D: ("CTAP2_ERR_KEEPALIVE_CANCEL", RETRY),
    0x2E: ("CTAP2_ERR_NO_CREDENTIALS", Denial.UNKNOWN),
    0x2F: ("CTAP2_ERR_USER_ACTION_TIMEOUT", Hint.TOO_SLOW),
    0x30: ("CTAP2_ERR_NOT_ALLOWED", Fault.PROTOCOL),
    0x31: ("CTAP2_ERR_PIN_INVALID", Hint.PIN_WRONG),
    0x32: ("CTAP2_ERR_PIN_BLOCKED", Denial.BLOCKED),
    0x33: ("CTAP2_ERR_PIN_AUTH_INVALID", Hint.TOO_SLOW),  # of a token: it has expired
    0x34: ("CTAP2_ERR_PIN_AUTH_BLOCKED", Hint.REMOVE_AND_RETRY),  # three wrong ones in a row: until it has no power
    0x35: ("CTAP2_ERR_PIN_NOT_SET", Denial.UNVERIFIED),
    0x36: ("CTAP2_ERR_PUAT_REQUIRED", Denial.UNVERIFIED),
    0x37: ("CTAP2_ERR_PIN_POLICY_VIOLATION", Hint.PIN_INVALID),
    0x38: ("CTAP2_ERR_PIN_TOKEN_EXPIRED", Hint.TOO_SLOW),
    0x39: ("CTAP2_ERR_REQUEST_TOO_LARGE", Fault.PROTOCOL),
    0x3A: ("CTAP2_ERR_ACTION_TIMEOUT", Hint.TOO_SLOW),
    0x3B: ("CTAP2_ERR_UP_REQUIRED", Hint.TOUCH_THE_KEY),
    0x3C: ("CTAP2_ERR_UV_BLOCKED", Denial.BLOCKED),
    0x3D: ("CTAP2_ERR_INTEGRITY_FAILURE", Fault.PROTOCOL),
    0x3E: ("CTAP2_ERR_INVALID_SUBCOMMAND", Fault.PROTOCOL),
    0x3F: ("CTAP2_ERR_UV_INVALID", Hint.FINGER_AGAIN),
    0x40: ("CTAP2_ERR_UNAUTHORIZED_PERMISSION", Denial.NOT_ALLOWED),
    0x7F: ("CTAP1_ERR_OTHER", Fault.PROTOCOL),
    0xDF: ("CTAP2_ERR_SPEC_LAST", Fault.PROTOCOL),
    0xE0: ("CTAP2_ERR_EXTENSION_FIRST", Fault.PROTOCOL),
    0xEF: ("CTAP2_ERR_EXTENSION_LAST", Fault.PROTOCOL),
    0xF0: ("CTAP2_ERR_VENDOR_FIRST", Fault.PROTOCOL),
    0xFF: ("CTAP2_ERR_VENDOR_LAST", Fault.PROTOCOL),
}
"""By status byte: the specification's name, and what it comes to. Any other byte: `Fault.PROTOCOL`."""

WORDS: Final[dict[int, tuple[str, Outcome]]] = {
    0x9000: ("SW_NO_ERROR", OK),
    0x9100: ("CTAP2 keep-alive", RETRY),
    0x6985: ("SW_CONDITIONS_NOT_SATISFIED", Hint.TOUCH_THE_KEY),
    0x6A80: ("SW_WRONG_DATA", Denial.UNKNOWN),
    0x6A82: ("SW_FILE_NOT_FOUND (no FIDO applet)", Denial.UNKNOWN),
    0x6999: ("SW_APPLET_SELECT_FAILED", Denial.UNKNOWN),
    0x6D00: ("SW_INS_NOT_SUPPORTED", Denial.NOT_ALLOWED),
    0x6E00: ("SW_CLA_NOT_SUPPORTED", Denial.NOT_ALLOWED),
    0x6700: ("SW_WRONG_LENGTH", Fault.PROTOCOL),
    0x6400: ("SW_NO_ANSWER (ISO/IEC 7816-4)", Hint.HOLD_LONGER),
    0x6401: ("SW_ABORTED (ISO/IEC 7816-4)", RETRY),
    0x6F00: ("SW_UNKNOWN", Fault.PROTOCOL),
}
"""By status word, but 61xx (more to come: RETRY). Any other word: `Fault.PROTOCOL`."""


def outcome(status: int) -> Outcome:
    """Return what a status byte (0 to 255) comes to."""
    return OUTCOMES[status][1] if status in OUTCOMES else Fault.PROTOCOL


def outcome_of_word(word: int) -> Outcome:
    """Return what a status word (0 to 65,535) comes to."""
    if word >> 8 == 0x61:
        return RETRY
    return WORDS[word][1] if word in WORDS else Fault.PROTOCOL


def name(status: int) -> str:
    """Return the specification's name of a status byte, for logs."""
    if status in OUTCOMES:
        return OUTCOMES[status][0]
    kind = "extension" if 0xE0 <= status <= 0xEF else "vendor" if status >= 0xF0 else "unassigned"
    return f"{kind} status {status:#04x}"
