"""The words of a scene: what people, and the systems they use, do on the stage.

Each returns what came of it, in both languages, and whether that is what must come of it (None: it shows nothing).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from authd import client
from authd.client.flags import FlagChange, Look, Protection
from authd_simulators.drills import leaving
from authd_simulators.drills.leaving import said
from authd_simulators.drills.play import Play, boottime
from authd_simulators.drills.scenario import LANGUAGES, Words
from authd_simulators.stage import StageError, presence, vein

LOCK_WITHIN_S: Final = 15.0
HELD_WITHIN_S, SILENT_WITHIN_S = 5.0, 10.0
Done = tuple[Words, bool | None]


@dataclass(frozen=True, slots=True)
class Act:
    """A word: what it takes, and what it does."""

    takes: Sequence[str]
    run: Callable[..., Awaitable[Done]]


# At a seat.


async def log_in(play: Play, who: str, seat: str) -> Done:
    """Touch until the seat is theirs, whoever has it before."""
    person = play.staff(who)
    there = await play.stage.log_in(play.door, seat, person)
    return said(f"{person.name} が {seat} で開始(証拠 {there.grade})", f"{seat} is {who}'s, grade {there.grade}"), True


async def log_out(play: Play, seat: str) -> Done:
    """Press the button, and see that nobody is left."""
    await play.stage.log_out(seat)
    await _until_nobody(play, seat)
    return said(f"{seat} はロック", f"{seat} is locked"), None


async def walk_away(play: Play, who: str, seat: str) -> Done:
    """Leave without a word; whoever is there must be locked out by itself."""
    began = boottime()
    await play.stage.send(f"{presence(seat)} LEAVE")
    try:
        async with asyncio.timeout(LOCK_WITHIN_S):
            await _until_nobody(play, seat)
    except TimeoutError:
        return said("開いたまま", "still open"), False
    finally:
        await play.stage.send(f"{presence(seat)} COME")
    took = boottime() - began
    return said(f"{took:.0f} 秒で自動ロック", f"locked by itself after {took:.0f} s"), True


async def stranger(play: Play, seat: str) -> Done:
    """An unknown finger."""
    await play.stage.lifted(seat)
    await play.stage.send(f"{vein(seat)} AWAIT 30000")
    await play.stage.send(f"{vein(seat)} WRONG 400")
    await play.stage.lifted(seat)
    await play.stage.send(f"{vein(seat)} AWAIT 30000")
    nobody = await play.door.who(seat, fresh=True) is None
    return said("開かない" if nobody else "開いた", "refused" if nobody else "let in"), nobody


async def procedure(play: Play, who: str, seat: str, kind: str, answers: Sequence[str], result: str) -> Done:
    """Go through a checklist on the seat's screen."""
    there = await play.door.who(seat)
    if there is None or there.subject != play.subject(who):
        raise StageError(f"{who} is not logged in at {seat}")
    screen = await play.screen(seat)
    run = await screen.procedure_start(seat, there.session, kind)
    for answer in answers:
        if run.step is None:
            break
        run = await screen.procedure_answer(seat, run.id, run.step.id, answer)
    if run.result == "refused":
        play.refusals.append(" / ".join(run.refusal[language] for language in LANGUAGES))
        return said("断りの文を画面に表示", "the screen shows the refusal"), result == "refused"
    return said(f"最後まで進んだ({run.result})", f"gone through: {run.result}"), run.result == result


# A record.


async def view(
    play: Play,
    who: str,
    system: str,
    seat: str,
    record: str,
    purpose: str,
    see: str,
    by: str = "counter",
    keep: str = "look",
    screen: str = "juminhyo",
) -> Done:
    """Open a record in a system, which asks authd first. `see`: open, masked or refused."""
    person = await play.visit(system, seat)
    if person.subject != play.subject(who):
        raise StageError(f"{who} is not logged in at {seat}")
    asked = await play.system(system)
    try:
        look = await asked.look(person, play.number(record), screen=screen, purpose=purpose, by=by)  # type: ignore[arg-type]  # the door says what it takes
    except client.DoorError as error:
        play.refusals.append(error.message)
        return said("開かない。断りの文だけ", "nothing but the refusal"), see == "refused"
    play.kept[keep] = look
    shown = "masked" if look.masked else "open"
    words = said(
        f"{'住所は伏せたまま' if look.masked else '表示'}(受領書 #{look.receipt.seq})",
        f"{shown}, receipt of row {look.receipt.seq}",
    )
    return words, shown == see


async def unmask(
    play: Play, who: str, system: str, seat: str, purpose: str, answers: Mapping[str, str], look: str = "look"
) -> Done:
    """Read the notice, answer the checklist, touch."""
    seen: Look = play.kept[look]
    notice = seen.notice["ja"]
    asked = (await play.system(system)).unmask(seen.id, purpose=purpose, shown=notice, answers=dict(answers))
    try:
        done = await play.touched(seat, play.staff(who), asked)
    except client.DoorError as error:
        return said(f"伏せたまま: {error.message}", f"stays masked: {error.message}"), False
    play.kept["notice"] = notice
    return said(f"表示した文を記録 #{done.seq}", f"what was shown is row {done.seq}"), True


