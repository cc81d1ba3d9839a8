"""Passwords of an old web application, changed by its own page."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from authd.broker.forms.browser import Unreachable
from authd.broker.forms.legacy import FormSystem, Legacy, Outcome
from authd.broker.rotation.port import ChangeRefused, SystemSilent
from authd.broker.secret import Secret, Shape


class FormRotator:
    """The accounts of one application."""

    commanding = False

    def __init__(self, system: FormSystem, here: Path) -> None:
        self._system = system
        self._legacy = Legacy(system, here)
        self.shape = Shape(system.length, system.alphabet)

    def opens(self, account: str, secret: Secret) -> bool:
        """Sign on, and off again."""
        try:
            outcome, visit = self._legacy.sign_on(account, secret)
        except Unreachable as error:
            raise SystemSilent(f"{self._system.origin}: {error}") from None
        with suppress(Unreachable):
            visit.sign_off()
        return outcome is Outcome.DONE

    def change(self, account: str, old: Secret, new: Secret) -> None:
        """Sign on with the old one and fill in the page for a new one."""
        terms = self._system.change
        if terms is None:
            raise ChangeRefused(f"{self._system.origin}: has no page for a new password here; say it as change")
        try:
            outcome, visit = self._legacy.sign_on(account, old)
            page = visit.change(old, new) if outcome is Outcome.DONE else None
            with suppress(Unreachable):
                visit.sign_off()
        except Unreachable as error:
            raise SystemSilent(f"{self._system.origin}: {error}") from None
        if page is None or terms.done not in page.text:
            raise ChangeRefused(f"{self._system.origin}: its page does not say that the password was changed")
