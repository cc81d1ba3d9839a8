"""A system of the tests' own, that can fail wherever one likes."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from authd.broker.rotation import ChangeRefused, SystemSilent
from authd.broker.secret import Secret, Shape


class Fault(StrEnum):
    NONE = "none"
    SILENT_BEFORE = "silent_before"
    """It did not hear."""
    SILENT_AFTER = "silent_after"
    """It changed, and its answer was lost."""
    REFUSED = "refused"
    LYING = "lying"
    """It says that it changed, and did not."""


class OldSystem:
    """One account, one password, and what it was asked."""

    def __init__(self, password: str, *, commanding: bool = False) -> None:
        self.password = password
        self.believed = [password]
        self.fault = Fault.NONE
        self.commanding = commanding
        self.shape = Shape(24)
        self.failures = 0
        """In a row; at five the account would be locked."""
        self.worst = 0
        self.between: Callable[[str], None] = lambda point: None

    def opens(self, account: str, secret: Secret) -> bool:
        self.between("opens")
        right = secret.reveal() == self.password
        self.failures = 0 if right else self.failures + 1
        self.worst = max(self.worst, self.failures)
        self.between("opened")
        return right

    def change(self, account: str, old: Secret, new: Secret) -> None:
        self.between("change")
        if self.fault is Fault.SILENT_BEFORE:
            raise SystemSilent("silent")
        if self.fault is Fault.REFUSED or not (self.commanding or old.reveal() == self.password):
            raise ChangeRefused("refused")
        if self.fault is not Fault.LYING:
            self.password = new.reveal()
            self.believed.append(self.password)
        self.between("changed")
        if self.fault is Fault.SILENT_AFTER:
            raise SystemSilent("silent")
