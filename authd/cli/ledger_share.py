"""`authd ledger export | witness | anchor | seal | retire`: a ledger shown to others, and what others say of it."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from authd.cli import failures
from authd.cli._common import language
from authd.cli.files import BAD_NEWS, OK, BadInput, add_files, answering, ledger_folder
from authd.core.model import Instant
from authd.core.tlog import WITNESS, BadNote, cosigned_at, read_key, verify_consistency, write_key
from authd.locale import text
from authd.service.ledger import KeySigner, Reader, checker, open_checkpoint, published, seal_file
from authd.service.ledger.file import LedgerFile
from authd.service.ledger.head import WITNESSED_FILE, keep_witnessed
from authd.service.ledger.proofs import prove_growth
from authd.service.ledger.retire import retire
from authd.service.ledger.source import Folder, Source, Tiles, export
from authd.service.ledger.witness import Doubted, witness
from authd.service.sqlite import connect

KEEP_YEARS = 7
YEAR_MS = 366 * 86_400_000
EXAMPLES = """\
examples:
  on the host
  authd ledger export /srv/tiles                            what is new since the last time; any web server serves it
  authd ledger anchor cosigned.txt --witness 'hub.example/w+...'   a cosigned checkpoint comes home and is kept
  authd ledger seal --config authd.toml                     the index of what is not sealed yet, by the daemon
  authd ledger retire                                       months older than seven years go; authd must be stopped

  on the witness (another authd host, or any):
  authd ledger witness http://desk.example/tiles --log 'authd/desk+...' --name hub.example/w \\
      --key w.key --state desk.json
  authd ledger witness /mnt/desk/ledger --log desk.vkey --name hub.example/w \\
      --key w.key --state desk.json > cosigned.txt

The witness recomputes everything that is new, and prints nothing but a cosigned checkpoint.

exit codes: 0 done, 1 it does not agree, 2 wrong input
"""


def register(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage] (argparse has no public name for it)
    """Add the verbs."""
    raw = argparse.RawDescriptionHelpFormatter
    add = {
        "export": (run_export, "C2SP tiles for witnesses and auditors / 証人・監査用のタイルを書き出す"),
        "witness": (run_witness, "look at another host's ledger and cosign it / 他のホストの台帳を証人として確認する"),
        "anchor": (run_anchor, "keep a checkpoint that a witness cosigned / 証人の署名付き控えを取り込む"),
        "retire": (run_retire, "let months go that are older than they are kept / 保存期間を過ぎた月を廃棄する"),
        "seal": (run_seal, "seal what is not sealed (--config: by the daemon) / 索引を確定する"),
    }
    parsers = {
        name: verbs.add_parser(name, help=words, epilog=EXAMPLES, formatter_class=raw)
        for name, (_, words) in add.items()
    }
    parsers["export"].add_argument("into", type=Path, metavar="DIR")
    parsers["witness"].add_argument("source", metavar="SOURCE", help="tiles (folder or URL), or a ledger's folder")
    parsers["witness"].add_argument("--log", required=True, metavar="KEY", help="verifier key of the ledger")
    parsers["witness"].add_argument("--name", required=True, help="of the witness, such as hub.example/w1")
    parsers["witness"].add_argument("--key", type=Path, required=True, help="its key; made at the first time")
    parsers["witness"].add_argument("--state", type=Path, required=True, help="what it remembers of this ledger")
    parsers["anchor"].add_argument("note", type=Path, metavar="FILE")
    parsers["anchor"].add_argument("--witness", required=True, metavar="KEY", help="verifier key of the witness")
    parsers["retire"].add_argument("--years", type=int, default=KEEP_YEARS, help=f"at least {KEEP_YEARS} / 保存年数")
    for name, parser in parsers.items():
        if name in ("export", "anchor"):
            parser.add_argument("--key", metavar="KEY", help="verifier key of the ledger, or a file with it / 検証鍵")
        add_files(parser)
        parser.set_defaults(run=answering(add[name][0]))


def key_of(args: argparse.Namespace, folder: Path) -> tuple[str, bytes]:
    """Return name and public key of a ledger: those that were given, else those of this host's own signing key."""
    try:
        if args.key:
            return _vkey(args.key)
        signer = _signer(folder)
        return signer.name, signer.public_key
    except (BadNote, ValueError, OSError) as error:
        raise BadInput(text("ledger.no_key", args.lang, detail=error)) from error


def run_export(args: argparse.Namespace) -> int:
    """Write tiles, bundles and checkpoint."""
    folder = ledger_folder(args)
    note, size = _checked(args, folder)
    reader = Reader(folder)
    try:
        written = export(reader, note, size, args.into)
    finally:
        reader.close()
    _say(args, {"rows": size, "files": written}, text("share.exported", args.lang, rows=size, files=written))
    return OK


