"""Evidence bundles: 100,000 events verified by the stand-alone file alone, and every changed byte found and named."""

from __future__ import annotations

import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from authd.core.tlog import write_key
from authd.service.evidence.bundle import Ask, Bundle, Question, build
from authd.service.evidence.bundle import verify_evidence as face
from authd.service.evidence.bundle.build import VERIFIER, Head
from authd.service.ledger import Reader, published
from tests.bench import evidence_ledgers
from tests.bench.evidence_ledgers import SIGNER, City
from tests.bench.report import Report

EVENTS = 100_000
CITY = City.of(EVENTS * 28 // 21)
"""A month of two counters; three weeks of it are asked about."""
CHANGES, CHANGES_FULL = 200, 20_000
NAMES: face.Names = {"people": {}, "seats": {}, "systems": {}}


def made(folder: Path, question: Question) -> Bundle:
    """Build one bundle."""
    reader = Reader(folder)
    try:
        return build(reader, question, Head(published(folder) or "", SIGNER.name, SIGNER.public_key), NAMES)
    finally:
        reader.close()


def verified(path: Path) -> tuple[float, float]:
    """Return wall and processor seconds of the stand-alone file over a bundle, as a court would run it."""
    alone = path.with_name("verify_evidence.py")
    shutil.copyfile(VERIFIER, alone)
    key = write_key(SIGNER.name, SIGNER.public_key)
    command = [sys.executable, "-I", "-S", str(alone), str(path), "--key", key]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, check=False, capture_output=True, timeout=300)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(done.stdout.decode()[-2000:] + done.stderr.decode()[-2000:])
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def unseen(data: bytes, changes: int) -> int:
    """Change so many bytes, one at a time, in every member and between them; return how many were not named."""
    draw, own, missed = random.Random(), VERIFIER.read_bytes(), 0
    members: dict[str, bytes] = face.unpack(data, [])
    places = [data.index(content) + draw.randrange(len(content)) for content in members.values() if content]
    places += [draw.randrange(len(data)) for _ in range(changes - len(places))]
    for place in places:
        spoiled = bytearray(data)
        spoiled[place] ^= 1 << draw.randrange(8)
        verdict = face.verify(bytes(spoiled), own=own)
        missed += verdict.found is not None or not any(fault.place for fault in verdict.faults)
    return missed


def asked(until_row: int, *, seat: str = "", record: str = "") -> Question:
    """Ask about the beginning of the month."""
    ends = (evidence_ledgers.month_begin(0), CITY.wall_ms(until_row))
    return Question(Ask.EVENTS, *ends, seat=seat, record=record, case="1", made="2026-11-22")


def run(report: Report, *, full: bool) -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory(prefix="authd-bundle-") as name:
        folder = evidence_ledgers.build(Path(name) / "state", CITY)
        case = Path(name) / "case.zip"
        began = time.perf_counter()
        whole = made(folder, asked(EVENTS, seat=CITY.seat(0)))
        report.figure("bundle_build_s.100k", time.perf_counter() - began, "s")
        case.write_bytes(whole.data)
        events = len(whole.found.rows)
        report.figure("bundle_events", events, "events", f">= {EVENTS}", events >= EVENTS)
        report.figure("bundle_mb", len(whole.data) / 1e6, "MB")
        runs = [verified(case) for _ in range(2)]
        report.at_most("bundle_verify_s.100k", min(wall for wall, _ in runs), "s", 5)
        report.figure("bundle_verify_cpu_s.100k", min(cpu for _, cpu in runs), "s")
        _small(report, folder, CHANGES_FULL if full else CHANGES)


def _small(report: Report, folder: Path, changes: int) -> None:
    """The same of an hour: twice the same bytes, and no changed byte unseen."""
    question = asked(300, seat=CITY.seat(0))
    bundle = made(folder, question)
    same = made(folder, question).data == bundle.data
    report.figure("bundle_same_bytes", same, "", "true", same)
    report.figure("bundle_changes", changes, "bytes changed")
    report.at_most("bundle_changes_unseen", unseen(bundle.data, changes), "of them", 0)
