"""The words of what is asked afterwards: each is answered by a command that anybody would type.

An answer says what it is, whether it is what was played, and the command. What the scenes kept is looked at only to
hold the answer against it.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import zipfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from authd_simulators.drills import leaving
from authd_simulators.drills.leaving import said
from authd_simulators.drills.play import Play, boottime
from authd_simulators.drills.scenario import Words
from authd_simulators.stage import StageError


@dataclass(frozen=True, slots=True)
class Answer:
    """What the ledger answers."""

    words: Words
    ok: bool
    command: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A word: what it takes, and how it is answered."""

    takes: Sequence[str]
    run: Callable[..., Awaitable[Answer]]


async def who(play: Play, seat: str, during: str, people: Sequence[str], grade: str = "B") -> Answer:
    """Who was at a seat during an interval."""
    stays = [stay for stay in await play.asked("who", "--seat", seat, *play.interval(during)) if stay["subject"]]
    right = [stay["subject"] for stay in stays] == [play.subject(role) for role in people]
    right = right and all(stay["grade"] == grade and stay["since"] for stay in stays)
    lines = [f"{stay['person']['name']} {_clock(stay['since'])} - {_clock(stay['until'])}" for stay in stays]
    told = " / ".join(lines) or "-"
    return _answer(f"{told}(証拠 {grade})", f"{told}, grade {grade}", right, f"authd who --seat {seat} --from --to")


async def cleared(play: Play, seat: str, during: str, who: str) -> Answer:
    """Somebody who works there, but was not there then."""
    there = await play.asked("who", "--seat", seat, *play.interval(during))
    then = {stay["subject"] for stay in there}
    day = {stay["subject"] for stay in await play.asked("who", "--seat", seat, *play.interval("day"))}
    person, subject = play.staff(who), play.subject(who)
    right = subject in day and subject not in then and not any(stay["unknown"] for stay in there)
    ja, en = f"{person.name} はその間この席にいない", f"{who} was not at this seat then"
    return _answer(ja, en, right, f"authd who --seat {seat} --from --to")


async def views(
    play: Play, record: str, people: Sequence[str], systems: Sequence[str] = (), guard: Sequence[str] = ()
) -> Answer:
    """Who opened a resident's record, and how much of it was to be seen."""
    rows = [row for row in await _views(play, "--record", play.number(record)) if row["kind"] == "view.opened"]
    right = [row["subject"] for row in rows] == [play.subject(role) for role in people]
    right = right and (not systems or [row["system"] for row in rows] == list(systems))
    if guard:
        shown = {row["seq"]: row["data"].get("guard") for row in await _rows(play, "view.opened")}
        right = right and [shown[row["row"]] for row in rows] == list(guard)
    lines = [f"{_clock(row['time'])} {row['person']['name']} {row['system']} ({row['grade']})" for row in rows]
    told = " / ".join(lines) or "-"
    return _answer(told, told, right, f"authd views --record {play.number(record)}")


async def opened(play: Play, who: str, record: Sequence[str]) -> Answer:
    """Which records somebody opened."""
    number = play.staff(who).staff_number
    rows = [row for row in await _views(play, "--subject", number) if row["kind"] == "view.opened"]
    named = [await _pseudonym(play, name) for name in record]
    right = {row["record"] for row in rows} == set(named)
    first, last = (_clock(rows[0]["time"]), _clock(rows[-1]["time"])) if rows else ("-", "-")
    ja = f"{len(named)} 人の記録を {len(rows)} 回、{first} から {last}"
    en = f"{len(rows)} views of {len(named)} records, {first} to {last}"
    return _answer(ja, en, right, f"authd views --subject {number}")


async def not_opened(play: Play, who: str, record: str) -> Answer:
    """Somebody did not open this record, at no seat and in no system."""
    rows = await _views(play, "--record", play.number(record))
    theirs = [row for row in rows if row["subject"] == play.subject(who)]
    person, times = play.staff(who), await _views(play, "--subject", play.staff(who).staff_number)
    ja = f"{person.name} の閲覧は {len(times)} 件あり、この記録は 0 件"
    en = f"{len(times)} views by {who}, none of this record"
    return _answer(ja, en, not theirs, f"authd views --record {play.number(record)}")


async def saw(play: Play, record: str, who: str, yes: bool) -> Answer:
    """Whether somebody was shown the warning, and in which words."""
    rows = [row for row in await _views(play, "--record", play.number(record)) if row["subject"] == play.subject(who)]
    places = {row["row"] for row in rows}
    shown = [row for row in await _rows(play, "view.acknowledged") if row["seq"] in places]
    texts = [row["data"]["text"] for row in shown]
    right = (texts == [play.kept["notice"]]) if yes else not texts
    first = texts[0].partition("\n")[0] if texts else ""
    ja = f"見た。{_at(shown[0])} に指で確認、表示した文:「{first}」" if texts else "見ていない(表示していない)"
    en = (
        f"yes: acknowledged by touch at {_at(shown[0])}, with the words in the ledger"
        if texts
        else "no: it was not shown"
    )
    return _answer(ja, en, right, f"authd views --record {play.number(record)}")


