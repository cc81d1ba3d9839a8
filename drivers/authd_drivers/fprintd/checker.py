"""What fprintd says, checked: the half of the modality that runs in the verifier child, without any device.

There is no signature: a service of this machine says that the finger is one of the claimed account's. So it counts only
for exactly that account, under the nonce it was asked with, and only while the service keeps no finger of the account
that was not enrolled here: fprintd's store lies open to every administrator of the machine, authd's is sealed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from authd.driver import Checked, Denial, DriverError, Fault, NotAccepted, Reference
from authd_drivers.fprintd.prints import Match, Print, credential, read_claimed, read_credential, read_enrolled

FACTORS = ("fingerprint",)
GRADE = "B"


@dataclass(frozen=True, slots=True)
class _Held:
    subject: str
    reference: str


class FprintdChecker:
    """Implements `authd.driver.Checker`."""

    def __init__(self) -> None:
        self._held = dict[Print, _Held]()
        self._revoked = dict[Print, _Held]()

    def admit(self, enrolled: bytes, nonce: str, account: str) -> bytes:
        """Return the credential to be kept. Raises `NotAccepted`, and `DriverError` where it is no enrolment."""
        made, under = read_enrolled(enrolled)
        if made.account != account:
            raise DriverError(Fault.PROTOCOL, "another account than the one that was to be enrolled")
        if under != nonce:
            raise NotAccepted(Denial.REPLAYED)
        if made in self._held:
            raise NotAccepted(Denial.DUPLICATE)
        return credential(made)

    def credential(self, reference: str) -> bytes:
        """Return which finger of which account it is. Raises `DriverError` for one that is not held."""
        return credential(self._print(reference))

    def name(self, reference: str) -> str:
        """Return the name under which the service keeps it. Raises `DriverError` for one that is not held."""
        return self._print(reference).name

    def load(self, references: Sequence[Reference], counters: Mapping[str, int]) -> None:
        """Replace all credentials; there are no counters."""
        del counters
        self._held = dict(map(_hold, references))

    def add(self, references: Sequence[Reference]) -> None:
        """Add credentials."""
        for made, held in map(_hold, references):
            self._held[made] = held
            self._revoked.pop(made, None)

    def remove(self, subject: str, reference: str = "") -> None:
        """Forget a person's credentials, or the one that was revoked."""
        for made, held in [*self._held.items()]:
            if held.subject == subject and reference in ("", held.reference):
                self._revoked[made] = held if reference else _Held("", "")
                del self._held[made]

    def check(self, given: bytes, nonce: str, scope: Sequence[str], *, silent: bool = False) -> Checked:
        """Check the data of a `Claimed`. Raises `DriverError` where it is none; nothing is ever said silently."""
        match = read_claimed(given)
        if silent:
            raise DriverError(Fault.PROTOCOL, "nobody was asked for a finger")
        account = match.print.account
        if account not in scope:
            return Checked(denial=Denial.UNKNOWN)
        stranger = self._stranger(match)
        if stranger is not None:
            return stranger
        finger = match.print.finger or sorted(match.fingers)[0]
        held = self._held[Print(account, finger)]
        if match.nonce != nonce:
            return Checked(held.subject, held.reference, denial=Denial.REPLAYED)
        return Checked(held.subject, held.reference, FACTORS, GRADE)

    def _stranger(self, match: Match) -> Checked | None:
        """Return the no for an account that has a finger in the service which is not, or no more, enrolled here."""
        account = match.print.account
        for finger in match.fingers:
            which = Print(account, finger)
            held = self._held.get(which)
            if held is None:
                was = self._revoked.get(which)
                why = Denial.UNKNOWN if was is None else Denial.REVOKED
                return Checked(*(("", "") if was is None else (was.subject, was.reference)), denial=why)
            if held.subject != account:
                return Checked(denial=Denial.UNKNOWN)
        return None

    def _print(self, reference: str) -> Print:
        for made, held in self._held.items():
            if held.reference == reference:
                return made
        raise DriverError(Fault.PROTOCOL, "no such credential")


def _hold(reference: Reference) -> tuple[Print, _Held]:
    return read_credential(reference.data), _Held(reference.subject, reference.id)
