"""Scripts for the seat machine that read from top to bottom: `>>` something happens, `<<` this is what follows.

    assert (
        Playbook()
        >> touch(AOKI)
        << "show verifying waiting"
        << "append grant aoki"
        << "show granting reading"
    )

After the model of mitmproxy's `tutils.Playbook`. What follows must be named completely and in order: an effect that
nobody asked for fails the script. `Arm` is answered as the pipeline answers it, with `Armed` under the next nonce.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from authd.core import seat as machine
from authd.core.model import (
    SECOND,
    Candidate,
    Decision,
    Denied,
    Epoch,
    Evidence,
    Factor,
    Found,
    Grade,
    Instant,
    Limits,
    Message,
    Miss,
    Nonce,
    ReaderId,
    SeatId,
    SeatState,
    SessionId,
    SubjectId,
)
from authd.core.seat import Arm, Armed, Captured, Effect, Event, ReaderUp, Recorded, Seat, Tick, Verdict

AOKI, BABA = SubjectId("aoki"), SubjectId("baba")
VEIN, SECOND_VEIN = ReaderId("vein-1"), ReaderId("vein-2")
NO_NONCE = Nonce("")
START = Instant(1_000 * SECOND)
LIMITS = Limits(idle=60 * SECOND, absence=10 * SECOND, fade=5 * SECOND, overall=3_600 * SECOND)
PERMIT = Decision(permitted=True, rules=("open",), bundle="b1", limits=LIMITS)
REFUSE = Decision(permitted=False, rules=("hours",), bundle="b1", message=Message.REFUSED_HOURS)

Line = Event | Callable[["Playbook"], None]


class Playbook:
    """One seat, locked and armed under `n1` unless told otherwise, at `START`."""

    def __init__(self, seat: Seat | None = None) -> None:
        self.now = START
        self.nonces = 0
        self.sessions = 0
        self.effects: list[Effect] = []
        self.said: list[str] = []
        self.history: list[str] = []
        self.seat = seat or Seat(SeatId("counter-1"), Epoch(1), watch=machine.Watch(START))
        if seat is None:
            self.feed(ReaderUp(VEIN))
            self.forget()

    def __rshift__(self, line: Line) -> Playbook:
        """It happens; everything that followed from before must have been named."""
        assert not self.said, self.told(f"nobody named {self.said}")
        self.take(line)
        return self

    def __lshift__(self, expected: str) -> Playbook:
        """This follows next."""
        actual = self.said.pop(0) if self.said else "nothing"
        assert actual == expected, self.told(f"expected {expected!r}, got {actual!r}, then {self.said}")
        self.history.append(f"    << {expected}")
        return self

    def __bool__(self) -> bool:
        """The script is over."""
        assert not self.said, self.told(f"nobody named {self.said}")
        return True

    def take(self, line: Line) -> None:
        """Let it happen, whether it is one event or several."""
        if isinstance(line, Event):
            self.feed(line)
        else:
            line(self)

    def feed(self, event: Event) -> None:
        """Apply one event and carry out what it asks for."""
        self.history.append(f">> {event}")
        self.seat, effects = machine.step(self.seat, event, self.now)
        for effect in effects:
            self.effects.append(effect)
            self.said.append(word(effect))
            if isinstance(effect, Arm):
                self.nonces += 1
                self.said[-1] += f" n{self.nonces}"
                self.feed(Armed(self.nonce))

    def forget(self) -> None:
        """What has followed until here is of no interest."""
        self.said.clear()

    @property
    def nonce(self) -> Nonce:
        """The last one that was armed."""
        return Nonce(f"n{self.nonces}")

    def told(self, what: str) -> str:
        return "\n".join([*self.history, what])


def word(effect: Effect) -> str:
    """An effect as one short line."""
    match effect:
        case machine.Append(entry) | machine.Write(entry):
            verb = "append" if isinstance(effect, machine.Append) else "write"
            return _line(verb, entry.kind.value, entry.subject, entry.reason)
        case machine.Show(face):
            return _line("show", face.state.value, face.message.value, face.subject)
        case machine.EndElsewhere(subject):
            return f"end elsewhere {subject}"
        case machine.BeginShift(session):
            return f"begin shift {session.subject}"
        case machine.EndShift(subject):
            return f"end shift {subject}"
        case machine.StepUpDone(_, granted):
            return f"step up {'granted' if granted else 'not granted'}"
        case machine.Confirm(reader, reference):
            return f"confirm {reader} {reference}"
        case machine.Arm():
            return "arm"


def _line(*words: str | None) -> str:
    return " ".join(each for each in words if each)


# What happens, in the words of a counter.


def candidate(subject: SubjectId, nonce: Nonce = NO_NONCE) -> Candidate:
    evidence = Evidence(VEIN, Factor.VEIN, Grade.MATCHED, nonce, Instant(0), f"tpl_{subject}@1")
    return Candidate(subject, evidence)


def capture() -> Line:
    """A sample arrives under the armed nonce."""
    return lambda book: book.feed(Captured(book.nonce))


def verdict(
    found: Found | SubjectId, decision: Decision | None = PERMIT, *, began: Instant | None = None, moving: bool = False
) -> Line:
    """The verifier and the policy answer for the armed nonce; a new session would be called s1, s2, ..."""

    def line(book: Playbook) -> None:
        book.sessions += 1
        who = found if isinstance(found, Candidate | Denied | Miss) else candidate(found, book.nonce)
        book.feed(
            Verdict(
                book.nonce,
                who,
                decision if isinstance(who, Candidate) else None,
                SessionId(f"s{book.sessions}"),
                began,
                moving,
            )
        )

    return line


def touch(found: Found | SubjectId, decision: Decision | None = PERMIT) -> Line:
    """Capture and verdict in one."""
    return together(capture(), verdict(found, decision))


def together(*lines: Line) -> Line:
    def line(book: Playbook) -> None:
        for each in lines:
            book.take(each)

    return line


def recorded() -> Line:
    """The ledger has it."""
    return lambda book: book.feed(Recorded(f"s{book.sessions}"))


def pass_time(seconds: float) -> Line:
    """Time passes, and the clock says so."""

    def line(book: Playbook) -> None:
        book.now = Instant(book.now + round(seconds * SECOND))
        book.feed(Tick())

    return line


def leap(seconds: float) -> Line:
    """Time passes unheard: the machine slept, the loop was slow."""

    def line(book: Playbook) -> None:
        book.now = Instant(book.now + round(seconds * SECOND))

    return line


def quietly(*lines: Line) -> Line:
    """It happens, and what follows is of no interest here."""

    def line(book: Playbook) -> None:
        for each in lines:
            book.take(each)
        book.forget()

    return line


def opened(subject: SubjectId = AOKI, decision: Decision = PERMIT, *, after: float = 3) -> Playbook:
    """A book whose seat has been open to this person for some seconds, longer than a bounce."""
    return Playbook() >> quietly(touch(subject, decision), recorded(), pass_time(after))


def in_state(book: Playbook, state: SeatState) -> bool:
    """Whether the seat is there, and its owner and pending session fit."""
    seat = book.seat
    owned, granting = state in machine.OWNED, state is SeatState.GRANTING
    return seat.state is state and (seat.owner is not None) is owned and (seat.pending is not None) is granting


def with_limits(limits: Limits) -> Decision:
    return replace(PERMIT, limits=limits)


def kinds(effects: Iterable[Effect]) -> list[str]:
    return [effect.entry.kind.value for effect in effects if isinstance(effect, machine.Write | machine.Append)]