async def ran(play: Play, who: str, kind: str, result: str, step: str = "") -> Answer:
    """Which procedure somebody went through, in which version, for how long, and to which end."""
    rows = [row for row in await _rows(play, "procedure.finished") if row["subject"] == play.subject(who)]
    found = [row for row in rows if row["data"]["procedure"] == kind and row["data"]["result"] == result]
    if not found:
        return _answer("記録なし", "nothing in the ledger", False, "authd events --json")
    data = found[-1]["data"]
    given = [row["data"] for row in await _rows(play, "procedure.answered") if row["data"]["run"] == data["run"]]
    right = not step or (given[-1]["step"], given[-1]["goes_on"]) == (step, result == "passed")
    ends = f"{given[-1]['step']}={given[-1]['answer']}"
    ja = f"{kind} 第{data['version']}版、{data['answered']} 項目 {data['ms'] / 1000:.1f} 秒、{data['result']}({ends})"
    en = f"{kind} {data['version']}, {data['answered']} steps in {data['ms'] / 1000:.1f} s: {data['result']} at {ends}"
    return _answer(ja, en, right, "authd events --json")


async def same_refusal(play: Play, count: int) -> Answer:
    """Every refusal was word for word the same, whoever the resident was."""
    alike = len(set(play.refusals)) == 1 and len(play.refusals) == count
    first = play.refusals[0] if play.refusals else "-"
    return _answer(f"{count} 回とも同じ:「{first.partition(' / ')[0]}」", f"{count} times the same words", alike)


async def held(play: Play, system: Sequence[str], record: str) -> Answer:
    """Which version of the registry each system held when the record was first asked for."""
    rows = await _rows(play, "flag.held", "view.opened")
    known = await _pseudonym(play, record)
    asked = min(row["seq"] for row in rows if row["data"].get("record") == known)
    wanted = max(row["seq"] for row in await _rows(play, "flag.set") if row["seq"] < asked)
    right, lines = True, list[str]()
    for name in system:
        before = [row["data"] for row in rows if row["seq"] < asked and row["data"]["system"] == name]
        right = right and bool(before) and before[-1]["version"] == wanted and not before[-1]["silent"]
        lines.append(f"{name}: {before[-1]['version'] if before else '-'}")
    told = " / ".join(lines)
    ja, en = f"台帳は第{wanted}版。{told}", f"version {wanted} of the registry; {told}"
    return _answer(ja, en, right, "authd events --json")


