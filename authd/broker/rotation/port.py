"""The port of a system whose passwords are replaced: two methods, and three things that can go wrong."""

from __future__ import annotations

from typing import Protocol

from authd.broker.secret import Secret, Shape


class RotatorError(Exception):
    """A password was not replaced; the text is one line for a person and says what to do. It never says a password."""


class SystemSilent(RotatorError):
    """The system did not answer, or not in time: what it did, it may have done. Try again later."""


class ChangeRefused(RotatorError):
    """The system answered that it does not change this password."""


class Rotator(Protocol):
    """One system. Each call may block for as long as the system's own time-out, and is bounded by it."""

    @property
    def shape(self) -> Shape:
        """What its new passwords look like."""
        ...

    @property
    def commanding(self) -> bool:
        """Whether it changes a password by an authority of its own, without the old one."""
        ...

    def opens(self, account: str, secret: Secret) -> bool:
        """Whether the system lets this account in with this password, asked of the system itself. One try.

        Raises `SystemSilent` where it cannot be said: no answer is neither yes nor no.
        """
        ...

    def change(self, account: str, old: Secret, new: Secret) -> None:
        """Make the account's password `new`. Raises `ChangeRefused`, `SystemSilent`."""
        ...
