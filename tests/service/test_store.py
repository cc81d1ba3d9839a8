"""The store: what it keeps, what it refuses to keep, and that it comes back as it was."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authd.core.model import Instant, SeatId, SubjectId
from authd.core.ports import Counter
from authd.service import store_file
from authd.service.seal import SealedTemplate, WrappedKey
from authd.service.sqlite import Database
from authd.service.staff import BadAttribute, PersonRecord, checked, checked_name, new_subject
from authd.service.store import Store, StoreDamaged, StoreError
from authd.service.store_file import StoreFile

SATO = PersonRecord(SubjectId("sub_a"), "1001", "佐藤 花子", "サトウ ハナコ", "住民課", officer=True)


@asynccontextmanager
async def opened(path: Path) -> AsyncGenerator[Store]:
    store = await Store.open(path)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "store.sqlite"


def template(
    version: int = 1, sealed: bytes = b"sealed", name: str = "tpl_1", subject: str = "sub_a"
) -> SealedTemplate:
    return SealedTemplate(name, version, subject, "vein", "right-index", sealed)


async def test_people_come_back_with_their_names(path: Path) -> None:
    async with opened(path) as store:
        kept = await store.add("1001", " 佐藤 花子 ", "サトウ ハナコ", "住民課")
        assert kept.subject.startswith("sub_")
        assert len(kept.subject) == 36
        await store.save_person(replace(kept, section="税務課"))
    async with opened(path) as store:
        assert store.people == {kept.subject: replace(kept, name="佐藤 花子", section="税務課")}
        assert store.by_staff_number("1001") == store.people[kept.subject]


async def test_a_disabled_person_stays_and_frees_the_number(path: Path) -> None:
    async with opened(path) as store:
        first = await store.add("1001", "A", "", "")
        with pytest.raises(BadAttribute, match="somebody else"):
            await store.add("1001", "B", "", "")
        await store.disable(first.subject)
        assert store.by_staff_number("1001") is None
        second = await store.add("1001", "B", "", "")
        assert store.by_staff_number("1001") == second
        with pytest.raises(StoreError, match="nobody"):
            await store.disable(SubjectId("sub_nobody"))
    async with opened(path) as store:
        assert [(one.name, one.disabled) for one in store.people.values()] == [("A", True), ("B", False)]


async def test_erasing_destroys_templates_and_key_and_leaves_no_byte_of_them(path: Path) -> None:
    secret, wrapped = b"S" * 300 + b"secret-template", b"W" * 300 + b"wrapped-key"
    async with opened(path) as store:
        await store.save_person(SATO)
        await store.save_template(template(sealed=secret))
        await store.save_template(template(name="tpl_2", subject="sub_b"))
        await store.save_key(WrappedKey("sub_a", wrapped))
        await store.save("subject:sub_a", Counter(3))
        await store.erase(SATO.subject)
        assert [one.subject for one in await store.templates()] == ["sub_b"]
        assert await store.keys() == []
        assert await store.load() == {}
        assert store.people[SATO.subject] == replace(SATO, disabled=True)
        left = b"".join(file.read_bytes() for file in _files(path))
    assert b"secret-template" not in left
    assert b"wrapped-key" not in left


def _files(path: Path) -> list[Path]:
    return [file for file in path.parent.iterdir() if file.is_file()]


def _bytes(path: Path) -> bytes:
    return path.read_bytes()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def damage(path: Path) -> bytes:
    content = bytearray(path.read_bytes())
    content[4096 * 2 : 4096 * 6] = bytes(4096 * 4)
    path.write_bytes(content)
    return bytes(content)


async def test_an_enrolment_is_kept_whole_or_not_at_all(path: Path) -> None:
    key = WrappedKey("sub_a", b"key")
    async with opened(path) as store:
        with pytest.raises(StoreError, match="version 1"):
            await store.enrol(SATO, [key], [template(), template(2, name="tpl_2")])
        assert (store.people, await store.keys(), await store.templates()) == ({}, [], [])
        await store.enrol(SATO, [key], [template(), template(name="tpl_2")])
    async with opened(path) as store:
        assert await store.person(SATO.subject) == SATO
        assert await store.keys() == [key]
        assert [one.id for one in await store.templates()] == ["tpl_1", "tpl_2"]


async def test_templates_go_forward_one_version_at_a_time(path: Path) -> None:
    async with opened(path) as store:
        await store.save_template(template(1, b"one"))
        for wrong in (1, 3, 0):
            with pytest.raises(StoreError, match="version 2"):
                await store.save_template(template(wrong))
        await store.save_template(template(2, b"two"))
        (kept,) = await store.templates()
    assert (kept.version, kept.sealed) == (2, b"two")
    assert kept.digest == template(2, b"two").digest


async def test_counters_survive(path: Path) -> None:
    counter = Counter(4, Instant(10**15), Instant(5), "boot-1")
    async with opened(path) as store:
        await store.save("subject:sub_a", Counter(3))
        await store.save("subject:sub_a", counter)
        await store.save("seat:counter-1", Counter())
    async with opened(path) as store:
        assert await store.load() == {"subject:sub_a": counter, "seat:counter-1": Counter()}


async def test_epochs_only_rise(path: Path) -> None:
    seat = SeatId("counter-1")
    async with opened(path) as store:
        assert sorted(await asyncio.gather(*(store.claim(seat) for _ in range(20)))) == list(range(1, 21))
        assert await store.claim(SeatId("counter-2")) == 1
    async with opened(path) as store:
        assert await store.claim(seat) == 21


async def test_the_store_has_an_id_of_its_own_and_nobody_else_reads_it(path: Path) -> None:
    async with opened(path) as store:
        first = store.id
    async with opened(path) as store:
        assert store.id == first
        assert len(first) == 36
    async with opened(path.with_name("other.sqlite")) as store:
        assert store.id != first
    assert mode(path) == 0o600
    assert mode(path.parent) == 0o700


HOSTILE = ["", "../etc", "a/../b", "a\0b", "\u202eabc", "a\u200fb", "x" * 10_000, "a b", "名前", "a\n", "٣", "-a"]


@pytest.mark.parametrize("bad", HOSTILE)
async def test_ids_that_are_paths_or_worse_are_refused(path: Path, bad: str) -> None:
    async with opened(path) as store:
        for person in (
            replace(SATO, subject=SubjectId(bad)),
            replace(SATO, subject=SubjectId(f"sub_{bad}")),
            replace(SATO, staff_number=bad),
        ):
            with pytest.raises(BadAttribute):
                await store.save_person(person)
        for odd in (replace(template(), id=bad), replace(template(), subject=bad), replace(template(), finger=bad)):
            with pytest.raises(BadAttribute):
                await store.save_template(odd)
        with pytest.raises(BadAttribute):
            await store.save_key(WrappedKey(bad, b""))
        with pytest.raises(BadAttribute):
            await store.save(bad, Counter())
        with pytest.raises(BadAttribute):
            await store.claim(SeatId(bad))
        assert not store.people


@pytest.mark.parametrize(
    "bad", ["", "  ", "a\0", "a\nb", "a\u202eb", "a\u2066", "a\u200b", "\ud800", "\u2028", "x" * 201, "あ" * 10_000]
)
def test_names_with_what_cannot_be_seen_are_refused(bad: str) -> None:
    with pytest.raises(BadAttribute) as error:
        checked(replace(SATO, name=bad))
    assert error.value.field == "name"
    assert not bad.strip() or bad not in str(error.value)


def test_names_have_one_form_but_keep_their_own_characters() -> None:
    assert checked_name("name", "ハ\u309a") == "パ"
    assert checked_name("name", "\ufa19谷 か\u3099") == "\ufa19谷 が"
    assert checked_name("name", "葛\U000e0100城") == "葛\U000e0100城"
    assert checked_name("name", "\ue000") == "\ue000"


@given(st.text(max_size=220))
def test_a_kept_name_is_kept_as_it_is(name: str) -> None:
    try:
        once = checked_name("name", name)
    except BadAttribute:
        return
    assert checked_name("name", once) == once
    assert 0 < len(once) <= 200


def test_no_subject_is_made_twice() -> None:
    assert len({new_subject() for _ in range(1000)}) == 1000


def make_format_1(path: Path) -> None:
    """A store as format 1 wrote it: people without kana."""
    path.parent.mkdir(parents=True)
    db = Database(apsw.Connection(str(path)))
    then = [sql for sql in store_file.SCHEMA if "signature" not in sql]
    old = [sql.replace(", kana TEXT NOT NULL DEFAULT ''", "") for sql in then]
    for statement in (f"PRAGMA application_id = {store_file.APPLICATION_ID}", "PRAGMA user_version = 1", *old):
        db.execute(statement)
    db.execute("INSERT INTO meta VALUES('id', 'sto_1')")
    db.execute("INSERT INTO person VALUES('sub_a', '1001', '佐藤 花子', '住民課', 1, 0)")
    db.execute("INSERT INTO template VALUES('tpl_1', 1, 'sub_a', 'vein', 'right-index', x'0102')")
    db.execute("INSERT INTO counter VALUES('seat:counter-1', 2, 0, 0, 'boot')")
    db.execute("INSERT INTO epoch VALUES('counter-1', 41)")
    db.close()


async def test_an_older_store_is_migrated_with_all_it_holds(path: Path) -> None:
    make_format_1(path)
    async with opened(path) as store:
        assert store.id == "sto_1"
        assert store.people == {SATO.subject: replace(SATO, kana="")}
        assert await store.templates() == [template(sealed=b"\x01\x02")]
        assert await store.load() == {"seat:counter-1": Counter(2, boot="boot")}
        assert await store.claim(SeatId("counter-1")) == 42
        await store.save_person(SATO)
        assert await store.keep_signature("tpl_1@1", 5)
    async with opened(path) as store:
        assert store.people == {SATO.subject: SATO}
        assert await store.signatures() == {"tpl_1@1": 5}


async def test_a_migration_that_fails_leaves_the_old_store(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_format_1(path)

    def fail(db: object) -> None:
        raise apsw.FullError("no space")

    with monkeypatch.context() as patch:
        patch.setitem(store_file.STEPS, 1, fail)
        with pytest.raises(StoreError, match="no space"):
            await Store.open(path)
    async with opened(path) as store:
        assert store.people == {SATO.subject: replace(SATO, kana="")}


async def test_a_damaged_store_says_what_to_do_and_stays_as_it_is(path: Path) -> None:
    async with opened(path) as store:
        for number in range(200):
            await store.add(str(number), "佐藤", "サトウ", "住民課")
    damaged = damage(path)
    with pytest.raises(StoreDamaged, match="run: authd ledger verify"):
        await Store.open(path)
    assert _bytes(path) == damaged


@pytest.mark.parametrize("content", [b"", b"hello", b"SQLite format 3\0" + bytes(5000)])
def test_what_is_no_store_is_refused(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(StoreDamaged):
        StoreFile.open(path)


async def test_a_newer_store_and_one_with_triggers_are_refused(path: Path) -> None:
    StoreFile.open(path).close()
    db = Database(apsw.Connection(str(path)))
    db.execute("CREATE TRIGGER t AFTER INSERT ON counter BEGIN DELETE FROM counter; END")
    with pytest.raises(StoreDamaged, match="triggers"):
        await Store.open(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="newer"):
        await Store.open(path)


async def test_a_closed_store_refuses(path: Path) -> None:
    async with opened(path) as store:
        pass
    with pytest.raises(StoreError):
        await store.load()


@pytest.mark.parametrize(
    ("counts", "good"),
    [
        ([0, 0], True),
        ([1, 2], True),
        ([1, 100], True),
        ([0, 1], True),
        ([1, 1], False),
        ([2, 1], False),
        ([1, 0], False),
    ],
)
async def test_a_signature_counter_only_goes_on_also_across_a_restart(
    path: Path, counts: list[int], good: bool
) -> None:
    first, second = counts
    async with opened(path) as store:
        assert await store.keep_signature("tpl_1@1", first)
    async with opened(path) as store:
        assert await store.keep_signature("tpl_1@1", second) is good
        assert await store.signatures() == {"tpl_1@1": second if good else first}


async def test_who_is_erased_leaves_no_counter(path: Path) -> None:
    async with opened(path) as store:
        await store.save_person(SATO)
        await store.save_template(template())
        await store.keep_signature("tpl_1@1", 1)
        await store.erase(SATO.subject)
        assert await store.signatures() == {}
