"""A witness cosigns what it has recomputed: whatever was cut off, restored, rewritten or hidden, it does not."""

from __future__ import annotations

import functools
import shutil
import threading
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from authd.core.complete import Span
from authd.core.model import Entry, Kind, Value
from authd.core.tlog import (
    WITNESS,
    BadNote,
    cosigned_at,
    leaf_hash,
    read_key,
    sign_note,
    verify_inclusion,
    write_key,
)
from authd.service.ledger import KeySigner, Reader, checker, open_checkpoint, verify
from authd.service.ledger.head import published
from authd.service.ledger.proofs import prove
from authd.service.ledger.record import encode
from authd.service.ledger.seals import data_of
from authd.service.ledger.segment import segments
from authd.service.ledger.source import Folder, SourceGone, Tiles, export, unbundled
from authd.service.ledger.witness import Audit, Doubt, Doubted, Memory, witness
from authd.service.sqlite import connect
from tests.service.ledgers import OTHER, SIGNER, entry, opened, started

WITNESSING = KeySigner("hub.example/w1", bytes(reversed(range(32))))
NOW = 1_763_800_000


def look(folder: Path, state: Path, source: object = None) -> str:
    return witness(Folder(folder), SIGNER.name, SIGNER.public_key, state, WITNESSING, NOW)


async def grow(folder: Path, rows: int, *, seal: bool = False) -> None:
    async with opened(folder) as ledger:
        for number in range(rows):
            ledger.write(entry(Kind.VIEW_OPENED, number, data={"record": f"rec_{number % 7}"}))
        await ledger.checkpoint()
        if seal:
            await ledger.seal()


async def test_it_cosigns_a_ledger_that_only_grew(tmp_path: Path) -> None:
    ledger, state = tmp_path / "ledger", tmp_path / "state"
    for seal in (False, True, False, True):
        await grow(ledger, 70, seal=seal)
        note = look(ledger, state)
        assert cosigned_at(note, WITNESSING.name, WITNESSING.public_key, checker(WITNESSING.public_key)) == NOW
        assert open_checkpoint(note, SIGNER.name, SIGNER.public_key).size == Reader(ledger).last()
    with pytest.raises(BadNote):
        cosigned_at(note, WITNESSING.name, OTHER.public_key, checker(OTHER.public_key))
    with pytest.raises(BadNote):
        cosigned_at(note.replace("city", "town"), SIGNER.name, SIGNER.public_key, checker(SIGNER.public_key))
    key = write_key(WITNESSING.name, WITNESSING.public_key, WITNESS)
    assert read_key(key, WITNESS) == (WITNESSING.name, WITNESSING.public_key)
    with pytest.raises(BadNote):
        read_key(key)


async def restore(ledger: Path, copy: Path) -> None:
    """A snapshot of yesterday is put back, whole and well signed."""
    shutil.rmtree(ledger)
    shutil.copytree(copy, ledger)


async def restore_and_go_on(ledger: Path, copy: Path) -> None:
    await restore(ledger, copy)
    await grow(ledger, 1)
    await grow(ledger, 200)


async def edit(ledger: Path, copy: Path) -> None:
    db = connect(segments(ledger)[0], False)
    db.execute("UPDATE entry SET bytes = CAST(replace(bytes, 'rec_3', 'rec_4') AS BLOB) WHERE seq = 4")
    db.close()


async def hide(ledger: Path, copy: Path) -> None:
    """The host itself seals a span that leaves a view out."""
    async with opened(ledger) as live:
        lie: dict[str, Value] = {
            "first": 0,
            "stop": 5,
            "entries": 0,
            "earliest": 0,
            "latest": 1 << 50,
            "root": leaf_hash(b"").hex(),
        }
        await live.append(Entry(Kind.LEDGER_SEALED, data=lie | {"spans": 1, "index": leaf_hash(b"").hex()}))


async def garble_a_seal(ledger: Path, copy: Path) -> None:
    async with opened(ledger) as live:
        await live.append(Entry(Kind.LEDGER_SEALED, data={"first": True}))


async def sign_by_another(ledger: Path, copy: Path) -> None:
    note = published(ledger) or ""
    (ledger / "checkpoint").write_text(sign_note(note.split("\n\n")[0] + "\n", OTHER), encoding="utf-8")


async def forget(ledger: Path, copy: Path) -> None:
    (ledger / "checkpoint").unlink()


@pytest.mark.parametrize(
    ("attack", "doubt"),
    [
        (restore, Doubt.BACK),
        (restore_and_go_on, Doubt.CHANGED),
        (edit, Doubt.CHANGED),
        (hide, Doubt.INDEX),
        (garble_a_seal, Doubt.INDEX),
        (sign_by_another, Doubt.NOTE),
        (forget, Doubt.NOTE),
    ],
)
async def test_it_does_not_cosign(
    tmp_path: Path, attack: Callable[[Path, Path], Awaitable[None]], doubt: Doubt
) -> None:
    ledger, copy, state = tmp_path / "ledger", tmp_path / "copy", tmp_path / "state"
    await grow(ledger, 50)
    shutil.copytree(ledger, copy)
    await grow(ledger, 50)
    look(ledger, state)
    known = state.read_bytes()
    await attack(ledger, copy)
    with pytest.raises(Doubted) as found:
        look(ledger, state)
    assert found.value.doubt is doubt
    assert state.read_bytes() == known