def run_witness(args: argparse.Namespace) -> int:
    """Look, and print the cosigned checkpoint."""
    try:
        name, key = _vkey(args.log)
        signer = KeySigner(args.name, _seed(args.key))
    except (BadNote, ValueError, OSError) as error:
        raise BadInput(text("ledger.no_key", args.lang, detail=error)) from error
    try:
        note = witness(_source(args.source), name, key, args.state, signer, time.time_ns() // 1_000_000_000)
    except Doubted as doubted:
        words = text(f"doubt.{doubted.doubt}", args.lang)
        print(text("share.doubted", args.lang, why=words, detail=doubted.detail), file=sys.stderr)
        return BAD_NEWS
    vkey = write_key(signer.name, signer.public_key, WITNESS)
    if args.json:
        print(json.dumps({"note": note, "key": vkey}, ensure_ascii=False))
    else:
        print(note, end="")
        print(text("share.cosigned", args.lang, key=vkey), file=sys.stderr)
    return OK


def run_anchor(args: argparse.Namespace) -> int:
    """Keep a cosigned checkpoint beside the ledger, if it is cosigned and the ledger still goes on from it."""
    folder = ledger_folder(args)
    name, key = key_of(args, folder)
    note = args.note.read_text(encoding="utf-8", errors="replace")
    try:
        witness_name, witness_key = _vkey(args.witness, WITNESS)
        seconds = cosigned_at(note, witness_name, witness_key, checker(witness_key))
        seen = open_checkpoint(note, name, key)
    except BadNote as error:
        raise BadInput(text("ledger.bad_checkpoint", args.lang, detail=error)) from error
    now = open_checkpoint(_checked(args, folder)[0], name, key)
    reader = Reader(folder)
    try:
        good = seen.size == 0 or verify_consistency(
            seen.size, seen.root, now.size, now.root, prove_growth(reader, min(seen.size, now.size), now.size).path
        )
    finally:
        reader.close()
    if not good:
        print(text("share.differs", args.lang, rows=seen.size), file=sys.stderr)
        return BAD_NEWS
    keep_witnessed(folder, note)
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    answer = {"rows": seen.size, "witness": witness_name, "at": at, "file": WITNESSED_FILE}
    _say(args, answer, text("share.anchored", args.lang, rows=seen.size, witness=witness_name, at=at))
    return OK


def run_seal(args: argparse.Namespace) -> int:
    """Seal all rows: by the daemon, where its configuration is given, else of a ledger that no daemon has open."""
    if args.config is not None:
        covered = _sealed_by_daemon(args.config)
    else:
        with _opened(args) as file:
            covered = seal_file(file, _now(), _wall)
            file.settle()
    _say(args, {"covered": covered}, text("share.sealed", args.lang, rows=covered))
    return OK


def _sealed_by_daemon(config: Path) -> int:
    from authd.client import ClientError, connect_sync
    from authd.service.config import ConfigError, load

    try:
        with connect_sync(f"unix:{load(config).socket}") as door:
            return door.seal()
    except (ConfigError, ClientError) as error:
        raise BadInput(failures.words(error, language())) from error


def run_retire(args: argparse.Namespace) -> int:
    """Let old months go, of a ledger that no daemon has open."""
    if args.years < KEEP_YEARS:
        raise BadInput(text("share.too_early", args.lang, years=KEEP_YEARS))
    with _opened(args) as file:
        gone = retire(file, _wall() - args.years * YEAR_MS, _now(), _wall)
    if gone is None:
        _say(args, {"segments": 0}, text("share.nothing_old", args.lang, years=args.years))
    else:
        answer = {"segments": gone.segments, "rows": gone.size, "kept": len(gone.kept)}
        _say(args, answer, text("share.retired", args.lang, rows=gone.size, kept=len(gone.kept), last=gone.seq))
    return OK


@contextmanager
def _opened(args: argparse.Namespace) -> Generator[LedgerFile]:
    """Open the ledger for writing; its lock keeps a daemon and this apart."""
    folder = ledger_folder(args)
    try:
        signer = _signer(folder)
    except (ValueError, OSError) as error:
        raise BadInput(text("ledger.no_key", args.lang, detail=error)) from error
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    file = LedgerFile(folder, signer, boot, connect)
    try:
        file.open(_now(), _wall())
        yield file
    finally:
        file.close()


def _now() -> Instant:
    return Instant(time.clock_gettime_ns(time.CLOCK_BOOTTIME))


def _wall() -> int:
    return time.time_ns() // 1_000_000


def _checked(args: argparse.Namespace, folder: Path) -> tuple[str, int]:
    name, key = key_of(args, folder)
    note = published(folder)
    if note is None:
        raise BadInput(text("ledger.no_checkpoint", args.lang, folder=folder))
    try:
        return note, open_checkpoint(note, name, key).size
    except BadNote as error:
        raise BadInput(text("ledger.bad_checkpoint", args.lang, detail=error)) from error


def _source(where: str) -> Source:
    """A folder with segments is a ledger; anything else holds tiles."""
    path = Path(where)
    return Folder(path) if next(path.glob("*.sqlite"), None) is not None else Tiles(where)


def _signer(folder: Path) -> KeySigner:
    seed = (folder.absolute().parent / "keys" / "ledger.key").read_bytes()
    return KeySigner((published(folder) or "\n").split("\n", 1)[0], seed)


def _vkey(given: str, *kind: int) -> tuple[str, bytes]:
    path = Path(given)
    return read_key(path.read_text(encoding="ascii") if path.is_file() else given, *kind)


def _seed(path: Path) -> bytes:
    """Return the witness's key, made where there is none."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(32))
        file.flush()
        os.fsync(file.fileno())
    return path.read_bytes()


def _say(args: argparse.Namespace, answer: Mapping[str, object], words: str) -> None:
    print(json.dumps(answer, ensure_ascii=False) if args.json else words)
