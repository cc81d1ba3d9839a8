"""Words about data that leaves: registered, carried out by two people, put on a server, and looked for there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from authd.client import CarryoutOrder, DoorError
from authd_simulators import leak
from authd_simulators.drills.play import Play, boottime
from authd_simulators.drills.scenario import Words
from authd_simulators.stage import StageError

REFUSED: Final = 4
Done = tuple[Words, bool | None]


def said(ja: str, en: str) -> Words:
    """One sentence in both languages."""
    return {"ja": ja, "en": en}


async def server(play: Play, residents: int, files: int) -> Done:
    """A rented server full of files, among them some with residents' data; and the data sets that these are of."""
    made = await asyncio.to_thread(leak.make, play.folder / "leak", 2015, residents, files)
    play.kept["leak"] = {each.path: each.data_set for each in made.leaked}
    ja = f"{made.files} ファイル、うち住民の情報を含むもの {len(made.leaked)}"
    return said(ja, f"{made.files} files, {len(made.leaked)} of them with residents' data"), None


async def baseline(play: Play, data_set: Sequence[str]) -> Done:
    """Data sets that were there before are registered, so that they are known again."""
    for each in data_set:
        words = ("carryout", "baseline", str(_set(play, each)), "--title", each, "--config", str(play.stage.config))
        code, _, errors = await play.authd(*words)
        if code:
            raise StageError(f"authd carryout baseline: exit code {code}\n{errors}")
    return said(f"{len(data_set)} 件を登録", f"{len(data_set)} registered"), True


async def carry_out(
    play: Play, who: str, seat: str, second: str, other_seat: str, system: str, data_set: str, purpose: str
) -> Done:
    """One person asks, another allows it, and the file is written: with rows in it that are nobody's."""
    out = play.folder / f"{data_set}-out.csv"
    source = _set(play, data_set)
    order = CarryoutOrder("export", len(source.read_bytes().splitlines()), purpose, str(out))
    asked = play.door.request_carryout(order, seat=seat, system=system)
    wish = await play.touched(seat, play.staff(who), asked)
    await play.touched(other_seat, play.staff(second), play.door.approve_carryout(wish.carryout, seat=other_seat))
    code, errors = await _export(play, wish.capability, source, out)
    play.kept[f"out {data_set}"] = (wish.carryout, wish.capability, out)
    if code:
        return said(errors, errors), False
    return said(
        f"{wish.carryout}、{out.stat().st_size:,} バイト", f"{wish.carryout}, {out.stat().st_size:,} bytes"
    ), True


async def kept_in(play: Play, who: str, seat: str, system: str) -> Done:
    """Somebody asks to carry data out of a system that may not know of a protection."""
    order = CarryoutOrder("export", 10, "list", str(play.folder / "list.csv"))
    try:
        await play.touched(seat, play.staff(who), play.door.request_carryout(order, seat=seat, system=system))
    except DoorError as error:
        why = error.message.partition(":")[0]
        return said(f"断られた({why})", f"refused: {why}"), why == "silent"
    return said("許された", "allowed"), False


async def export_again(play: Play, data_set: str) -> Done:
    """Somebody tries the same capability a second time, and then none."""
    _, capability, _ = play.kept[f"out {data_set}"]
    source, more = _set(play, data_set), play.folder / "more.csv"
    codes = [(await _export(play, each, source, more))[0] for each in (capability, "cap_" + "0" * 32)]
    ok = codes == [REFUSED, REFUSED] and not more.exists()
    return said("どちらも断られ、ファイルはできない", "both refused, and there is no file"), ok


async def upload(play: Play, data_set: str, name: str) -> Done:
    """The file is taken home, sorted anew, renamed, and put on the server."""
    _, _, out = play.kept[f"out {data_set}"]
    heading, *rows = out.read_bytes().splitlines(keepends=True)
    (play.folder / "leak" / "server" / name).write_bytes(b"".join([heading, *sorted(rows, reverse=True)]))
    play.kept["leak"][name] = data_set
    return said(f"{name}、{len(rows)} 行", f"{name}, {len(rows)} rows"), None


# What is asked.


