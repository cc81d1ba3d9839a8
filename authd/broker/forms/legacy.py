"""One old web application: how it is signed on to, signed off from, and told a new password.

What a page says decides: `done` and `wrong` are texts of the application's own pages, as they stand there. A page that
says neither is no answer.
"""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum
from http.cookiejar import Cookie
from pathlib import Path
from typing import Annotated, Final

import msgspec

from authd.broker.forms.browser import Browser, Unreachable, origin_of
from authd.broker.forms.page import Page
from authd.broker.secret import Secret, Shape

_PATH: Final = r"^/[!-~]{0,500}$"
Path_ = Annotated[str, msgspec.Meta(pattern=_PATH)]
Said = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class SignOnForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`sign_on = {...}`: the page with the form, the names of its fields, and what comes of it."""

    path: Path_
    user: Name
    password: Name
    done: Said
    wrong: Said


class SignOff(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`sign_off = {...}`: a page that ends the application's own session; `form`: the name of a field of its form."""

    path: Path_
    form: str = ""


class ChangeForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`change = {...}`: the application's own page for a new password; who asks has signed on before."""

    path: Path_
    old: Name
    new: Name
    done: Said
    again: str = ""


class FormSystem(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rotator", tag="form"):
    """`[system.NAME] rotator = "form"`."""

    origin: str
    sign_on: SignOnForm
    sign_off: SignOff | None = None
    change: ChangeForm | None = None
    ca_file: str = ""
    length: int = 32
    alphabet: str = "letters+digits"
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 10.0

    def __post_init__(self) -> None:
        """Raises ValueError for what is no origin, or passwords that can be guessed."""
        if not origin_of(self.origin) or self.origin.count("/") != 2:
            raise ValueError("origin must be such as http://tax.city.example:8080")
        Shape(self.length, self.alphabet)


class Outcome(StrEnum):
    """What came of a sign-on."""

    DONE = "done"
    WRONG = "wrong"


class Visit:
    """One sign-on that worked, and how it is ended."""

    def __init__(self, browser: Browser, system: FormSystem) -> None:
        self._browser = browser
        self._system = system

    @property
    def cookies(self) -> list[Cookie]:
        """What the person's own browser needs."""
        return self._browser.cookies

    def change(self, old: Secret, new: Secret) -> Page | None:
        """Fill in the application's page for a new password; None: it has no such form. Raises `Unreachable`."""
        terms = self._system.change
        page = self._browser.get(terms.path) if terms is not None else None
        form = page.form_with(terms.new) if page is not None and terms is not None else None
        if terms is None or page is None or form is None:
            return None
        typed = {terms.old: old.reveal(), terms.new: new.reveal()}
        typed |= {terms.again: new.reveal()} if terms.again else {}
        return self._browser.submit(page, form, typed)

    def sign_off(self) -> None:
        """End the application's own session. Raises `Unreachable`."""
        terms = self._system.sign_off
        if terms is None:
            return
        page = self._browser.get(terms.path)
        form = page.form_with(terms.form) if terms.form else None
        if form is not None:
            page = self._browser.submit(page, form, {})
        if page.status >= 500:
            raise Unreachable(f"its sign-off answers {page.status}")


class Legacy:
    """The application. Every call blocks, for a few time-outs at most."""

    def __init__(self, system: FormSystem, here: Path) -> None:
        self._system = system
        self._ca = here / system.ca_file if system.ca_file else None

    def sign_on(self, account: str, secret: Secret) -> tuple[Outcome, Visit]:
        """Fill in the form. Raises `Unreachable` where the page says neither yes nor no."""
        terms = self._system.sign_on
        browser = Browser(self._system.origin, self._system.timeout_s, self._ca)
        page = browser.get(terms.path)
        form = page.form_with(terms.password)
        if form is None:
            raise Unreachable(f"{terms.path} has no form with a field {terms.password}; see sign_on")
        visit = Visit(browser, self._system)
        try:
            answer = browser.submit(page, form, {terms.user: account, terms.password: secret.reveal()})
            if terms.wrong in answer.text:
                return Outcome.WRONG, visit
            if terms.done not in answer.text:
                said = "the page behind its form says neither what `done` nor what `wrong` says; see sign_on"
                raise Unreachable(said)
        except Unreachable:
            with suppress(Unreachable):
                visit.sign_off()  # it may have let them in all the same
            raise
        return Outcome.DONE, visit