# Protections.


async def protect(play: Play, record: str, who: str, seat: str, second: str, other_seat: str) -> Done:
    """Two persons protect a record."""
    asked = play.door.flag_request(seat, "set", play.number(record), case="drill")
    wish = await play.touched(seat, play.staff(who), asked)
    approved = play.door.flag_approve(wish.request, other_seat)
    done = await play.touched(other_seat, play.staff(second), approved)
    return said(f"台帳 第{done.version}版", f"version {done.version} of the registry"), done.version > 0


async def ask_change(play: Play, record: str, who: str, seat: str, change: FlagChange, keep: str) -> Done:
    """One person asks for a change, which waits for a second one."""
    asked = play.door.flag_request(seat, change, play.number(record), case="drill")
    play.kept[keep] = await play.touched(seat, play.staff(who), asked)
    return said("2人目を待つ", "waits for a second person"), True


async def approve(play: Play, request: str, who: str, seat: str, result: str) -> Done:
    """Somebody approves a request. `result`: changed, or nothing."""
    asked = play.door.flag_approve(play.kept[request].request, seat)
    try:
        done = await play.touched(seat, play.staff(who), asked)
    except client.DoorError as error:
        return said(f"成立せず: {error.message}", f"came to nothing: {error.message}"), result == "nothing"
    return said(f"台帳 第{done.version}版", f"version {done.version} of the registry"), result == "changed"


async def link(play: Play, system: str) -> Done:
    """A system begins to hold a copy of the protections, and says so."""
    asked = await play.system(system)

    async def apply(changes: Sequence[Protection]) -> None:
        play.kept.setdefault(f"copy {system}", {}).update({each.mark: each.protected for each in changes})

    began = boottime()
    play.holders[system] = play.group.create_task(asked.hold(apply, 0))
    ok = await _until_coverage(play, system, covered=True, within=HELD_WITHIN_S)
    return said(f"{boottime() - began:.1f} 秒で追いついた", f"caught up in {boottime() - began:.1f} s"), ok


async def covered(play: Play, system: str) -> Done:
    """A change has come to a linked system."""
    began = boottime()
    ok = await _until_coverage(play, system, covered=True, within=HELD_WITHIN_S)
    return said(f"{boottime() - began:.1f} 秒で届いた", f"there within {boottime() - began:.1f} s"), ok


async def silence(play: Play, system: str) -> Done:
    """A system goes away, as systems do; somebody must see it."""
    holder, began = play.holders.pop(system), boottime()
    holder.cancel()
    await asyncio.wait({holder})
    ok = await _until_coverage(play, system, covered=False, within=SILENT_WITHIN_S)
    took = boottime() - began
    return said(f"{took:.1f} 秒で「応答なし」", f"shown as silent after {took:.1f} s"), ok


# Many records.


async def browse(play: Play, who: str, system: str, seat: str, record: Sequence[str], purpose: str) -> Done:
    """Open one record after the other."""
    for each in record:
        await view(play, who, system, seat, each, purpose, "open")
    return said(f"{len(record)} 件", f"{len(record)} records"), None


async def _until_nobody(play: Play, seat: str) -> None:
    async for there in play.door.changes(seat):
        if there is None:
            return


async def _until_coverage(play: Play, system: str, *, covered: bool, within: float) -> bool:
    began = boottime()
    while boottime() - began < within:
        _, systems = await play.door.flag_coverage()
        if next(each.covered for each in systems if each.system == system) is covered:
            return True
        await asyncio.sleep(0.05)
    return False


ACTS: Final[Mapping[str, Act]] = {
    "log_in": Act(("who", "seat"), log_in),
    "log_out": Act(("seat",), log_out),
    "walk_away": Act(("who", "seat"), walk_away),
    "stranger": Act(("seat",), stranger),
    "procedure": Act(("who", "seat", "kind", "answers", "result"), procedure),
    "view": Act(("who", "system", "seat", "record", "purpose", "see", "by", "keep", "screen"), view),
    "unmask": Act(("who", "system", "seat", "purpose", "answers", "look"), unmask),
    "protect": Act(("record", "who", "seat", "second", "other_seat"), protect),
    "ask_change": Act(("record", "who", "seat", "change", "keep"), ask_change),
    "approve": Act(("request", "who", "seat", "result"), approve),
    "link": Act(("system",), link),
    "covered": Act(("system",), covered),
    "silence": Act(("system",), silence),
    "server": Act(("residents", "files"), leaving.server),
    "baseline": Act(("data_set",), leaving.baseline),
    "carry_out": Act(
        ("who", "seat", "second", "other_seat", "system", "data_set", "purpose"),
        leaving.carry_out,
    ),
    "kept_in": Act(("who", "seat", "system"), leaving.kept_in),
    "export_again": Act(("data_set",), leaving.export_again),
    "upload": Act(("data_set", "name"), leaving.upload),
    "browse": Act(("who", "system", "seat", "record", "purpose"), browse),
}
"""Every word there is."""
