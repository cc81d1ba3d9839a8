"""What the agent does about what it hears: pure, as the seat machine is. Time comes in with every event.

Four rules:
1. The desktop is covered unless authd has said within the last second that a session is open. A session that was once
   covered here does not come back: the next one has another name.
2. Only authd uncovers. Neither logind's Unlock, nor the locker's own exit status, nor any key does.
3. Where the screen could not be had, nobody sits down: a session that opened before authd knew of it stays covered,
   until authd has answered that it is open all the same.
4. The shield, our own black window, is there from the first moment to the last, above everything until the locker has
   said that it holds the screen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from authd.core.model import MILLISECOND, SECOND, Instant

SILENCE: Final = SECOND
"""Without a word of the daemon, the desktop is covered."""
TAKES: Final = SECOND
"""How long a locker may take to hold the screen."""
ENDS: Final = 500 * MILLISECOND
"""How long it may take to go when it is asked to."""
REMEMBERED: Final = 8
AGAIN: Final = 300 * MILLISECOND
"""Between two tries to take a screen that another program holds."""


class Locker(StrEnum):
    """The locker's process."""

    NONE = "none"
    STARTING = "starting"
    HELD = "held"
    """It has said that keyboard, mouse and screen are its own."""
    ENDING = "ending"


class Do(StrEnum):
    """What is to be done, in this order."""

    SHIELD = "shield"
    START = "start"
    END = "end"
    """Ask the locker to go."""
    KILL = "kill"
    REST = "rest"
    """Leave the shield where it is, beneath the locker: if that dies, nothing is seen even for a moment."""
    UNSHIELD = "unshield"
    WAKE = "wake"
    """Let the locker show what it is waiting for."""
    PRESS = "press"
    """Tell authd to end the session."""
    SPEAK = "speak"
    """Tell authd of the cover now, not at the next beat."""
    HINT = "hint"
    """Tell logind whether the desktop is locked."""
    HOLD = "hold"
    """Keep the machine from sleeping for a moment."""
    LET_GO = "let_go"


@dataclass(frozen=True, slots=True)
class Heard:
    """The daemon's word: which session is open here."""

    session: str | None


@dataclass(frozen=True, slots=True)
class Alive:
    """It is there, and says in an answer which session is open here.

    What opens is `Heard` alone, in its order; an answer counts as a sign of life only where it says the same.
    """

    session: str | None
    said: str = "open"
    """What it was told of the cover, to which this is the answer."""


@dataclass(frozen=True, slots=True)
class Held:
    """The locker has the screen."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The locker's process has ended, however it did."""


@dataclass(frozen=True, slots=True)
class Hung:
    """It does not run any more, though it is there."""


@dataclass(frozen=True, slots=True)
class LockAsked:
    """The desktop wants to be locked: logind, a key of the window manager, `authd agent lock`."""


@dataclass(frozen=True, slots=True)
class Sleeping:
    """The machine is about to sleep, or has woken."""

    asleep: bool


@dataclass(frozen=True, slots=True)
class Told:
    """authd has been told what was lost."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Event = Heard | Alive | Held | Gone | Hung | LockAsked | Sleeping | Told | Tick


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything the agent knows. It begins with a desktop that must be covered."""

    session: str | None = None
    over: tuple[str, ...] = ()
    """The last sessions that were covered or replaced, and do not come back; the newest is the last."""
    heard_at: Instant = Instant(0)
    wanted: bool = False
    """Whether the desktop must be covered; false only before the first step, and while a session is open."""
    locker: Locker = Locker.NONE
    since: Instant = Instant(0)
    """Of the locker's state."""
    failed: bool = False
    """The last try to take the screen was in vain."""
    untold: bool = False
    """authd has not yet answered that it knows of a try in vain, also where another one has held since."""
    allowed: str | None = None
    """The session that authd keeps open although it knows that the cover has failed."""
    lost: str | None = None
    """What became of a cover and has not been told yet: `died`, `hung`, `refused`."""
    pressed: bool = False
    """authd was told to end one of `over`, and has not yet said that it is ended."""
    sleeping: bool = False
    holding: bool = False
    """The machine waits for us before it sleeps."""

    @property
    def cover(self) -> str:
        """What authd is told of the desktop."""
        if self.wanted and (self.failed or self.untold):
            return "failed"
        return "covered" if self.wanted and self.locker is Locker.HELD else "open"


Outcome = tuple[Desk, tuple[Do, ...]]


def begin(now: Instant) -> Outcome:
    """Cover first, then ask who is there."""
    return _settled(Desk(holding=True), now, (Do.HOLD,))


def step(desk: Desk, event: Event, now: Instant) -> Outcome:
    """Apply one event."""
    match event:
        case Alive():
            return _alive(desk, event, now)
        case Heard():
            return _heard(replace(desk, heard_at=now), event, now)
        case Held():
            return _held(desk, now)
        case Gone():
            return _gone(desk, now)
        case Hung():
            return _hung(desk, now)
        case LockAsked():
            return _lock(desk, now)
        case Sleeping(asleep):
            return _lock(replace(desk, sleeping=True), now) if asleep else _woken(desk, now)
        case Told():
            return replace(desk, lost=None), ()
        case Tick():
            return _settled(desk, now)


def deadline(desk: Desk) -> Instant | None:
    """When `Tick` is next needed."""
    dues: list[int] = []
    if not desk.wanted:
        dues.append(desk.heard_at + SILENCE)
    if desk.locker is Locker.STARTING:
        dues.append(desk.since + TAKES)
    if desk.locker is Locker.ENDING:
        dues.append(desk.since + ENDS)
    if desk.wanted and desk.locker is Locker.NONE:
        dues.append(desk.since + AGAIN)
    return Instant(min(dues)) if dues else None


