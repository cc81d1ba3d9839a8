"""What stands behind a seat's screen for keys: the real reader and the real checker, with a test in place of core."""

from __future__ import annotations

import itertools
from collections.abc import Generator
from contextlib import contextmanager

from authd.core.model import Message, Nonce, ReaderId
from authd.core.ports import Heard, Sample
from authd.driver import Checked, Denial, Enroll, Enrolled, NotAccepted, Reference
from authd.service.readers.answers import Job
from authd.service.readers.screen_key import Office as OfficeFile
from authd.service.readers.screen_key import ScreenKey
from authd.web.door import Ceremony, DoorError
from authd_drivers.fido2.checker import Fido2Checker
from tests.e2e.browser import Screen
from tests.web.fakes import active, locked

SUBJECT = "sub_hanako"


class Office:
    """Enrols one key, then arms nonce after nonce, and shows on the screen what its checker says."""

    def __init__(self, screen: Screen) -> None:
        origin = screen.origin.replace("127.0.0.1", "localhost")
        text = f'name = "City"\nrp_id = "localhost"\norigins = ["{origin}"]\n'
        self.door = screen.door
        self.checker = Fido2Checker([text])
        self.key = ScreenKey(ReaderId("screen"), OfficeFile.read(text), self._heard)
        self.taken: list[str] = []
        self.verdicts: list[Checked] = []
        self.enrolled: list[bytes] = []
        self._nonces = (Nonce(f"{number:032x}") for number in itertools.count(1))
        self._references = (f"tpl_{number}@1" for number in itertools.count(1))
        self.door.begin, self.door.done = self._begin, self._done
        self.nonce = self.arm()

    @property
    def denial(self) -> Denial | None:
        """What the checker said last."""
        return self.verdicts[-1].denial

    def arm(self) -> Nonce:
        """Wait for a key, under a nonce of its own."""
        self.nonce = next(self._nonces)
        self.key.arm(self.nonce)
        return self.nonce

    def enrol(self, *exclude: bytes) -> None:
        """Wait for a key that is to be enrolled."""
        self.key.do(Job(Enroll(next(self._nonces), SUBJECT, exclude=exclude), self._made))

    def _begin(self) -> Ceremony:
        asked = self.key.ceremony()
        if asked is None:
            raise DoorError("refused")
        return Ceremony(asked.kind, asked.options)

    def _done(self, response: str) -> None:
        self.taken.append(response)
        if not self.key.signed(response.encode()):
            raise DoorError("refused")

    def _made(self, event: object) -> None:
        if not isinstance(event, Enrolled):
            return
        try:
            record = self.checker.admit(event.data, event.nonce, SUBJECT)
        except NotAccepted:
            self.door.show(locked(Message.KEY_REFUSED))
            return
        reference = next(self._references)
        self.enrolled.append(record)
        self.checker.add([Reference(SUBJECT, reference, record)])
        self.door.show(locked(Message.KEPT))

    def _heard(self, heard: Heard) -> None:
        if not isinstance(heard, Sample):
            return
        said = self.checker.check(heard.probe, heard.nonce, [SUBJECT])
        self.verdicts.append(said)
        unknown = said.denial in (Denial.UNKNOWN, Denial.REVOKED)
        refused = locked(Message.KEY_UNKNOWN if unknown else Message.KEY_REFUSED)
        self.arm()
        self.door.show(active() if said.denial is None else refused)


@contextmanager
def office(screen: Screen) -> Generator[Office, None, None]:
    """An office whose one seat is shown."""
    made = Office(screen)
    with made.key.watched():
        yield made
