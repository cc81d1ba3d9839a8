"""One outcome for every status and error that fprintd can say, and for the bus's errors that stand for it.

- `OK`: done (a match, a finished enrolment; or nothing was to be done). `GO_ON`: one stage of an enrolment is done.
- `NO_MATCH`: the only word for a wrong finger. Whatever else is wrong is never counted as one.
- `RETRY`: the service lost its footing (suspend, restart, a sensor that has to be opened anew): back off, claim again.
- `Hint`: the person can do better. `Fault`: the device is in trouble. `Denial`: the service says no.

The words are those of fprintd's interface net.reactivated.Fprint.Device and of the D-Bus specification; one that
neither knows is `Fault.PROTOCOL`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal

from authd.driver import Denial, Fault, Hint

OK: Final = "ok"
GO_ON: Final = "go on"
NO_MATCH: Final = "no match"
RETRY: Final = "retry"
Outcome = Literal["ok", "go on", "no match", "retry"] | Hint | Fault | Denial
_FPRINT, _DBUS, _SPAWN = (
    "net.reactivated.Fprint.Error.",
    "org.freedesktop.DBus.Error.",
    "org.freedesktop.DBus.Error.Spawn.",
)

VERIFY: Final[dict[str, tuple[Outcome, str]]] = {
    "verify-match": (OK, "one of the claimed person's fingers"),
    "verify-no-match": (NO_MATCH, "none of them"),
    "verify-retry-scan": (Hint.FINGER_AGAIN, "a presentation that was no good"),
    "verify-swipe-too-short": (Hint.TOO_SHORT, "too short"),
    "verify-too-fast": (Hint.TOO_FAST, "too fast"),
    "verify-finger-not-centered": (Hint.CENTRE, "beside the middle"),
    "verify-remove-and-retry": (Hint.REMOVE_AND_RETRY, "lay it down anew"),
    "verify-disconnected": (Fault.REMOVED, "the sensor is gone"),
    "verify-unknown-error": (RETRY, "suspended, too hot, or the sensor's driver failed"),
}
ENROLL: Final[dict[str, tuple[Outcome, str]]] = {
    "enroll-completed": (OK, "the print is kept"),
    "enroll-stage-passed": (GO_ON, "one stage is done"),
    "enroll-failed": (Fault.FULL, "the print could not be kept"),
    "enroll-data-full": (Fault.FULL, "the sensor's memory is full"),
    "enroll-duplicate": (Denial.DUPLICATE, "this finger is enrolled, of this account or another"),
    "enroll-retry-scan": (Hint.FINGER_AGAIN, "a presentation that was no good"),
    "enroll-swipe-too-short": (Hint.TOO_SHORT, "too short"),
    "enroll-too-fast": (Hint.TOO_FAST, "too fast"),
    "enroll-finger-not-centered": (Hint.CENTRE, "beside the middle"),
    "enroll-remove-and-retry": (Hint.REMOVE_AND_RETRY, "lay it down anew"),
    "enroll-disconnected": (Fault.REMOVED, "the sensor is gone"),
    "enroll-unknown-error": (RETRY, "suspended, too hot, or the sensor's driver failed"),
}
KNOWN: Final = frozenset(VERIFY) | frozenset(ENROLL)
FINAL: Final = frozenset(
    word
    for table in (VERIFY, ENROLL)
    for word, (outcome, _) in table.items()
    if outcome != GO_ON and not isinstance(outcome, Hint)
)
"""Statuses that end a verification or enrolment (they come with `done`; no other does)."""

ERRORS: Final[dict[str, tuple[Outcome, str]]] = {
    _FPRINT + "ClaimDevice": (RETRY, "the claim was lost"),
    _FPRINT + "AlreadyInUse": (Fault.BUSY, "another program has claimed the sensor"),
    _FPRINT + "Internal": (RETRY, "the sensor does not open, or not now"),
    _FPRINT + "PermissionDenied": (Fault.NOT_PERMITTED, "polkit says no"),
    _FPRINT + "NoEnrolledPrints": (Denial.UNKNOWN, "no finger of this account"),
    _FPRINT + "FingerAlreadyEnrolled": (Denial.DUPLICATE, "this finger of this account is enrolled"),
    _FPRINT + "NoActionInProgress": (OK, "there was nothing to stop"),
    _FPRINT + "InvalidFingername": (Fault.PROTOCOL, "no name of a finger"),
    _FPRINT + "NoSuchDevice": (Fault.REMOVED, "no sensor"),
    _FPRINT + "PrintsNotDeleted": (Fault.NOT_PERMITTED, "the print is still in the store"),
    _FPRINT + "PrintsNotDeletedFromDevice": (OK, "the print is out of the store, though not out of the sensor"),
    _DBUS + "AccessDenied": (Fault.NOT_PERMITTED, "the bus's policy says no"),
    _DBUS + "AuthFailed": (Fault.NOT_PERMITTED, "the bus does not let us in"),
    _DBUS + "InteractiveAuthorizationRequired": (Fault.NOT_PERMITTED, "polkit would ask somebody"),
    _DBUS + "ServiceUnknown": (Fault.REMOVED, "fprintd is not installed, or not running"),
    _DBUS + "NameHasNoOwner": (Fault.REMOVED, "fprintd is not running"),
    _DBUS + "Disconnected": (Fault.REMOVED, "the bus is gone"),
    _DBUS + "NoServer": (Fault.REMOVED, "the bus is gone"),
    _DBUS + "UnknownMethod": (Fault.REMOVED, "the sensor's object is gone"),
    _DBUS + "UnknownObject": (Fault.REMOVED, "the sensor's object is gone"),
    _DBUS + "UnknownInterface": (Fault.REMOVED, "the sensor's object is gone"),
    _DBUS + "UnknownProperty": (Fault.PROTOCOL, "no such property"),
    _DBUS + "NoReply": (RETRY, "fprintd died in mid-call"),
    _DBUS + "Timeout": (Fault.TIMEOUT, "no answer"),
    _DBUS + "TimedOut": (Fault.TIMEOUT, "no answer"),
    _DBUS + "LimitsExceeded": (Fault.BUSY, "the bus is at its limits"),
    _DBUS + "NoMemory": (Fault.FULL, "no memory"),
    _DBUS + "Failed": (Fault.PROTOCOL, "failed, without a reason"),
    _DBUS + "InvalidArgs": (Fault.PROTOCOL, "not the arguments it expects"),
    _DBUS + "InvalidSignature": (Fault.PROTOCOL, "not the arguments it expects"),
    _DBUS + "InconsistentMessage": (Fault.PROTOCOL, "a message that contradicts itself"),
    _DBUS + "MatchRuleInvalid": (Fault.PROTOCOL, "not a rule"),
    _DBUS + "NotSupported": (Fault.PROTOCOL, "not supported"),
    _SPAWN + "ExecFailed": (Fault.REMOVED, "fprintd does not start"),
    _SPAWN + "ForkFailed": (Fault.REMOVED, "fprintd does not start"),
    _SPAWN + "ChildExited": (Fault.REMOVED, "fprintd does not stay"),
    _SPAWN + "ChildSignaled": (Fault.REMOVED, "fprintd does not stay"),
    _SPAWN + "Failed": (Fault.REMOVED, "fprintd does not start"),
    _SPAWN + "FailedToSetup": (Fault.REMOVED, "fprintd does not start"),
    _SPAWN + "ConfigInvalid": (Fault.REMOVED, "fprintd does not start"),
    _SPAWN + "ServiceNotValid": (Fault.REMOVED, "fprintd does not start"),
    _SPAWN + "ServiceNotFound": (Fault.REMOVED, "fprintd is not installed"),
    _SPAWN + "PermissionsInvalid": (Fault.NOT_PERMITTED, "fprintd may not be started"),
    _SPAWN + "FileInvalid": (Fault.REMOVED, "fprintd does not start"),
    _SPAWN + "NoMemory": (Fault.FULL, "no memory"),
    "org.freedesktop.systemd1.NoSuchUnit": (Fault.REMOVED, "fprintd is not installed"),
    "org.freedesktop.systemd1.UnitMasked": (Fault.REMOVED, "fprintd is switched off"),
}
TABLES: Final[Mapping[str, Mapping[str, tuple[Outcome, str]]]] = {
    "VerifyStatus": VERIFY,
    "EnrollStatus": ENROLL,
    "Errors": ERRORS,
}


def outcome(table: Mapping[str, tuple[Outcome, str]], word: str) -> Outcome:
    """Return what a status or the name of an error comes to; a word that is not of the table is `Fault.PROTOCOL`."""
    return table.get(word, (Fault.PROTOCOL, ""))[0]


def rows() -> Iterator[tuple[str, str, Outcome, str]]:
    """Yield every word for the reference page: its table, the word, the outcome, what it means."""
    for name, table in TABLES.items():
        for word, (result, meaning) in table.items():
            yield name, word, result, meaning
