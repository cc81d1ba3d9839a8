"""What hostile hands make of a file is named, bounded and left."""

from __future__ import annotations

import gzip
import io
import stat
import struct
import zipfile
import zlib

import pytest

from authd.service.evidence.trace.reading import Budget, Why
from authd_simulators.leak import formats
from tests.service.evidence.trace.reading.conftest import Heard

GOOD = "番号,氏名\n1,山田\n".encode()


def archive(*members: tuple[zipfile.ZipInfo | str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for info, body in members:
            made.writestr(info, body)
    return out.getvalue()


def office(document: bytes) -> bytes:
    return formats.zipped({"[Content_Types].xml": b"<Types/>", "word/document.xml": document})


def test_a_zip_bomb(heard: Heard) -> None:
    heard.read(archive(("bomb.txt", (b"a" * 60_000 + b",b\n") * 500), ("after.csv", GOOD)))
    assert ("file!bomb.txt", Why.BOMB) in heard.troubles
    assert ("file", Why.BOMB) in heard.troubles
    assert len(heard.rows) < 500


def test_a_bomb_of_bombs(heard: Heard) -> None:
    inner = archive(("zeros", (b"0" * 60_000 + b"\n") * 300))
    heard.read(archive(*((f"{number}.zip", inner) for number in range(40))))
    assert ("file", Why.BOMB) in heard.troubles


def test_a_gzip_bomb(heard: Heard) -> None:
    heard.read(gzip.compress((b"a" * 60_000 + b"\n") * 500))
    assert heard.troubles == [("file", Why.BOMB)]


def test_a_member_that_lies_about_its_size(heard: Heard) -> None:
    raw = archive(("list.csv", GOOD * 1_000))
    heard.read(raw.replace(struct.pack("<L", len(GOOD) * 1_000), struct.pack("<L", 10)))
    assert all(why in {Why.DAMAGED, Why.BOMB} for _, why in heard.troubles)
    assert len(heard.rows) <= 2_000


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..\\..\\x.csv", "C:\\x.csv", "a/../../b"])
def test_a_name_that_leads_outside(heard: Heard, name: str) -> None:
    heard.read(archive((name, GOOD), ("good.csv", GOOD)))
    assert [why for _, why in heard.troubles] == [Why.OUTSIDE]
    assert heard.rows == [["番号", "氏名"], ["1", "山田"]]


def test_a_link_in_an_archive(heard: Heard) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    heard.read(archive((info, b"/etc/shadow"), ("good.csv", GOOD)))
    assert heard.troubles == [("file!link", Why.SYMLINK)]
    assert len(heard.rows) == 2


def test_encrypted_members_are_named_and_the_others_read(heard: Heard) -> None:
    raw = bytearray(archive(("secret.csv", GOOD), ("good.csv", GOOD)))
    raw[raw.index(b"PK\x03\x04") + 6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    heard.read(bytes(raw))
    assert heard.troubles == [("file!secret.csv", Why.ENCRYPTED)]
    assert len(heard.rows) == 2


def test_encrypted_and_old_office_files(heard: Heard) -> None:
    ole = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(512)
    heard.read(ole + "EncryptedPackage".encode("utf-16-le"))
    heard.read(ole)
    assert [why for _, why in heard.troubles] == [Why.ENCRYPTED, Why.OLD_OFFICE]


def test_archives_too_deep_in_each_other(heard: Heard) -> None:
    content = GOOD
    for _ in range(12):
        content = formats.zipped({"x.zip": content})
    heard.read(content)
    assert [why for _, why in heard.troubles] == [Why.TOO_DEEP]


def test_too_many_members(heard: Heard) -> None:
    heard.read(archive(*((f"{number}", b"") for number in range(30))), Budget(10_000, most_parts=20))
    assert heard.troubles == [("file", Why.TOO_MANY)]


def test_many_members_in_many_archives(heard: Heard) -> None:
    inner = archive(*((f"{number}", b"x") for number in range(15)))
    heard.read(archive(("1.zip", inner), ("2.zip", inner), ("3.zip", inner)), Budget(10_000, most_parts=20))
    assert Why.TOO_MANY in {why for _, why in heard.troubles}
    assert len(heard.parts) <= 20


def test_a_directory_that_lies_about_its_length(heard: Heard) -> None:
    raw = bytearray(archive(("good.csv", GOOD)))
    at = raw.rindex(b"PK\x05\x06")
    for count, length in ((0xFFFF, 0xFFFFFFFF), (5, 1 << 30), (60_000, 100)):
        struct.pack_into("<HHL", raw, at + 8, count, count, length)
        heard.read(bytes(raw))
    assert [why for _, why in heard.troubles] == [Why.TOO_MANY] * 3


def test_an_inner_archive_too_large_to_hold(heard: Heard) -> None:
    inner = formats.zipped({"a": zlib.compress(bytes(100_000), 0)}, 0)
    heard.read(formats.zipped({"x.zip": inner}, 0), Budget(200_000, most_held=50_000))
    assert heard.troubles == [("file!x.zip", Why.TOO_LARGE)]


@pytest.mark.parametrize(
    "declared",
    [
        b'<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><d>&b;</d>',
        b'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><d>&x;</d>',
        b'<!DOCTYPE d SYSTEM "http://192.0.2.1/x.dtd"><d/>',
    ],
)
def test_entities_in_xml(heard: Heard, declared: bytes) -> None:
    heard.read(office(declared))
    assert heard.troubles == [("file", Why.ENTITIES)]


def test_xml_without_an_end_and_too_deep(heard: Heard) -> None:
    heard.read(office(b"<w:document>"))
    heard.read(office(b"<a>" * 1_000))
    heard.read(office(b"<?xml version='1.0' encoding='nobody'?><a/>"))
    assert [why for _, why in heard.troubles] == [Why.DAMAGED, Why.TOO_DEEP, Why.DAMAGED]


def test_broken_pdfs(heard: Heard) -> None:
    good = formats.printed(["山田 花子"])
    heard.read(b"%PDF-1.5\n" + bytes(100))
    heard.read(good[:-200].replace(b"/Kids", b"/Kid"))
    assert {why for _, why in heard.troubles} <= {Why.DAMAGED}
    assert heard.troubles


def test_an_encrypted_pdf(heard: Heard) -> None:
    good = formats.printed(["山田 花子"])
    words = b"/Encrypt<</Filter/Standard/V 1/R 2/P 0/O(%b)/U(%b)>>/ID[(a)(b)]" % (b"x" * 32, b"x" * 32)
    locked = good.replace(b"/Root 1 0 R", b"/Root 1 0 R" + words)
    heard.read(locked)
    assert heard.troubles == [("file", Why.ENCRYPTED)]


def test_a_reading_that_takes_too_long_ends_and_says_so(heard: Heard) -> None:
    heard.read(archive(("a.csv", GOOD), ("b.csv", GOOD)), Budget(100, ends_ns=0))
    assert ("file", Why.TOO_LONG) in heard.troubles


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"\x89PNG\r\n", Why.UNKNOWN),
        (b"7z\xbc\xaf\x27\x1c", Why.NO_READER),
        (b"Rar!\x1a\x07\x01", Why.NO_READER),
        (b"\x1c\x80-lh5-", Why.NO_READER),
        (bytes(range(256)) * 4, Why.UNKNOWN),
        (b"PK\x03\x04 and nothing", Why.DAMAGED),
        (b"\x1f\x8b and nothing", Why.DAMAGED),
    ],
)
def test_what_nobody_reads_is_named(heard: Heard, head: bytes, why: Why) -> None:
    assert [each for _, each in heard.read(head + bytes(100)).troubles] == [why]
