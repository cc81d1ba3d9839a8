"""What the host keeps besides the ledger: people, sealed templates, wrapped keys, failed tries, epochs of seats.

One SQLite file, durable at each change, written by one worker thread. Templates are ciphertext; whether a template
is the current one is said by the ledger, which anchors its digest. Nothing here is ever trusted to name a person.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import ParamSpec, TypeVar

import apsw

from authd.core.model import Epoch, SeatId, SubjectId
from authd.core.ports import Counter
from authd.service.seal import SealedTemplate, WrappedKey
from authd.service.staff import BadAttribute, PersonRecord, new_subject
from authd.service.store_file import StoreDamaged, StoreError, StoreFile

__all__ = ["BadAttribute", "PersonRecord", "Store", "StoreDamaged", "StoreError"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Store:
    """The store as the daemon sees it: asynchronous faces on one worker thread, and everybody's attributes at hand.

    Implements `ports.Counters` (`load`, `save`); counts the lives of seats (`claim`) and the signatures of keys.
    """

    def __init__(self, file: StoreFile, worker: ThreadPoolExecutor) -> None:
        self.id = file.id
        self._file, self._worker = file, worker
        self._people = {person.subject: person for person in file.people()}

    @classmethod
    async def open(cls, path: Path) -> Store:
        """Open the store, made if there is none. Raises `StoreError`; `StoreDamaged` names the command to run."""
        worker = ThreadPoolExecutor(1, "store")
        try:
            return await asyncio.get_running_loop().run_in_executor(worker, lambda: cls(StoreFile.open(path), worker))
        except BaseException:
            worker.shutdown(wait=False)
            raise

    @property
    def people(self) -> Mapping[SubjectId, PersonRecord]:
        """Everybody there ever was, by subject, as it stands now; answers at once."""
        return MappingProxyType(self._people)

    def by_staff_number(self, staff_number: str) -> PersonRecord | None:
        """Return the person, not disabled, with this number."""
        found = (one for one in self._people.values() if one.staff_number == staff_number and not one.disabled)
        return next(found, None)

    async def person(self, subject: SubjectId) -> PersonRecord | None:
        """Return what is known of a person, also of one who is disabled."""
        return self._people.get(subject)

    @staticmethod
    def new_subject() -> SubjectId:
        """Return an id that nobody ever had."""
        return new_subject()

    async def enrol(
        self, person: PersonRecord, keys: Sequence[WrappedKey], templates: Sequence[SealedTemplate]
    ) -> PersonRecord:
        """Keep a person with key and templates, all or nothing. Raises `BadAttribute`, `StoreError`."""
        kept = await self._do(self._file.enrol, person, keys, templates)
        self._people[kept.subject] = kept
        return kept

    async def add(
        self, staff_number: str, name: str, kana: str, section: str, *, officer: bool = False
    ) -> PersonRecord:
        """Add a person under a new id. Raises `BadAttribute`, `StoreError`."""
        return await self.save_person(PersonRecord(new_subject(), staff_number, name, kana, section, officer))

    async def save_person(self, person: PersonRecord) -> PersonRecord:
        """Add a person, or change one's attributes. Raises `BadAttribute`, `StoreError`."""
        kept = await self._do(self._file.save_person, person)
        self._people[kept.subject] = kept
        return kept

    async def change(self, people: Sequence[PersonRecord]) -> None:
        """Change names, readings and sections, of all of these or of none; nothing else of them. Raises as `enrol`."""
        kept = await self._do(self._file.change, people)
        for person in kept:  # whoever was disabled meanwhile stays so
            now = self._known(person.subject)
            self._people[person.subject] = replace(now, name=person.name, kana=person.kana, section=person.section)

    def refuse(self, subject: SubjectId) -> None:
        """No session of this person opens any more, as long as this process lives; `disable` makes it durable."""
        self._people[subject] = replace(self._known(subject), disabled=True)

    async def disable(self, subject: SubjectId) -> None:
        """No session of this person opens any more. At once in memory, and durable on return."""
        self.refuse(subject)
        await self._do(self._file.save_person, self._people[subject])

    async def erase(self, subject: SubjectId) -> None:
        """Destroy what a leaver's finger could be compared with; who they were stays."""
        self._people[subject] = replace(self._known(subject), disabled=True)
        await self._do(self._file.erase, subject)

    async def templates(self) -> list[SealedTemplate]:
        """Return every sealed template as it is stored."""
        return await self._do(self._file.templates)

    async def save_template(self, template: SealedTemplate) -> None:
        """Keep a template's first or next version. Raises `BadAttribute`, `StoreError`."""
        await self._do(self._file.save_template, template)

    async def keys(self) -> list[WrappedKey]:
        """Return every person's wrapped key."""
        return await self._do(self._file.keys)

    async def save_key(self, key: WrappedKey) -> None:
        """Keep a person's wrapped key."""
        await self._do(self._file.save_key, key)

    async def load(self) -> dict[str, Counter]:
        """See `ports.Counters`."""
        return await self._do(self._file.counters)

    async def save(self, key: str, counter: Counter) -> None:
        """See `ports.Counters`."""
        await self._do(self._file.save_counter, key, counter)

    async def signatures(self) -> dict[str, int]:
        """Return the last signature counter of each key, by reference."""
        return await self._do(self._file.signatures)

    async def keep_signature(self, reference: str, counter: int) -> bool:
        """Keep a key's next counter, durably on return; False where it stands still or goes back: a copy of the key."""
        return await self._do(self._file.keep_signature, reference, counter)

    async def claim(self, seat: SeatId) -> Epoch:
        """See `ports.Seats`."""
        return Epoch(await self._do(self._file.claim, seat))

    async def close(self) -> None:
        """Finish what was asked, and close."""
        await self._do(self._file.close)
        self._worker.shutdown()

    def _known(self, subject: SubjectId) -> PersonRecord:
        if subject not in self._people:
            raise StoreError("nobody has this id")
        return self._people[subject]

    async def _do(self, do: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run on the worker. A cancelled caller does not stop what has begun: it is durable, or it is not."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, lambda: do(*args, **kwargs))
        except (apsw.Error, OSError, RuntimeError) as error:
            raise StoreError(str(error)) from error
