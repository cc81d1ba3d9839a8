"""`authd ledger export | witness | anchor | seal` on the command line, from the host to the witness and back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from authd.cli import main
from authd.core.model import Kind
from authd.core.tlog import write_key
from authd.service.ledger import Reader
from authd.service.ledger.head import WITNESSED_FILE, published
from tests.service.ledgers import SIGNER, entry, opened

LOG = write_key(SIGNER.name, SIGNER.public_key)


async def host(folder: Path, rows: int = 10) -> Path:
    """A state folder with a ledger and its key."""
    (folder / "keys").mkdir(parents=True, exist_ok=True)
    (folder / "keys" / "ledger.key").write_bytes(bytes(range(32)))
    async with opened(folder / "ledger") as ledger:
        for number in range(rows):
            await ledger.append(entry(Kind.VIEW_OPENED, number, data={"record": "rec_1"}))
    return folder / "ledger"


def said(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main(["ledger", *map(str, words), "--lang", "en"])
    out, error = capsys.readouterr()
    return code, out, error


async def test_a_checkpoint_goes_out_and_comes_home_cosigned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger, tiles = await host(tmp_path / "desk"), tmp_path / "tiles"
    code, out, _ = said(capsys, "seal", "--ledger", ledger)
    assert (code, out) == (0, "10 rows are in the completeness index\n")
    code, out, _ = said(capsys, "export", tiles, "--ledger", ledger, "--json")
    assert (code, json.loads(out)) == (0, {"rows": 11, "files": 3})
    hub = ("--name", "hub.example/w", "--key", tmp_path / "w.key", "--state", tmp_path / "state")
    code, note, error = said(capsys, "witness", tiles, "--log", LOG, *hub)
    assert code == 0
    (tmp_path / "cosigned").write_text(note, encoding="utf-8")
    key = error.split("'")[1]
    code, out, _ = said(capsys, "anchor", tmp_path / "cosigned", "--witness", key, "--ledger", ledger)
    assert code == 0
    assert "hub.example/w cosigned 11 rows" in out
    assert published(ledger, WITNESSED_FILE) == note
    again = said(capsys, "witness", ledger, "--log", LOG, *hub, "--json")
    assert json.loads(again[1])["key"] == key


async def test_a_rolled_back_ledger_is_not_cosigned_and_its_checkpoint_is_not_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = await host(tmp_path / "desk")
    shutil.copytree(tmp_path / "desk", tmp_path / "copy")
    await host(tmp_path / "desk")
    hub = ("--name", "hub.example/w", "--key", tmp_path / "w.key", "--state", tmp_path / "state")
    _, note, error = said(capsys, "witness", ledger, "--log", LOG, *hub)
    code, out, why = said(capsys, "witness", tmp_path / "copy" / "ledger", "--log", LOG, *hub)
    assert (code, out) == (1, "")
    assert "a restored snapshot" in why
    (tmp_path / "cosigned").write_text(note, encoding="utf-8")
    back = tmp_path / "copy" / "ledger"
    code, _, why = said(capsys, "anchor", tmp_path / "cosigned", "--witness", error.split("'")[1], "--ledger", back)
    assert code == 1
    assert "does not go on" in why
    assert not (back / WITNESSED_FILE).exists()


async def test_wrong_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = await host(tmp_path / "desk", 1)
    hub = ("--name", "a b", "--key", tmp_path / "w.key", "--state", tmp_path / "state")
    for words in (
        ("witness", ledger, "--log", "nonsense", *hub),
        ("witness", ledger, "--log", LOG, *hub),
        ("anchor", ledger / "checkpoint", "--witness", LOG, "--ledger", ledger),
        ("export", tmp_path / "tiles", "--ledger", tmp_path),
        ("seal", "--ledger", tmp_path),
    ):
        code, out, error = said(capsys, *words)
        assert (code, out, error.count("\n")) == (2, "", 1), words
    assert Reader(ledger).last() == 1


async def test_a_checkpoint_as_a_qr_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = await host(tmp_path / "desk", 1)
    code, _, _ = said(capsys, "checkpoint", ledger, "--qr", tmp_path / "head.svg")
    assert code == 0
    assert (tmp_path / "head.svg").read_text().startswith("<?xml")


async def test_seven_years_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = await host(tmp_path / "desk", 1)
    assert said(capsys, "retire", "--ledger", ledger, "--years", 6)[0] == 2
    code, out, _ = said(capsys, "retire", "--ledger", ledger)
    assert code == 0
    assert "rows up to" in out or "nothing is older" in out


async def test_without_a_daemon_where_one_is_asked_it_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, error = said(capsys, "seal", "--config", tmp_path / "authd.toml")
    assert (code, out, error.count("\n")) == (2, "", 1)
