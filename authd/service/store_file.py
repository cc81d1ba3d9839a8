"""The file of the store, synchronously: every method is one durable transaction, or raises and changes nothing.

An older format is migrated when the file is opened; a damaged or foreign file is not opened at all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import apsw

from authd.core.model import Instant, SubjectId
from authd.core.ports import Counter, PortError
from authd.service.seal import SealedTemplate, WrappedKey
from authd.service.sqlite import Database, check_version, connect
from authd.service.staff import (
    BadAttribute,
    PersonRecord,
    check_key,
    check_subject,
    check_template,
    check_word,
    checked,
)

FORMAT = 3
APPLICATION_ID = 0x61757473

SCHEMA = (
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "CREATE TABLE person(subject TEXT PRIMARY KEY, staff_number TEXT NOT NULL, name TEXT NOT NULL, "
    "section TEXT NOT NULL, officer INTEGER NOT NULL, disabled INTEGER NOT NULL, kana TEXT NOT NULL DEFAULT '')",
    "CREATE UNIQUE INDEX staff ON person(staff_number) WHERE NOT disabled",
    "CREATE TABLE template(id TEXT PRIMARY KEY, version INTEGER NOT NULL, subject TEXT NOT NULL, "
    "modality TEXT NOT NULL, finger TEXT NOT NULL, sealed BLOB NOT NULL)",
    "CREATE TABLE key(subject TEXT PRIMARY KEY, wrapped BLOB NOT NULL)",
    "CREATE TABLE counter(key TEXT PRIMARY KEY, failures INTEGER NOT NULL, not_before INTEGER NOT NULL, "
    "changed_at INTEGER NOT NULL, boot TEXT NOT NULL)",
    "CREATE TABLE epoch(seat TEXT PRIMARY KEY, epoch INTEGER NOT NULL)",
    "CREATE TABLE signature(reference TEXT PRIMARY KEY, counter INTEGER NOT NULL)",
)


class StoreError(PortError):
    """The store cannot do it now (the disk), or what was asked contradicts what it holds."""


class StoreDamaged(StoreError):
    """The file is not a sound store. Nothing was changed; the text names the command to run."""

    def __init__(self, detail: str, path: Path) -> None:
        super().__init__(f"{path}: {detail}; run: authd ledger verify --store {path}")


class StoreFile:
    """An open store. Used by one thread at a time."""

    def __init__(self, path: Path, db: Database) -> None:
        self.path, self.db = path, db
        self.id = str(db.value("SELECT value FROM meta WHERE name = 'id'"))
        """Random and fixed: part of what every sealed template is bound to."""

    @classmethod
    def open(cls, path: Path) -> StoreFile:
        """Open the store, made if there is none, migrated if it is older. Raises `StoreError`."""
        check_version()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not path.exists():
                _create(path)
            check(path)
            db = connect(path, False)
            db.pragma("secure_delete", 1)
            _migrate(db)
            return cls(path, db)
        except (apsw.CorruptError, apsw.NotADBError) as error:
            raise StoreDamaged(str(error), path) from error
        except (apsw.Error, OSError) as error:
            raise StoreError(f"{path}: {error}") from error

    def people(self) -> list[PersonRecord]:
        """Return everybody there ever was, the disabled too."""
        return _people(self.db)

    def save_person(self, person: PersonRecord) -> PersonRecord:
        """Add a person, or change the attributes of one; returns what is now kept. Raises `BadAttribute`."""
        person = checked(person)
        row = (person.subject, person.staff_number, person.name, person.section, person.officer, person.disabled)
        try:
            self.db.execute(
                "INSERT INTO person VALUES(?, ?, ?, ?, ?, ?, ?) ON CONFLICT(subject) DO UPDATE SET "
                "(staff_number, name, section, officer, disabled, kana) = (excluded.staff_number, excluded.name, "
                "excluded.section, excluded.officer, excluded.disabled, excluded.kana)",
                (*row, person.kana),
            )
        except apsw.ConstraintError as error:
            raise BadAttribute("staff_number", "somebody else has it") from error
        return person

    def change(self, people: Sequence[PersonRecord]) -> list[PersonRecord]:
        """Change names, readings and sections: all or nothing; whether somebody is an officer or disabled stays."""
        kept = [checked(person) for person in people]
        with self.db.transaction():
            for person in kept:
                row = (person.name, person.kana, person.section, person.subject)
                self.db.execute("UPDATE person SET name = ?, kana = ?, section = ? WHERE subject = ?", row)
        return kept

    def enrol(
        self, person: PersonRecord, keys: Sequence[WrappedKey], templates: Sequence[SealedTemplate]
    ) -> PersonRecord:
        """Keep a person with key and templates: all or nothing."""
        with self.db.transaction():
            person = self.save_person(person)
            for key in keys:
                self.save_key(key)
            for template in templates:
                self.save_template(template)
        return person

    def erase(self, subject: str) -> None:
        """Destroy a person's templates, key and tries, and disable them; the id and its attributes stay for ever."""
        with self.db.transaction():
            self.db.execute("UPDATE person SET disabled = 1 WHERE subject = ?", (subject,))
            theirs = "(SELECT id || '@' || version FROM template WHERE subject = ?)"
            self.db.execute(f"DELETE FROM signature WHERE reference IN {theirs}", (subject,))  # noqa: S608 (a constant)
            self.db.execute("DELETE FROM template WHERE subject = ?", (subject,))
            self.db.execute("DELETE FROM key WHERE subject = ?", (subject,))
            for kind in ("subject", "named"):
                self.db.execute("DELETE FROM counter WHERE key = ?", (f"{kind}:{subject}",))
        self.db.empty_wal()

    def templates(self) -> list[SealedTemplate]:
        """Return every template as it is stored; the caller compares digests with the ledger's anchors."""
        return _templates(self.db)

    def save_template(self, template: SealedTemplate) -> None:
        """Keep a new template (version 1), or the next version of one. Raises `StoreError` for any other version."""
        check_template(template.id)
        check_subject(template.subject)
        check_word("modality", template.modality)
        check_word("finger", template.finger)
        held = self.db.value("SELECT version FROM template WHERE id = ?", (template.id,)) or 0
        if template.version != held + 1:
            raise StoreError(f"version {held + 1} of the template is expected, not {template.version}")
        where = (template.id, template.version, template.subject, template.modality, template.finger)
        self.db.execute("INSERT OR REPLACE INTO template VALUES(?, ?, ?, ?, ?, ?)", (*where, template.sealed))

    def keys(self) -> list[WrappedKey]:
        """Return every person's wrapped key."""
        return [WrappedKey(*row) for row in self.db.execute("SELECT subject, wrapped FROM key ORDER BY subject")]

    def save_key(self, key: WrappedKey) -> None:
        """Keep a person's wrapped key."""
        check_subject(key.subject)
        self.db.execute("INSERT OR REPLACE INTO key VALUES(?, ?)", (key.subject, key.wrapped))

    def counters(self) -> dict[str, Counter]:
        """Return every counter of failed tries."""
        rows = self.db.execute("SELECT key, failures, not_before, changed_at, boot FROM counter")
        return {row[0]: Counter(row[1], Instant(row[2]), Instant(row[3]), row[4]) for row in rows}

    def save_counter(self, key: str, counter: Counter) -> None:
        """Keep one counter."""
        check_key(key)
        row = (key, counter.failures, counter.not_before, counter.changed_at, counter.boot)
        self.db.execute("INSERT OR REPLACE INTO counter VALUES(?, ?, ?, ?, ?)", row)

    def signatures(self) -> dict[str, int]:
        """Return the last signature counter of each key, by reference."""
        return {row[0]: row[1] for row in self.db.execute("SELECT reference, counter FROM signature")}

    def keep_signature(self, reference: str, counter: int) -> bool:
        """Keep a key's next counter; False, and nothing changed, where it stands still or goes back (0 after 0 may)."""
        check_template(reference.partition("@")[0])
        kept = self.db.value(
            "INSERT INTO signature VALUES(?, ?) ON CONFLICT(reference) DO UPDATE SET counter = excluded.counter "
            "WHERE excluded.counter > counter OR (excluded.counter = 0 AND counter = 0) RETURNING 1",
            (reference, counter),
        )
        return bool(kept)

    def claim(self, seat: str) -> int:
        """Raise the seat's epoch above every one it ever had and return it."""
        check_word("seat", seat)
        raised = "INSERT INTO epoch VALUES(?, 1) ON CONFLICT(seat) DO UPDATE SET epoch = epoch + 1 RETURNING epoch"
        return int(self.db.value(raised, (seat,)))

    def close(self) -> None:
        """Close the file."""
        self.db.close()