async def test_a_host_that_never_seals_is_not_cosigned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("authd.service.ledger.witness.MOST_UNSEALED", 60)
    await grow(tmp_path / "ledger", 61)
    with pytest.raises(Doubted, match="unsealed"):
        look(tmp_path / "ledger", tmp_path / "state")


async def test_the_memory_of_another_ledger_is_not_taken(tmp_path: Path) -> None:
    await grow(tmp_path / "ledger", 3)
    (tmp_path / "state").write_text('{"origin":"elsewhere"}')
    with pytest.raises(Doubted, match="is about elsewhere"):
        look(tmp_path / "ledger", tmp_path / "state")
    (tmp_path / "state").write_text("{}")
    with pytest.raises(Doubted, match="not a witness's memory"):
        look(tmp_path / "ledger", tmp_path / "state")


@pytest.mark.parametrize("raw", [b"", b"{}", b'{"x":' + b"[" * 60_000])
def test_what_is_no_row_is_doubted(raw: bytes) -> None:
    """A deep one raised RecursionError: the witness ended, and did not say why."""
    with pytest.raises(Doubted, match="the row at leaf 0"):
        Audit.of(Memory("origin")).row(0, raw)


def test_a_seal_over_what_is_no_row_is_doubted() -> None:
    audit = Audit.of(Memory("origin"))
    audit.row(0, b'{"kind":"x","wall":1,"x":' + b"[" * 400 + b"]" * 400 + b',"subject":7}')
    span = Span(0, 1, 0, 0, 1, leaf_hash(b""))
    seal = encode(2, 1, "", Entry(Kind.LEDGER_SEALED, data=data_of(span, 1, leaf_hash(b""))))
    with pytest.raises(Doubted, match="the span that #2 seals"):
        audit.row(1, seal)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
        pass


@contextmanager
def served(folder: Path) -> Generator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def test_tiles_are_exported_bit_by_bit_and_witnessed_over_http(tmp_path: Path) -> None:
    ledger, tiles, state = tmp_path / "ledger", tmp_path / "tiles", tmp_path / "state"
    for rows in (300, 1, 0, 500):
        await grow(ledger, rows, seal=rows == 300)
        reader = Reader(ledger)
        note = published(ledger) or ""
        size = open_checkpoint(note, SIGNER.name, SIGNER.public_key).size
        written = export(reader, note, size, tiles)
        assert written == 1 if rows == 0 else written > 1
        reader.close()
        with served(tiles) as where:
            cosigned = witness(Tiles(where), SIGNER.name, SIGNER.public_key, state, WITNESSING, NOW)
        assert cosigned.startswith(note)
    assert (tiles / "tile/0/000").stat().st_size == 8_192
    assert list(Tiles(str(tiles)).rows(250, size)) == list(Reader(ledger).leaves(250, size))


async def test_tiles_that_were_changed_are_not_cosigned(tmp_path: Path) -> None:
    ledger, tiles, state = tmp_path / "ledger", tmp_path / "tiles", tmp_path / "state"
    await grow(ledger, 30)
    export(Reader(ledger), published(ledger) or "", 30, tiles)
    bundle = tiles / "tile/entries/000.p/30"
    good = bundle.read_bytes()
    for bad in (good[:-1], good[:-9], good.replace(b"rec_5", b"rec_6"), b"", good + b"\0"):
        bundle.write_bytes(bad)
        with pytest.raises(Doubted, match="rows"):
            witness(Tiles(str(tiles)), SIGNER.name, SIGNER.public_key, state, WITNESSING, NOW)
    with pytest.raises(SourceGone):
        list(unbundled(b"\0"))


async def test_a_cosigned_checkpoint_beside_the_ledger_is_compared(tmp_path: Path) -> None:
    ledger, copy = tmp_path / "ledger", tmp_path / "copy"
    await grow(ledger, 20)
    shutil.copytree(ledger, copy)
    await grow(ledger, 20)
    (copy / "witnessed").write_text(look(ledger, tmp_path / "state"), encoding="utf-8")
    assert not verify(copy, SIGNER.name, SIGNER.public_key).ok
    (ledger / "witnessed").write_text((copy / "witnessed").read_text(encoding="utf-8"), encoding="utf-8")
    assert verify(ledger, SIGNER.name, SIGNER.public_key).ok


async def test_a_proof_as_a_file_is_a_tlog_proof(tmp_path: Path) -> None:
    async with opened(tmp_path) as ledger:
        for number in range(5):
            await ledger.append(started(number))
        note = await ledger.checkpoint()
    head = open_checkpoint(note, SIGNER.name, SIGNER.public_key)
    proof = prove(Reader(tmp_path), 3, head.size)
    first, index, *path = proof.file(note).partition("\n\n")[0].splitlines()
    assert (first, index, len(path)) == ("c2sp.org/tlog-proof@v1", "index 3", 3)
    assert proof.file(note).endswith(note)
    assert proof.json() == {"leaf": 3, "size": 5, "path": path}
    assert verify_inclusion(leaf_hash(Reader(tmp_path).after(3)[0].bytes), 3, 5, proof.path, head.root)