def _alive(desk: Desk, event: Alive, now: Instant) -> Outcome:
    if event.session == desk.session:
        desk = replace(desk, heard_at=now)
    if event.said != "failed":
        return _settled(desk, now)
    told = replace(desk, untold=False, allowed=event.session)
    if desk.untold and event.session != desk.session:
        return _lock(told, now)  # it opened before authd knew
    return _settled(told, now, (Do.SPEAK,) if told.cover != desk.cover else ())


def _heard(desk: Desk, event: Heard, now: Instant) -> Outcome:
    session = event.session
    if session is not None and session in desk.over:
        press = () if desk.pressed else (Do.PRESS,)  # what was covered here must not go on behind the cover
        return _settled(replace(_without(desk), pressed=True), now, press)
    if desk.session != session:
        desk = _without(desk)
    if session is not None and desk.sleeping:
        return _settled(replace(_without(replace(desk, session=session)), pressed=True), now, (Do.PRESS,))
    ask = (Do.SPEAK,) if session is not None and desk.cover == "failed" else ()
    return _settled(replace(desk, session=session, pressed=False), now, ask)


def _without(desk: Desk) -> Desk:
    """The session that was open here is over."""
    if desk.session is None:
        return desk
    return replace(desk, session=None, over=(*desk.over, desk.session)[-REMEMBERED:])


def _woken(desk: Desk, now: Instant) -> Outcome:
    hold = () if desk.holding else (Do.HOLD,)
    return _settled(replace(desk, sleeping=False, holding=True), now, hold)


def _lock(desk: Desk, now: Instant) -> Outcome:
    """It is over here at once; authd ends it for everybody else."""
    if desk.session is None:
        return _settled(desk, now)
    return _settled(replace(_without(desk), pressed=True), now, (Do.PRESS,))


def _held(desk: Desk, now: Instant) -> Outcome:
    if desk.locker is not Locker.STARTING:
        return desk, ()
    desk = replace(desk, locker=Locker.HELD, since=now, failed=False)
    return _settled(desk, now, (Do.REST, Do.WAKE, Do.SPEAK) if desk.wanted else ())


def _gone(desk: Desk, now: Instant) -> Outcome:
    """However it ended: nobody but authd says that the desktop may be seen."""
    was = desk.locker
    # A locker that held the screen is followed by another one at once; one that could not have it, after a moment.
    at_once = was is Locker.HELD or (was is Locker.ENDING and not desk.failed)
    since = Instant(now - AGAIN) if at_once else now
    desk = replace(desk, locker=Locker.NONE, since=since)
    if not desk.wanted:
        return _settled(desk, now)
    if was is Locker.HELD:
        desk = replace(desk, lost=desk.lost or "died")
    elif was is Locker.STARTING:
        desk = _refused(desk)
    return _settled(desk, now, (Do.SHIELD, Do.SPEAK))


def _refused(desk: Desk) -> Desk:
    """The screen could not be had; what was in vain before is not told anew."""
    if desk.failed:
        return desk
    return replace(desk, failed=True, untold=True, lost=desk.lost or "refused")


def _hung(desk: Desk, now: Instant) -> Outcome:
    if desk.locker is Locker.NONE:
        return desk, ()
    held = desk.wanted and desk.locker is Locker.HELD
    lost = desk.lost or "hung" if held else desk.lost
    shield = (Do.SHIELD,) if desk.wanted else ()
    desk = replace(desk, locker=Locker.ENDING, since=now, lost=lost)
    return _settled(desk, now, (*shield, Do.KILL, *((Do.SPEAK,) if held else ())))


def _settled(desk: Desk, now: Instant, before: tuple[Do, ...] = ()) -> Outcome:
    """Let what is wanted follow from what is known, and the locker from what is wanted."""
    known = desk.cover != "failed" or desk.session == desk.allowed
    wanted = desk.session is None or now >= desk.heard_at + SILENCE or not known
    does = list(before)
    if wanted and not desk.wanted:
        desk = replace(_without(desk), wanted=True, failed=False)
        does += [Do.SHIELD, Do.HINT]
        if desk.locker is Locker.NONE:
            desk = replace(desk, since=Instant(now - AGAIN))
    elif desk.wanted and not wanted:
        desk = replace(desk, wanted=False, failed=False)
        does += [Do.UNSHIELD, Do.HINT, Do.SPEAK]
        if desk.locker in (Locker.STARTING, Locker.HELD):
            desk = replace(desk, locker=Locker.ENDING, since=now)
            does.append(Do.END)
    desk, more = _tended(desk, now)
    return _let_go(desk, now, (*does, *more))


def _tended(desk: Desk, now: Instant) -> Outcome:
    """The locker's own limits."""
    if desk.locker is Locker.NONE and desk.wanted and now >= desk.since + AGAIN:
        return replace(desk, locker=Locker.STARTING, since=now), (Do.START,)
    if desk.locker is Locker.STARTING and now >= desk.since + TAKES:
        return replace(_refused(desk), locker=Locker.ENDING, since=now), (Do.KILL, Do.SPEAK)
    if desk.locker is Locker.ENDING and now >= desk.since + ENDS:
        return replace(desk, since=now), (Do.KILL,)
    return desk, ()


def _let_go(desk: Desk, now: Instant, does: tuple[Do, ...]) -> Outcome:
    """The machine may sleep once the screen is held, or at least nobody's session is open behind what covers it."""
    ended = not desk.pressed or now >= desk.heard_at + SILENCE
    covered = desk.locker is Locker.HELD or desk.failed
    if not (desk.sleeping and desk.holding and desk.wanted and ended and covered):
        return desk, does
    return replace(desk, holding=False), (*does, Do.LET_GO)