def check(path: Path) -> None:
    """Look at a store without changing it. Raises `StoreDamaged`, or `StoreError` for a newer format."""
    db = connect(path, True)
    try:
        version = int(db.pragma("user_version"))
        if db.pragma("application_id") != APPLICATION_ID or version < 1:
            raise StoreDamaged("not a store of authd", path)
        if version > FORMAT:
            raise StoreError(f"{path} has format {version}, written by a newer authd; this one knows {FORMAT}")
        if db.pragma("integrity_check") != "ok":
            raise StoreDamaged("damaged", path)
        if db.value("SELECT 1 FROM sqlite_schema WHERE type IN ('trigger', 'view')"):
            raise StoreDamaged("has triggers or views that authd did not make", path)
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise StoreDamaged(str(error), path) from error
    finally:
        db.close()


def _create(path: Path) -> None:
    """Make the store whole under another name, then rename it."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    db = connect(fresh, False)
    try:
        with db.transaction():
            db.pragma("application_id", APPLICATION_ID)
            db.pragma("user_version", FORMAT)
            for statement in SCHEMA:
                db.execute(statement)
            db.execute("INSERT INTO meta VALUES('id', 'sto_' || lower(hex(randomblob(16))))")
        db.empty_wal()
    finally:
        db.close()
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _migrate(db: Database) -> None:
    for step in range(int(db.pragma("user_version")), FORMAT):
        with db.transaction():
            STEPS[step](db)
            db.pragma("user_version", step + 1)


def _add_kana(db: Database) -> None:
    """Format 1 kept no reading of a name."""
    db.execute("ALTER TABLE person ADD COLUMN kana TEXT NOT NULL DEFAULT ''")


def _add_signatures(db: Database) -> None:
    """Format 2 knew no keys, which count their signatures."""
    db.execute("CREATE TABLE signature(reference TEXT PRIMARY KEY, counter INTEGER NOT NULL)")


STEPS: dict[int, Callable[[Database], Any]] = {1: _add_kana, 2: _add_signatures}
"""Format -> what brings the store to the next, in one transaction."""


def read_people(path: Path) -> list[PersonRecord]:
    """Return everybody in a store, without opening it for writing; of an older format, without a kana."""
    db = connect(path, True)
    try:
        return _people(db)
    finally:
        db.close()


def read_templates(path: Path) -> list[SealedTemplate]:
    """Return every sealed template in a store, without opening it for writing."""
    db = connect(path, True)
    try:
        return _templates(db)
    finally:
        db.close()


def _people(db: Database) -> list[PersonRecord]:
    kana = "kana" if int(db.pragma("user_version")) > 1 else "''"
    rows = db.execute(f"SELECT subject, staff_number, name, {kana}, section, officer, disabled FROM person")  # noqa: S608 (a constant)
    return [
        PersonRecord(SubjectId(subject), number, name, reading, section, bool(officer), bool(disabled))
        for subject, number, name, reading, section, officer, disabled in rows
    ]


def _templates(db: Database) -> list[SealedTemplate]:
    rows = db.execute("SELECT id, version, subject, modality, finger, sealed FROM template ORDER BY id")
    return [SealedTemplate(*row) for row in rows]