async def silent(play: Play, system: Sequence[str]) -> Answer:
    """Which linked system may not know of a protection now."""
    _, out, _ = await play.authd("flags", "coverage", "--config", str(play.stage.config), "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    found = [row for row in rows if row["linked"] and not row["covered"]]
    right = [row["system"] for row in found] == list(system)
    ja = " / ".join(f"{row['name_ja']}: 応答なし {row['silent_s']} 秒、第{row['version']}版まで" for row in found)
    en = " / ".join(f"{row['name_en']}: silent for {row['silent_s']} s, at version {row['version']}" for row in found)
    return _answer(ja or "-", en or "-", right, "authd flags coverage")


async def statement(play: Play, record: str) -> Answer:
    """A paper for the resident: who looked at their record."""
    page = play.folder / "statement.html"
    words = ("--statement", "resident", "--record", play.number(record), "--html", str(page))
    code, out, errors = await play.authd("evidence", "--case", "drill-1", *words, "--config", str(play.stage.config))
    right = code == 0 and page.exists()
    first = next(iter((out or errors).splitlines()), "-")
    en = f"made, {page.stat().st_size} bytes" if right else first
    return _answer(f"作成: {first}" if right else first, en, right, "authd evidence --statement resident")


async def bundle(play: Play, record: str) -> Answer:
    """Evidence that is checked by its own verifier: one Python file, no authd, no network."""
    out, verifier = play.folder / "case.zip", play.folder / "verify_evidence.py"
    where = ("--config", str(play.stage.config), "--lang", "en")
    words = ("--record", play.number(record), "--out", str(out))
    code, made, errors = await play.authd("evidence", "--case", "drill-2", *words, *where)
    if code or not out.exists():
        return _answer(errors or made, errors or made, False, "authd evidence")
    with zipfile.ZipFile(out) as archive:
        name = next(each for each in archive.namelist() if each.endswith("verify_evidence.py"))
        verifier.write_bytes(archive.read(name))
    began = boottime()
    code, said_so = await _alone(str(verifier), str(out))
    took, changed = boottime() - began, play.folder / "changed.zip"
    data = bytearray(out.read_bytes())
    data[len(data) // 2] ^= 1
    changed.write_bytes(data)
    broken, _ = await _alone(str(verifier), str(changed))
    right = code == 0 and broken != 0
    ja = f"{took:.1f} 秒で確認。1バイト変えると不合格({broken})"
    en = f"verified in {took:.1f} s; with one byte changed it fails ({broken})"
    return _answer(
        ja if right else said_so[-200:], en if right else said_so[-200:], right, "python3 verify_evidence.py"
    )


async def _alone(*words: str) -> tuple[int, str]:
    """Run a Python file with the standard library alone: isolated, without site packages."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def changes(play: Play, record: str, people: Sequence[str], kinds: Sequence[str]) -> Answer:
    """Who set, renewed or released a protection, in their order; the second persons, and what came to nothing."""
    known = await _pseudonym(play, record)
    wanted = ("flag.requested", "flag.set", "flag.renewed", "flag.released", "flag.dropped")
    rows = [row for row in await _rows(play, *wanted) if row["data"].get("record") == known]
    right = [row["kind"].removeprefix("flag.") for row in rows] == list(kinds)
    right = right and [row.get("subject") for row in rows] == [play.subject(role) for role in people]
    by = {play.subject(role): play.staff(role).name for role in play.scenario.roles}
    told = " / ".join(f"{_at(row)} {by.get(row.get('subject', ''), '-')} {row['kind']}" for row in rows)
    return _answer(told, told, right, "authd events --json")


async def verified(play: Play) -> Answer:
    """Nobody has changed what stands in the ledger."""
    code, out, errors = await play.authd("ledger", "verify", str(play.stage.ledger), "--lang", "ja")
    first = (out.splitlines() or errors.splitlines() or ["-"])[0]
    return _answer(first, f"nothing was changed: {first}" if code == 0 else first, code == 0, "authd ledger verify")


# What the commands print.


async def _views(play: Play, *of: str) -> list[dict[str, Any]]:
    """What people opened in systems; that somebody asks afterwards stands in the ledger too, and is left out here."""
    return [row for row in await play.asked("views", *of) if row["system"] != "authd"]


async def _rows(play: Play, *kinds: str) -> list[dict[str, Any]]:
    """Rows of these kinds, as they stand in the ledger. It is read once: what is asked changes none of them."""
    if "rows" not in play.kept:
        code, out, errors = await play.authd("events", "--config", str(play.stage.config), "--json")
        if code:
            raise StageError(f"authd events: exit code {code}\n{errors}")
        play.kept["rows"] = [json.loads(line) for line in out.splitlines()]
    return [row for row in play.kept["rows"] if row["kind"] in kinds]


async def _pseudonym(play: Play, record: str) -> str:
    """Return what the ledger knows a record by; only this host's record key can tell."""
    known: dict[str, str] = play.kept.setdefault("pseudonyms", {})
    if record not in known:
        where = ("--config", str(play.stage.config), "--lang", "en")
        code, out, errors = await play.authd("views", "--record", play.number(record), *where)
        found = re.search(r"rec_[a-z2-7]{32}", out)
        if code or found is None:
            raise StageError(f"authd views: exit code {code}\n{errors}")
        known[record] = found[0]
    return known[record]


def _told(ask: Callable[..., Awaitable[tuple[Words, bool, str]]]) -> Callable[..., Awaitable[Answer]]:
    async def asked(play: Play, **given: Any) -> Answer:
        return Answer(*await ask(play, **given))

    return asked


def _answer(ja: str, en: str, right: bool, command: str = "") -> Answer:
    return Answer(said(ja, en), right, command)


def _clock(moment: str) -> str:
    return f"{datetime.fromisoformat(moment):%H:%M:%S}"


def _at(row: Mapping[str, Any]) -> str:
    return f"{datetime.fromtimestamp(row['wall'] / 1000).astimezone():%H:%M:%S}"


QUESTIONS: Final[Mapping[str, Asked]] = {
    "who": Asked(("seat", "during", "people", "grade"), who),
    "cleared": Asked(("seat", "during", "who"), cleared),
    "views": Asked(("record", "people", "systems", "guard"), views),
    "opened": Asked(("who", "record"), opened),
    "not_opened": Asked(("who", "record"), not_opened),
    "saw": Asked(("record", "who", "yes"), saw),
    "ran": Asked(("who", "kind", "result", "step"), ran),
    "same_refusal": Asked(("count",), same_refusal),
    "held": Asked(("system", "record"), held),
    "silent": Asked(("system",), silent),
    "statement": Asked(("record",), statement),
    "bundle": Asked(("record",), bundle),
    "changes": Asked(("record", "people", "kinds"), changes),
    "traced": Asked((), _told(leaving.traced)),
    "leaked_by": Asked(("data_set", "who", "second"), _told(leaving.leaked_by)),
    "affected": Asked((), _told(leaving.affected)),
    "still_out": Asked(("data_set",), _told(leaving.still_out)),
    "verified": Asked((), verified),
}
"""Every word there is."""
