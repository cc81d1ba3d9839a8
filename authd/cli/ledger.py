"""`authd ledger verify` and `authd ledger checkpoint`: is every row as it was signed, and what to keep outside."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import apsw
import segno

from authd.cli import ledger_share
from authd.cli.files import BAD_NEWS, OK, BadInput, add_files, answering, bar, ledger_folder, plain, store_path
from authd.cli.ledger_share import key_of
from authd.core.tlog import BadNote, read_checkpoint, write_key
from authd.locale import text
from authd.service.ledger import LedgerDamaged, Reader, Verdict, open_checkpoint, published, verify
from authd.service.ledger.verify import Progress
from authd.service.store_file import check, read_templates

EXAMPLES = """\
examples:
  authd ledger checkpoint > head.txt                  keep this outside: on paper, on another host, in a safe
  authd ledger verify                                 every row against what was signed
  authd ledger verify --anchor head.txt               and that nothing was cut off since then
  authd ledger verify /mnt/copy/ledger --key 'city.example/desk+0a1b2c3d+AR...' --lang en
  authd ledger checkpoint --qr head.svg               the same as a QR code, to print and to put away
  authd ledger export /srv/tiles                      C2SP tiles, for witnesses and auditors
  authd ledger verify --store /var/lib/authd-seat/store.sqlite    the store, and its templates against the ledger

The key is a C2SP verifier key (a line, or a file with it); without one, ../keys/ledger.key beside the ledger.

exit codes: 0 everything is as it was signed, 1 something is not, 2 wrong input
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage] (argparse has no public name for it)
    """Add `authd ledger` and its verbs."""
    raw = argparse.RawDescriptionHelpFormatter
    group = subparsers.add_parser(
        "ledger", help="verify the ledger / 台帳を検査する", epilog=EXAMPLES, formatter_class=raw
    )
    verbs = group.add_subparsers(metavar="VERB", required=True)
    for name, words, verb in (
        ("verify", "is every row as it was signed? / 全行を署名と照合する", run),
        ("checkpoint", "print the signed head, to keep outside / 署名済みの先端を表示する", run_checkpoint),
    ):
        parser = verbs.add_parser(name, help=words, epilog=EXAMPLES, formatter_class=raw)
        parser.add_argument("folder", nargs="?", type=Path, metavar="DIR", help="the ledger's folder")
        parser.add_argument("--key", metavar="KEY", help="verifier key, or a file with it / 検証鍵")
        if verb is run:
            parser.add_argument("--anchor", type=Path, metavar="FILE", help="a checkpoint kept outside / 外部の控え")
        else:
            parser.add_argument("--qr", type=Path, metavar="FILE", help="also as a QR code (SVG) / QRコード(SVG)でも")
        add_files(parser)
        parser.set_defaults(run=answering(verb))
    ledger_share.register(verbs)


def run(args: argparse.Namespace) -> int:
    """Verify the ledger, and the store where there is one."""
    args.ledger = args.folder or args.ledger
    if args.store and not (args.ledger or args.config):
        args.ledger = args.store.absolute().parent / "ledger"
    folder = ledger_folder(args)
    name, key = key_of(args, folder)
    try:
        verdict = verify(folder, name, key, _anchor(args), _progress(args, folder))
        spoiled = list(_spoiled(args, folder))
    except (apsw.CorruptError, apsw.NotADBError) as error:  # so damaged that it cannot even be compared
        raise LedgerDamaged(str(error), folder) from error
    finally:
        if _watched(args):  # the answer begins where the bar was
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    answer = {"ok": verdict.ok and not spoiled, **asdict(verdict), "store": spoiled}
    if args.json:
        print(json.dumps(answer, ensure_ascii=False))
    else:
        for line in _lines(verdict, spoiled, args.lang):
            print(plain(line))
    return OK if answer["ok"] else BAD_NEWS


def run_checkpoint(args: argparse.Namespace) -> int:
    """Print the newest signed checkpoint, checked; to keep it outside the host is what makes a cut tail visible."""
    args.ledger = args.folder or args.ledger
    folder = ledger_folder(args)
    name, key = key_of(args, folder)
    note = published(folder)
    if note is None:
        raise BadInput(text("ledger.no_checkpoint", args.lang, folder=folder))
    try:
        checkpoint = open_checkpoint(note, name, key)
    except BadNote as error:
        print(text("ledger.bad_checkpoint", args.lang, detail=error), file=sys.stderr)
        return BAD_NEWS
    if args.qr is not None:
        segno.make(note, error="m").save(str(args.qr), scale=4)
    if args.json:
        head = {"origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root.hex()}
        print(json.dumps({**head, "note": note, "key": write_key(name, key)}, ensure_ascii=False))
    else:
        print(note, end="")
        print(text("ledger.keep", args.lang, key=write_key(name, key)), file=sys.stderr)
    return OK


def _anchor(args: argparse.Namespace) -> str | None:
    return None if args.anchor is None else args.anchor.read_text(encoding="utf-8", errors="replace")


def _spoiled(args: argparse.Namespace, folder: Path) -> Iterator[str]:
    """Yield the templates of the store that are not the ones which the ledger anchors."""
    path = store_path(args)
    if path is None:
        return
    check(path)
    reader = Reader(folder)
    try:
        anchors = reader.anchors()
    finally:
        reader.close()
    for template in read_templates(path):
        anchor = anchors.get(template.id)
        if anchor is None or not anchor.holds(template.version, template.digest, template.subject):
            yield template.reference


def _lines(verdict: Verdict, spoiled: list[str], language: str) -> Iterator[str]:
    good = verdict.ok and not spoiled
    yield text("ledger.ok" if good else "ledger.not_ok", language, rows=verdict.size, last=verdict.seq)
    yield text("ledger.counts", language, files=verdict.segments, signed=verdict.checkpoints, rest=verdict.unsigned)
    yield f"root {verdict.root}"
    yield text("ledger.anchored" if verdict.anchored else "ledger.not_anchored", language)
    if verdict.gaps:
        yield text("ledger.gaps", language, numbers=", ".join(f"#{seq}" for seq in verdict.gaps[:20]))
    for found in verdict.findings:
        flaw = text(f"flaw.{found.flaw}", language)
        yield f"  #{found.first} - #{found.last}  {flaw}  {found.segment} {found.detail}".rstrip()
    for reference in spoiled:
        yield text("ledger.spoiled", language, template=reference)


def _progress(args: argparse.Namespace, folder: Path) -> Progress:
    """Show a person who waits how much is done of what the newest checkpoint says is there; that is not believed."""
    if not _watched(args):
        return lambda done: None
    try:
        whole = read_checkpoint((published(folder) or "").partition("\n\n")[0] + "\n").size
    except BadNote:
        whole = 0  # which the verdict then says

    def show(done: int) -> None:
        said = text("ledger.progress", args.lang, done=f"{done:,}", rows=f"{max(done, whole):,}")
        print(f"\r{bar(done / max(1, done, whole))}  {said} ", end="", file=sys.stderr, flush=True)

    return show


def _watched(args: argparse.Namespace) -> bool:
    return sys.stderr.isatty() and not args.json