async def traced(play: Play) -> tuple[Words, bool, str]:
    """Which of the files on the server have residents' data in them, and from which data set."""
    began = boottime()
    summary, found = await _trace(play)
    took = boottime() - began
    names = {play.kept[key][0]: key.removeprefix("out ") for key in play.kept if key.startswith("out ")}
    wanted: dict[str, str] = play.kept["leak"]
    told = {leak["path"]: _name(leak["origins"][0], names) for leak in found}
    right = told == wanted
    ja = f"{summary['files']} ファイルから {len(found)} を {took:.1f} 秒で。すべて出所も一致"
    en = f"{len(found)} of {summary['files']} files in {took:.1f} s, each with the data set that it is of"
    wrong = sorted(set(told.items()) ^ set(wanted.items()))
    return (said(ja, en) if right else said(str(wrong), str(wrong))), right, "authd trace FOLDER"


async def leaked_by(play: Play, data_set: str, who: str, second: str) -> tuple[Words, bool, str]:
    """Through whom a carried-out data set left: who asked, who allowed it, at which seat and in which session."""
    carryout, _, _ = play.kept[f"out {data_set}"]
    _, found = await _trace(play)
    (origin,) = [leak["origins"][0] for leak in found if leak["origins"][0]["data_set"] == carryout][:1] or [{}]
    told: dict[str, Any] = origin.get("ledger") or {}
    asked, allowed = (str((told.get(role) or {"subject": ""})["subject"]) for role in ("person", "approver"))
    right = (
        [asked, allowed] == [play.subject(who), play.subject(second)]
        and origin["canaries"] > 0
        and bool(told.get("session"))
    )
    names = f"{play.staff(who).name} → {play.staff(second).name}"
    ja = f"{carryout}: {names}、{told.get('seat')}、目的「{told.get('purpose')}」、架空行 {origin.get('canaries')}"
    en = f"{carryout}: asked by {who}, allowed by {second}, at {told.get('seat')}; {origin.get('canaries')} canary rows"
    return said(ja, en), right, "authd trace FOLDER --json"


async def affected(play: Play) -> tuple[Words, bool, str]:
    """Whose records they are, from the same run."""
    summary, _ = await _trace(play)
    lines = (play.folder / "affected.csv").read_text("utf-8").splitlines()
    right = summary["residents"] == len(lines) - 1 > 0
    ja, en = f"{summary['residents']:,} 人", f"{summary['residents']:,} residents"
    return said(ja, en), right, "authd trace FOLDER --residents FILE"


async def still_out(play: Play, data_set: str) -> tuple[Words, bool, str]:
    """What was carried out and has neither come back nor been erased."""
    carryout, _, _ = play.kept[f"out {data_set}"]
    where = ("--config", str(play.stage.config), "--json")
    _, out, _ = await play.authd("carryout", "list", *where)
    found = {row["carryout"]: row for row in map(json.loads, out.splitlines())}
    row = found.get(carryout, {})
    right = row.get("stage") == "used" and bool(row.get("due"))
    due = str(row.get("due", "-"))[:10]
    return said(f"{carryout} は持ち出し中、期限 {due}", f"{carryout} is out, due {due}"), right, "authd carryout list"


async def _trace(play: Play) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Look once: every question is about the same run."""
    if "trace" not in play.kept:
        where = ("--config", str(play.stage.config), "--json", "--workers", "2")
        folder = str(play.folder / "leak" / "server")
        affected_file = str(play.folder / "affected.csv")
        code, out, errors = await play.authd("trace", folder, "--residents", affected_file, *where)
        if code not in (0, 1) or not out:
            raise StageError(f"authd trace: exit code {code}\n{errors}")
        summary, *lines = map(json.loads, out.splitlines())
        play.kept["trace"] = summary["summary"], [line["found"] for line in lines if "found" in line]
    found: tuple[dict[str, Any], list[dict[str, Any]]] = play.kept["trace"]
    return found


async def _export(play: Play, capability: str, source: Path, out: Path) -> tuple[int, str]:
    words = ("--capability", capability, "--in", str(source), "--out", str(out), "--number", "宛名番号")
    code, _, errors = await play.authd("export", *words, "--config", str(play.stage.config))
    return code, errors


def _set(play: Play, name: str) -> Path:
    return play.folder / "leak" / "sets" / f"{name}.csv"


def _name(origin: dict[str, Any], carried: dict[str, str]) -> str:
    return carried.get(str(origin["data_set"]), str(origin["title"]))
