"""What must be true whatever happens: SECURITY.md's I1 to I8 and I14, seen from the ports alone.

The oracle is told what the devices and doors said, what the verifier and the policy answered, what became durable, what
was published and shown, and when. It never looks into the core. A broken promise raises `Violation`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from authd.core.model import (
    EVENT_KINDS,
    HOUR,
    SECOND,
    Acr,
    Action,
    Candidate,
    Decision,
    Denial,
    Denied,
    EndReason,
    Entry,
    Face,
    Factor,
    Found,
    Insertion,
    Kind,
    Limits,
    Message,
    Miss,
    Nonce,
    ReaderId,
    Request,
    Rung,
    SeatId,
    SeatState,
    SessionId,
    SubjectId,
)
from authd.core.ports import Asked, Given, Sample

FRESH = 10 * SECOND
LATE = SECOND
"""How late a lock may be (I3)."""
GRACE = 5 * SECOND
FREE_TRIES, CLAIM_DELAY, TRIES = 5, 30 * SECOND, 50
GRANT_ANSWERED = 12 * SECOND
"""A grant that is neither session nor void after this was forgotten (freshness and the ledger's 2 s are less)."""
OWNED = (SeatState.ACTIVE, SeatState.FADING, SeatState.STEPPING_UP)
FOR_EVER = 1 << 62
NO_NONCE = Nonce("")


KINDS = (
    frozenset({Factor.VEIN, Factor.FINGERPRINT}),
    frozenset({Factor.KEY, Factor.CARD, Factor.SEAT_KEY, Factor.VOUCH}),
    frozenset({Factor.PIN}),
)


def two(factors: frozenset[Factor]) -> bool:
    """Whether they are of two kinds."""
    return sum(bool(kind & factors) for kind in KINDS) > 1


def tried(sample: Sample) -> str | None:
    """Whose claimed credential a sample tries: their own reader's, or a service's word of them."""
    if sample.claim is None or sample.given not in (Given.PROBE, Given.CLAIMED):
        return None
    return sample.claim if sample.given is Given.PROBE else f"named {sample.claim}"


def _factors_of(entry: Entry) -> frozenset[Factor]:
    return frozenset(Factor(each) for each in str(entry.data["factors"]).split(",") if each)


class Violation(BaseException):
    """An invariant is broken. Nothing under test may catch it."""

    def __init__(self, invariant: str, what: str) -> None:
        super().__init__(f"{invariant}: {what}")
        self.invariant = invariant


@dataclass(frozen=True, slots=True)
class Finger:
    """What a probe of this world says: `aoki/2` is Aoki's second finger, `aoki/2?` the same, badly laid."""

    who: SubjectId
    which: str
    clear: bool

    @classmethod
    def of(cls, sample: Sample) -> Finger:
        who, _, which = sample.probe.decode().partition("/")
        return cls(SubjectId(who), which.rstrip("?"), not which.endswith("?"))


@dataclass(frozen=True, slots=True)
class Held:
    """What a key, card or service of this world says: `aoki=key+pin` is Aoki's, `=cloned` is nobody's."""

    who: SubjectId
    factors: tuple[Factor, ...]
    why: Denial | None

    @classmethod
    def of(cls, sample: Sample) -> Held:
        who, _, said = sample.probe.decode().partition("=")
        if not who:
            return cls(SubjectId(""), (), Denial(said))
        return cls(SubjectId(who), tuple(Factor(each) for each in said.split("+")), None)

    @property
    def reference(self) -> str:
        return f"crd_{self.who}_{self.factors[0] if self.factors else ''}@1"


@dataclass(slots=True)
class Touch:
    """One armed nonce and what became of it."""

    seat: SeatId
    sample: Sample | None = None
    captured_at: int = -1
    locks: int = 0
    """How many locks the seat had seen when it was captured."""
    matched: SubjectId | None = None
    """Whom the verifier, asked about this very sample, named."""
    opened: bool = False
    wanted: int = 1
    """How many fingers this seat asked for when it was verified."""
    unclear: bool = False
    """The verifier wanted another finger after this one, and none has come yet."""
    pair: Touch | None = None
    """The touch before, if the verifier named somebody by both."""
    factors: frozenset[Factor] = frozenset()
    """What the verifier, asked about this very sample, said it shows."""
    asked: bool = False
    """The verifier has been asked about it."""
    pressed: tuple[Rung, int, int] | None = None
    """The button that was pressed last at this seat when it was captured, when, and after how many locks."""
    stay: Stay | None = None
    acted: bool = True
    """Whether putting the card in was an act: just now, for the first time, and with no lock since."""


@dataclass(slots=True)
class Stay:
    """A key or card in a reader."""

    at: int
    locks: int
    shown: bool = False


@dataclass(slots=True)
class Sitting:
    """One person's session at one seat."""

    session: SessionId
    subject: SubjectId
    limits: Limits
    started: int
    idle_from: int
    age_from: int
    absent_since: int | None
    due: int = 0
    bound: frozenset[Insertion] = frozenset()
    removed: Insertion | None = None
    removed_due: int = FOR_EVER
    glass: bool = False
    acts: list[int] = field(default_factory=list[int])
    """When the owner's touches were captured."""

    def count(self, lost_at: int | None) -> None:
        """Work out anew when it must be over."""
        limits, due = self.limits, self.idle_from + self.limits.idle
        if self.absent_since is not None and limits.absence is not None:
            due = min(due, self.absent_since + limits.absence)
        if lost_at is not None:
            due = min(due, lost_at + GRACE)
        self.due = min(due, self.age_from + limits.overall, self.removed_due)

    def absence_fades(self, now: int) -> bool:
        limits = self.limits
        if self.absent_since is None or limits.absence is None:
            return False
        return now >= self.absent_since + limits.absence - min(limits.fade, limits.absence // 2)


@dataclass(slots=True)
class View:
    """One seat from outside."""

    armed: Nonce = NO_NONCE
    touch: Touch | None = None
    sitting: Sitting | None = None
    recorded: SessionId | None = None
    """Who sits there if the ledger is read."""
    face: Face | None = None
    present: bool | None = None
    locks: int = 0
    epoch: int = -1
    cause: str = ""
    """What a person or the machine has just done here: press, hold, sleep."""
    broken: SessionId | None = None
    asleep: bool = False
    left: bool = False
    """Nothing would cover its desktop."""
    lent: bool = False
    wanted: int = 1
    """Fingers that a touch here must show."""
    owners_touch: Touch | None = None
    claim: SubjectId | None = None
    """Whom the readers were told to wait for."""
    stays: dict[Insertion, Stay] = field(default_factory=dict[Insertion, Stay])
    pressed: tuple[Rung, int, int] | None = None
    known: deque[Touch] = field(default_factory=lambda: deque[Touch](maxlen=8))
    """Touches of people who were recognised, the last ones."""
    confirming: tuple[Nonce, str] | None = None
    """What a credential that came back was asked under, and which one it must be."""
    proved: Insertion | None = None
    """The stay in which it has proved itself."""
    denials: int = 0
    """Of keys and cards at this seat, ever: only these may make the next one wait."""
    offered: Touch | None = None
    waiting: Touch | None = None
    """A proof that the seat has taken, by its screen, and the verifier has not been asked about yet."""


@dataclass(slots=True)
class Tries:
    """Failed tries of one claimed credential since its owner's last success."""

    failed: int = 0
    last: int = -FOR_EVER
    before: int = -FOR_EVER
    """The one before the last, for a try that was nobody's fault."""


@dataclass(slots=True)
class StepUp:
    seat: SeatId
    session: SessionId
    subject: SubjectId
    asked_at: int
    appended: bool = False
    durable: bool = False
    touched: bool = False
    acr: Acr = Acr.ONE
    max_age: int | None = None


@dataclass(slots=True)
class Books:
    """What is durable, session by session."""

    kind: dict[SessionId, Kind] = field(default_factory=dict[SessionId, Kind])
    whose: dict[SessionId, tuple[SeatId | None, SubjectId | None]] = field(
        default_factory=dict[SessionId, tuple[SeatId | None, SubjectId | None]]
    )


class Oracle:
    """Told everything, in order; `now` is CLOCK_BOOTTIME."""

    def __init__(self, seats: tuple[SeatId, ...], now: Callable[[], int]) -> None:
        self.now = now
        self.views = {seat: View() for seat in seats}
        self.touches: dict[Nonce, Touch] = {}
        self.books = Books()
        self.asked: dict[SessionId, int] = {}
        self.decided: dict[str, tuple[Request, Decision]] = {}
        """By the name of the bundle, which the fake policy draws anew for each decision."""
        self.shifts: dict[SubjectId, tuple[int, int]] = {}
        self.tries: dict[str, Tries] = {}
        self.strict = False
        """A shift begins with two factors."""
        self.seat_keys: set[SeatId] = set()
        self.glass: set[SessionId] = set()
        """Opened outside the rules, and the row that says so has not come yet."""
        self.vouched: dict[SubjectId, int] = {}
        self.gone: dict[SubjectId, int] = {}
        self.step_ups: dict[str, StepUp] = {}
        self.given_up: set[str] = set()
        """Step-ups that nobody waits for, and that no row was asked for."""
        self.lost_at: int | None = None
        self.ran_at = 0
        """Since when the process has been running without a stop."""
        self.closed = False
        self.last: Entry | None = None
        self.violation: Violation | None = None

    def broken(self, invariant: str, what: str) -> Violation:
        """The first broken promise is the one that counts."""
        found = Violation(invariant, what)
        self.violation = self.violation or found
        return found

    # What devices say, and whom the verifier names.

    def armed(self, seat: SeatId, nonce: Nonce, claim: SubjectId | None = None) -> None:
        view = self.views[seat]
        view.claim = claim
        if view.armed == nonce and view.touch is not None:
            return
        view.armed = nonce
        view.touch = self.touches[nonce] = Touch(seat)

    def captured(self, seat: SeatId, sample: Sample) -> None:
        view, touch = self.views[seat], self.touches.get(sample.nonce)
        if sample.silent or not self._counts(view, sample):
            return
        deaf = view.asleep or view.lent or view.left
        if touch is not None and touch is view.touch and touch.sample is None and not deaf:
            touch.sample, touch.captured_at, touch.locks = sample, self.now(), view.locks
            touch.pressed = view.pressed
            touch.stay = stay = view.stays.get((sample.reader, sample.insertion))
            if stay is not None:
                touch.acted = not stay.shown and stay.locks == view.locks and self.now() - stay.at <= FRESH
                stay.shown = True
            view.offered = touch if sample.given is Given.PROOF else None

    def _counts(self, view: View, sample: Sample) -> bool:
        """A service's word is of whom the readers were told to wait for, a key's of one that is in its reader."""
        if sample.given is Given.CLAIMED and (sample.claim is None or sample.claim != view.claim):
            return False
        return not sample.insertion or (sample.reader, sample.insertion) in view.stays

    def inserted(self, seat: SeatId, what: Insertion) -> None:
        view = self.views[seat]
        view.stays.setdefault(what, Stay(self.now(), view.locks))

    def withdrawn(self, seat: SeatId, gone: Callable[[Insertion], bool], *, reader: bool = False) -> None:
        """I3: a session that is bound to it is over, at once or when the grace is."""
        view, now = self.views[seat], self.now()
        for what in [each for each in view.stays if gone(each)]:
            del view.stays[what]
        sitting = view.sitting
        lost = [what for what in sitting.bound if gone(what)] if sitting is not None else []
        if sitting is None or not lost:
            return
        again = reader or sitting.removed is not None
        sitting.removed_due = min(sitting.removed_due, now if again else now + sitting.limits.removal)
        sitting.removed, view.proved = lost[0], None
        sitting.count(self.lost_at)

    def confirming(self, seat: SeatId, nonce: Nonce, reference: str) -> None:
        self.views[seat].confirming, self.views[seat].proved = (nonce, reference), None

    def pressed(self, seat: SeatId, rung: Rung) -> None:
        view = self.views[seat]
        view.pressed = rung, self.now(), view.locks

    def verifying(self, sample: Sample, asked: Asked) -> None:
        """I1: as many fingers as the seat wants. I5: a claimed credential is not verified before its delay is over."""
        touch = self.touches.get(sample.nonce)
        if sample.silent:
            return
        if touch is not None and touch.sample is sample and sample.given is Given.PROBE:
            self._terms(touch, self.views[touch.seat], asked)
        key = tried(sample)
        if key is None or asked.first is not None:  # the second finger of a try that was counted
            return
        tries, now = self.tries.setdefault(key, Tries()), self.now()
        if tries.failed >= TRIES:
            raise self.broken("I5", f"{key} is tried after {tries.failed} failures")
        if tries.failed >= FREE_TRIES and now < tries.last + CLAIM_DELAY:
            waited = (now - tries.last) / SECOND
            raise self.broken("I5", f"{key} is tried {waited:.3f} s after failure {tries.failed}")
        touch = self.touches.get(sample.nonce)
        tries.failed += 1
        tries.before = tries.last
        tries.last = touch.captured_at if touch is not None and touch.sample is sample else now

    def _terms(self, touch: Touch, view: View, asked: Asked) -> None:
        """What the verifier is asked: a first finger is this try's own, unused, fresh, and no lock lies between."""
        touch.wanted = view.wanted
        sitting = view.sitting.subject if view.sitting is not None else None
        if asked.fingers < view.wanted or asked.alone not in (None, sitting):
            raise self.broken("I1", f"{touch.seat}: {asked} is less than what this seat asks")
        if asked.first is None:
            return
        first = self.touches.get(asked.first.nonce)
        if first is None or first.sample is not asked.first or first.seat != touch.seat or not first.unclear:
            raise self.broken("I1", f"{touch.seat}: {asked.first} is no first finger of this touch")
        if first.locks != touch.locks or touch.captured_at - first.captured_at > FRESH:
            raise self.broken("I1", f"{touch.seat}: {asked.first} is of before a lock, or stale")
        first.unclear = False

    def verified(self, sample: Sample, found: Found | None) -> None:
        """The verifier answers in good faith; None: it fails, which is nobody's fault."""
        touch = self.touches.get(sample.nonce)
        if found is Miss.ANOTHER_FINGER and touch is not None and touch.sample is sample:
            touch.unclear = True
        if sample.silent:
            self._reproved(sample, found)
            return
        if isinstance(found, Candidate) and touch is not None and touch.sample is sample:
            touch.matched, touch.factors = found.subject, found.evidence.factors
            self.views[touch.seat].known.append(touch)
            touch.pair = self.touches[found.evidence.first] if found.evidence.first else None
            view = self.views[touch.seat]
            if view.sitting is not None and view.sitting.subject == found.subject:
                view.owners_touch = touch
        key = tried(sample)
        if key is None:
            if touch is not None and not isinstance(found, Candidate) and sample.given is not Given.PROBE:
                self.views[touch.seat].denials += 1
        elif found is None or found is Miss.UNAVAILABLE or isinstance(found, Denied):
            tries = self.tries[key]
            tries.failed, tries.last = max(0, tries.failed - 1), tries.before
        elif isinstance(found, Candidate) and found.subject == sample.claim:
            self.tries[key].failed = 0

    def _reproved(self, sample: Sample, found: Found | None) -> None:
        """What came back is what was taken out, by the verifier's word in good faith."""
        for view in self.views.values():
            what, asked = (sample.reader, sample.insertion), view.confirming
            if asked is None or asked[0] != sample.nonce or not isinstance(found, Candidate) or view.sitting is None:
                continue
            if found.subject == view.sitting.subject and found.evidence.reference == asked[1]:
                view.proved = what

    def asking(self, sample: Sample) -> None:
        """I5: nobody's finger makes a key wait."""
        touch = self.touches.get(sample.nonce)
        if touch is not None and touch.sample is sample:
            touch.asked = True

    def decision(self, request: Request, decision: Decision) -> None:
        """A shift's one finger is enough only while there is a shift."""
        if request.shift_open:
            began, lasts = self.shifts.get(request.subject, (-FOR_EVER, 0))
            if self.now() >= began + lasts:
                raise self.broken("I1", f"{request.subject} has no open shift")
        self.decided[decision.bundle] = request, decision

    def sensed(self, seat: SeatId, present: bool) -> None:
        view, now = self.views[seat], self.now()
        view.present, sitting = present, view.sitting
        if sitting is None:
            return
        if not present:
            sitting.absent_since = now if sitting.absent_since is None else sitting.absent_since
        elif not sitting.absence_fades(now):
            sitting.absent_since = None
        sitting.count(self.lost_at)

    def active(self, seat: SeatId) -> None:
        sitting, now = self.views[seat].sitting, self.now()
        if sitting is not None and now < sitting.due:
            sitting.idle_from = now
            sitting.count(self.lost_at)

    def happened(self, seat: SeatId, cause: str) -> None:
        """A person or the machine does what locks: it cancels whatever verification is open."""
        view = self.views[seat]
        view.cause = cause
        view.locks += 1
        if cause in ("sleep", "wake"):
            view.asleep = cause == "sleep"
        view.left = view.left or cause == "left"

    def attended(self, seat: SeatId) -> None:
        """Something would cover its desktop again."""
        self.views[seat].left = False

    def fed(self, seat: SeatId) -> None:
        """The core has just been told something at this seat: no limit that has passed is still open (time first)."""
        view = self.views[seat]
        cause, view.cause = view.cause, ""
        offered, view.offered = view.offered, None
        if offered is not None and view.face is not None and view.face.state is SeatState.VERIFYING:
            view.waiting = offered
        sitting = view.sitting
        if sitting is None:
            return
        if self.now() >= sitting.due:
            raise self.broken(self._why(sitting), f"{seat}: an event was honoured after {sitting.session} was over")
        if cause:
            raise self.broken(
                "I3" if cause in ("sleep", "wake") else "I7", f"{seat}: {sitting.session} outlived a {cause}"
            )

    def let_go(self, seat: SeatId, lent: bool) -> None:
        view = self.views[seat]
        view.lent = lent
        view.locks += 1

    # The ledger and the roster.

    def ledger(self, healthy: bool) -> None:
        if healthy:
            self.lost_at = None
        elif self.lost_at is None:
            self.lost_at = self.now()
        for view in self.views.values():
            if view.sitting is not None:
                view.sitting.count(self.lost_at)

    def disabled(self, subject: SubjectId) -> None:
        self.gone.setdefault(subject, self.now())

    def enabled(self, subject: SubjectId) -> None:
        self.gone.pop(subject, None)

    def revoked(self, subject: SubjectId) -> None:
        self.shifts.pop(subject, None)

    # What the core does.

    def appending(self, entry: Entry) -> None:
        """A row is asked for that something waits for."""
        assert entry.session is not None
        assert entry.seat is not None
        if entry.kind is Kind.GRANT:
            self.asked[entry.session] = self.now()
        elif entry.kind is Kind.SESSION_STEPPED_UP:
            self._touched(entry)

    def told(self, entry: Entry) -> None:
        """A follower is told."""
        self._event(entry)

    def written(self, entry: Entry) -> None:
        """A row is queued; what is told and what is written are the same (I4)."""
        if entry.kind in EVENT_KINDS and entry is not self.last:
            self._event(entry)  # it could not be told: followers read it here
        self.last = None
        if entry.kind is Kind.SESSION_STARTED:
            self.asked.pop(entry.session or SessionId(""), None)
            self._view(entry).recorded = entry.session
        elif entry.kind is Kind.VOID:
            self.asked.pop(entry.session or SessionId(""), None)
        elif entry.kind is Kind.SESSION_ENDED:
            self._view(entry).recorded = None
        elif entry.kind is Kind.SHIFT_ENDED and entry.subject is not None:
            self.shifts.pop(entry.subject, None)
        elif entry.kind is Kind.BREAKGLASS_OPENED and entry.session is not None:
            self.glass.discard(entry.session)
            if int(str(entry.data["until"])) > self.now() + HOUR:
                raise self.broken("I3", f"{entry.session} was opened outside the rules for more than an hour")

    def durable(self, entry: Entry) -> None:
        """I6: every grant is followed by exactly one of started and void, every started by one ended."""
        session = entry.session
        if session is None:
            return
        kind = self.books.kind.get(session)
        follows = {
            Kind.GRANT: kind is None,
            Kind.SESSION_STARTED: kind is Kind.GRANT,
            Kind.VOID: kind in (None, Kind.GRANT),
            Kind.SESSION_ENDED: kind is Kind.SESSION_STARTED,
        }
        if not follows.get(entry.kind, True):
            raise self.broken("I6", f"{session}: {entry.kind.value} after {kind.value if kind else 'nothing'}")
        if entry.kind in follows:
            self.books.kind[session] = entry.kind
        if entry.kind is Kind.GRANT:
            self.books.whose[session] = (entry.seat, entry.subject)
        elif entry.kind is Kind.SESSION_STEPPED_UP and (step_up := self.step_ups.get(str(entry.data["purpose"]))):
            step_up.durable = True

    def shown(self, face: Face) -> None:
        """I4: the screen shows who sits there by the events."""
        view = self.views[face.seat]
        view.face = face
        if face.prompt is not None and face.state not in (SeatState.LOCKED, SeatState.FADING, SeatState.STEPPING_UP):
            raise self.broken("I4", f"{face.seat} asks for something to be typed while {face.state.value}")
        self._agree(face.seat, view)

    # Time and life.

    def passed(self) -> None:
        """Time has passed in a running process: locks that were due have come (I3, I8, I14), grants are answered."""
        now = self.now()
        for seat, view in self.views.items():
            sitting = view.sitting
            if sitting is None:
                continue
            if now > max(sitting.due, self.ran_at) + LATE:
                late = (now - sitting.due) / SECOND
                raise self.broken(self._why(sitting), f"{seat}: {sitting.session} is open {late:.3f} s late")
            gone = self.gone.get(sitting.subject)
            if gone is not None and now > max(gone, self.ran_at) + GRACE:
                raise self.broken("I14", f"{seat}: {sitting.subject} sits there 5 s after being disabled")
        for session, asked_at in self.asked.items():
            if now > max(asked_at, self.ran_at) + GRANT_ANSWERED:
                raise self.broken("I6", f"{session} was granted and is neither started nor void")

    def quiet(self) -> None:
        """Nothing is left to do at this moment: screen, events and ledger agree (I4), what broke is locked (I7)."""
        for seat, view in self.views.items():
            self._agree(seat, view)
            sitting = view.sitting.session if view.sitting is not None else None
            if sitting != view.recorded:
                raise self.broken("I4", f"{seat}: {sitting} by the events, {view.recorded} by the ledger")
            if view.face is not None and view.face.message is Message.UNATTENDED and not view.left:
                raise self.broken("I4", f"{seat} says that nothing covers it, and something does")
            if view.broken is not None and sitting == view.broken:
                raise self.broken("I7", f"{seat}: {sitting} outlived a fault")
            view.broken = None
            waiting, view.waiting = view.waiting, None
            if waiting is not None and not waiting.asked and view.denials <= FREE_TRIES:
                raise self.broken("I5", f"{seat}: a key waits though hardly any was ever denied here")
        for session in self.glass:
            raise self.broken("I4", f"{session} was opened outside the rules, and nobody is told")

    def broke(self, seat: SeatId) -> None:
        """A port of this seat breaks its word: whoever sits there is out."""
        view = self.views[seat]
        view.broken = view.sitting.session if view.sitting is not None else None
        view.waiting = view.offered = None

    def unshown(self, seat: SeatId) -> None:
        """The screen could not be reached."""
        self.views[seat].face = None
        self.broke(seat)

    def slept(self) -> None:
        """The process did not run until now."""
        self.ran_at = self.now()

    def died(self, *, rebooted: bool) -> None:
        """Nobody sits anywhere; only what is durable is left."""
        for view in self.views.values():
            view.sitting = view.recorded = view.face = view.broken = view.touch = view.owners_touch = None
            view.present, view.cause, view.asleep, view.lent, view.left = None, "", False, False, False
            view.claim = view.pressed = view.confirming = view.proved = view.waiting = view.offered = None
            view.stays.clear()
            view.known.clear()
            view.locks += 1
        self.asked.clear()
        self.shifts.clear()
        self.step_ups.clear()
        self.given_up.clear()
        self.glass.clear()
        self.lost_at, self.last, self.closed = None, None, False
        self.ran_at = self.now()
        if rebooted:  # the clock started anew, and so do the delays
            for tries in self.tries.values():
                tries.last = tries.before = self.now()
            self.gone = dict.fromkeys(self.gone, self.now())

    def recovered(self) -> None:
        """A new life serves: nothing of an earlier one is open (I6, I7)."""
        for session, kind in self.books.kind.items():
            if kind in (Kind.GRANT, Kind.SESSION_STARTED):
                raise self.broken("I6", f"{session} of an earlier life is still {kind.value}")

    # Step-ups.

    def step_up_asked(self, purpose: str, seat: SeatId, acr: Acr = Acr.ONE, max_age: int | None = None) -> None:
        sitting = self.views[seat].sitting
        if sitting is not None:
            asked = StepUp(seat, sitting.session, sitting.subject, self.now(), acr=acr, max_age=max_age)
            self.step_ups[purpose] = asked

    def step_up_given_up(self, purpose: str) -> None:
        """Whoever asked waits no more."""
        asked = self.step_ups.pop(purpose, None)
        if asked is not None and not asked.appended:
            self.given_up.add(purpose)

    def step_up_answered(self, purpose: str, granted: bool) -> None:
        asked = self.step_ups.pop(purpose, None)
        if granted and (asked is None or not asked.durable or not asked.touched):
            raise self.broken("I1", f"the step-up {purpose} was granted without a fresh, recorded touch")

    # The promises one by one.

    def _view(self, entry: Entry) -> View:
        assert entry.seat is not None
        return self.views[entry.seat]

    def _event(self, entry: Entry) -> None:
        self.last = entry
        if entry.kind is Kind.SESSION_STARTED:
            self._started(entry)
        elif entry.kind is Kind.SESSION_ENDED:
            self._ended(entry)
        elif entry.kind is Kind.SESSION_KEPT:
            self._kept(entry)

    def _started(self, entry: Entry) -> None:
        view, now, seat, subject = self._view(entry), self.now(), entry.seat, entry.subject
        assert seat is not None
        assert subject is not None
        assert entry.session is not None
        touch = self.touches.get(Nonce(str(entry.data["nonce"])))
        self._proved(entry, touch, view)
        if view.sitting is not None:
            raise self.broken("I2", f"{seat}: {entry.session} starts while {view.sitting.session} is open")
        if any(other.sitting is not None and other.sitting.subject == subject for other in self.views.values()):
            raise self.broken("I2", f"{subject} sits at two seats")
        if entry.epoch <= view.epoch:
            raise self.broken("I2", f"{seat}: epoch {entry.epoch} after {view.epoch}")
        if self.lost_at is not None:
            raise self.broken("I8", f"{entry.session} starts while the ledger is lost")
        if subject in self.gone:
            raise self.broken("I14", f"{entry.session} starts though {subject} is disabled")
        if self.closed or view.asleep:
            raise self.broken("I7", f"{entry.session} starts while the daemon ends or the machine sleeps")
        if view.left:
            raise self.broken("I7", f"{entry.session} starts where nothing would cover the desktop")
        view.epoch = entry.epoch
        limits = self.decided[str(entry.data["policy"])][1].limits
        captured_at = int(str(entry.data["captured_at"]))
        fresh = captured_at, limits.overall
        began, lasts = self.shifts.get(subject, fresh)
        if now >= began + lasts:
            began, lasts = fresh
        if entry.data.get("ladder") == Rung.BREAK_GLASS:
            (began, lasts), limits = fresh, replace(limits, overall=min(limits.overall, HOUR))
            self.glass.add(entry.session)
        else:
            self.shifts[subject] = began, lasts
        absent = now if view.present is False else None
        view.sitting = Sitting(entry.session, subject, limits, now, now, began, absent, acts=[captured_at])
        view.sitting.bound, view.sitting.glass = self._bound(entry), entry.data.get("ladder") == Rung.BREAK_GLASS
        view.sitting.count(self.lost_at)
        view.pressed = None

    def _bound(self, entry: Entry) -> frozenset[Insertion]:
        named = [stay.partition("/") for stay in str(entry.data.get("bound", "")).split(",") if stay]
        return frozenset((ReaderId(reader), insertion) for reader, _, insertion in named)

    def _proved(self, entry: Entry, touch: Touch | None, view: View) -> None:
        """I1: a verified factor of this person at this seat, fresh, not cancelled by a later lock, durable."""
        session = entry.session
        assert session is not None
        if touch is None or touch.seat != entry.seat or touch.sample is None:
            raise self.broken("I1", f"{session} starts without a touch at its seat")
        if touch.matched != entry.subject:
            raise self.broken("I1", f"{session}: {touch.matched} was verified, not {entry.subject}")
        if touch.opened:
            raise self.broken("I1", f"{session}: its touch has opened a session before")
        self._factors(entry, touch, view)
        if self.now() - touch.captured_at > FRESH:
            raise self.broken("I1", f"{session}: its touch is {(self.now() - touch.captured_at) / SECOND:.3f} s old")
        if touch.locks != view.locks:
            raise self.broken("I1", f"{session}: its seat was locked after the touch")
        if self.books.kind.get(session) is None or self.books.whose.get(session) != (entry.seat, entry.subject):
            raise self.broken("I1", f"{session} starts before its grant is durable")
        asked, decision = self.decided[str(entry.data["policy"])]
        mine = (asked.seat, asked.subject, asked.action) == (entry.seat, entry.subject, Action.OPEN_SESSION)
        if asked.action is Action.BREAK_GLASS and (asked.seat, asked.subject) == (entry.seat, entry.subject):
            mine = entry.data.get("ladder") == Rung.BREAK_GLASS and asked.helper == entry.data.get("helper")
        if not mine or not decision.permitted:
            raise self.broken("I1", f"{session}: the policy did not permit it")
        touch.opened = True

    def _factors(self, entry: Entry, touch: Touch, view: View) -> None:
        """What the row says was shown was shown, by this person, now; a shift begins with two."""
        said = {
            Factor(str(entry.data["factor"])),
            *map(Factor, filter(None, str(entry.data.get("more", "")).split(","))),
        }
        acts, shown = [touch], set(touch.factors)
        if missing := said - touch.factors - {Factor.SEAT_KEY, Factor.VOUCH}:
            other = self._other(entry, touch, missing)
            acts.append(other)
            shown |= other.factors
        for each in acts:
            self._act(entry, each, alone=len(acts) == 1)
        stays = frozenset(
            (s.reader, s.insertion) for s in (each.sample for each in acts) if s is not None and s.insertion
        )
        if stays != self._bound(entry) or not stays <= view.stays.keys():
            raise self.broken("I3", f"{entry.session} rests on {stays}, is bound to {self._bound(entry)}")
        if Factor.SEAT_KEY in said and entry.seat not in self.seat_keys:
            raise self.broken("I1", f"{entry.session}: the seat has signed nothing")
        self._help(entry, min((each.pair or each for each in acts), key=lambda each: each.captured_at), said)
        shift = self.decided[str(entry.data["policy"])][0].shift_open
        if self.strict and not shift and entry.data.get("ladder") != Rung.BREAK_GLASS and not two(frozenset(said)):
            raise self.broken("I1", f"{entry.session} begins a shift with {sorted(said)}")

    def _other(self, entry: Entry, touch: Touch, missing: set[Factor]) -> Touch:
        """The touch of another factor before: the same person's, here, fresh, no lock between."""
        for other in reversed(self.views[touch.seat].known):
            if other is touch or other.matched != entry.subject or not missing <= other.factors:
                continue
            if other.locks == touch.locks and self.now() - other.captured_at <= FRESH and not other.opened:
                return other
        raise self.broken("I1", f"{entry.session}: nobody has shown {sorted(missing)}")

    def _help(self, entry: Entry, touch: Touch, said: set[Factor]) -> None:
        """I1 with a helper: somebody else, who touched for this, here, in time, and for one session."""
        rung, helper = entry.data.get("ladder"), entry.data.get("helper")
        if rung is None:
            if Factor.VOUCH in said:
                raise self.broken("I1", f"{entry.session}: nobody has vouched")
            return
        other = self.touches.get(Nonce(str(entry.data["helper_nonce"])))
        within = 30 * SECOND if rung == Rung.VOUCH else FRESH
        if other is None or helper == entry.subject or other.matched != helper or other.seat != entry.seat:
            raise self.broken("I1", f"{entry.session}: {helper} did not touch for {entry.subject}")
        if other.opened or other.locks != touch.locks or abs(touch.captured_at - other.captured_at) > within:
            raise self.broken("I1", f"{entry.session}: the touch of {helper} was for something else")
        if other.pressed is None or other.pressed[0] != rung or other.pressed[2] != other.locks:
            raise self.broken("I1", f"{entry.session}: nobody had asked {helper} for help")
        if rung == Rung.VOUCH and Factor.VOUCH not in said:
            raise self.broken("I1", f"{entry.session}: a word that counts for nothing")
        if rung == Rung.VOUCH and entry.subject is not None:
            self.vouched[entry.subject] = self.vouched.get(entry.subject, 0) + 1
            if self.vouched[entry.subject] > 3:
                raise self.broken("I1", f"{entry.subject} was vouched for four times this month")
        other.opened = True

    def _act(self, entry: Entry, touch: Touch, *, alone: bool) -> None:
        """Each touch is an act of its kind: a number is none, a card that lies there is none, a finger is clear."""
        sample = touch.sample
        assert sample is not None
        if sample.given is Given.PROBE:
            self._fingers(entry, touch, alone=alone)
        elif sample.given is Given.IDENTIFIER or sample.silent:
            raise self.broken("I1", f"{entry.session} starts by {sample.given.value}, which nobody did")
        elif touch.factors == frozenset({Factor.CARD}) and not touch.acted:
            raise self.broken("I1", f"{entry.session} starts by a card that has been lying there")
        if touch.locks != self.views[touch.seat].locks or self.now() - touch.captured_at > FRESH:
            raise self.broken("I1", f"{entry.session}: one of its touches is of before a lock, or stale")

    def _fingers(self, entry: Entry, touch: Touch, *, alone: bool) -> None:
        """As many as the seat asked for, of one person, not the same one twice, both fresh; the ledger says so."""
        seen, pair = Finger.of(touch.sample) if touch.sample else None, touch.pair
        if pair is None:
            if touch.wanted > 1 or seen is None or not seen.clear or (alone and "first" in entry.data):
                raise self.broken("I1", f"{entry.session} starts by one finger that does not say it")
            return
        first = Finger.of(pair.sample) if pair.sample else None
        if first is None or seen is None or first.who != seen.who or first.which == seen.which:
            raise self.broken("I1", f"{entry.session} starts by {first} and {seen}")
        if self.now() - pair.captured_at > FRESH or pair.locks != touch.locks:
            raise self.broken("I1", f"{entry.session}: its first finger is stale")
        if alone and (
            self.touches.get(Nonce(str(entry.data.get("first")))) is not pair or "," not in str(entry.data["fingers"])
        ):
            raise self.broken("I1", f"{entry.session}: its row does not name both fingers")

    def _ended(self, entry: Entry) -> None:
        view, sitting = self._view(entry), self._view(entry).sitting
        if sitting is None or sitting.session != entry.session:
            raise self.broken("I2", f"{entry.session} ends and was not open")
        if entry.reason is EndReason.LOCK and not view.cause:
            touch = view.owners_touch
            if touch is None or touch.captured_at - sitting.started < sitting.limits.bounce:
                raise self.broken("I2", f"{entry.session}: a bounce locked it")
        if entry.reason is not EndReason.HANDOVER:
            view.locks += 1
        if entry.reason is EndReason.EXPIRED and not sitting.glass:
            self.shifts.pop(sitting.subject, None)
        view.sitting = view.owners_touch = None

    def _kept(self, entry: Entry) -> None:
        view, now = self._view(entry), self.now()
        sitting = view.sitting
        if sitting is None or sitting.session != entry.session or now >= sitting.due:
            raise self.broken("I3", f"{entry.session} is kept after its end")
        if sitting.removed is not None and entry.data["by"] != "key":
            raise self.broken("I3", f"{entry.session} is kept by {entry.data['by']} though its key is out")
        if entry.data["by"] == "touch":
            self._touched(entry)
        elif entry.data["by"] == "key":
            self._back(view, sitting)
        elif sitting.absence_fades(now):
            raise self.broken("I3", f"{entry.session}: hands that may be anybody's took back an absence")

    def _back(self, view: View, sitting: Sitting) -> None:
        """I3: the very same credential, in a stay that goes on, and by its own word."""
        if sitting.removed is None or view.proved is None or view.proved not in view.stays:
            raise self.broken("I3", f"{sitting.session} is kept by a key that has not proved itself")
        sitting.bound = sitting.bound - {sitting.removed} | {view.proved}
        sitting.removed, sitting.removed_due, view.proved = None, FOR_EVER, None
        sitting.count(self.lost_at)

    def _touched(self, entry: Entry) -> None:
        """The owner's fresh touch begins idle and absence anew; here the oracle asks that it was one."""
        view, now = self._view(entry), self.now()
        sitting, touch = view.sitting, view.owners_touch
        if entry.kind is Kind.SESSION_STEPPED_UP:
            asked = self.step_ups.get(str(entry.data["purpose"]))
            if entry.data["purpose"] in self.given_up:
                raise self.broken("I1", f"{entry.session}: a touch answers {entry.data['purpose']}, which was given up")
            if asked is not None:
                asked.appended = True
            if entry.data.get("by") == "age":
                if asked is not None:
                    asked.touched = sitting is not None and self._young(entry, sitting, asked)
                return
            if asked is not None:
                asked.touched = touch is not None and self._answers(touch, asked.asked_at)
                asked.touched = asked.touched and self._strong(entry, view, asked)
        if sitting is None or sitting.session != entry.session:
            return
        old = entry.kind is Kind.SESSION_KEPT and touch is not None and now - touch.captured_at > FRESH
        if touch is None or old or touch.captured_at < sitting.started:
            raise self.broken("I3", f"{entry.session}: no fresh touch of its owner keeps it")
        sitting.idle_from = now
        sitting.acts.append(touch.captured_at)
        sitting.acts += [each.captured_at for each in view.known if each.matched == sitting.subject]
        sitting.absent_since = now if view.present is False else None
        sitting.count(self.lost_at)

    def _young(self, entry: Entry, sitting: Sitting, asked: StepUp) -> bool:
        """RFC 9470: what the owner did not long ago answers for now, if it is strong enough."""
        at, factors = int(str(entry.data["auth_time"])), _factors_of(entry)
        young = asked.max_age is not None and self.now() - at <= asked.max_age * SECOND
        return at in sitting.acts and young and (asked.acr is Acr.ONE or two(factors))

    def _strong(self, entry: Entry, view: View, asked: StepUp) -> bool:
        """The factors of the row were shown by the owner after the question; two where two were asked."""
        said, shown = _factors_of(entry), frozenset[Factor]()
        for each in view.known:
            if each.matched == asked.subject and each.captured_at > asked.asked_at:
                shown |= each.factors
        if entry.seat in self.seat_keys:
            shown |= {Factor.SEAT_KEY}
        return said <= shown and (asked.acr is Acr.ONE or two(said))

    def _answers(self, touch: Touch, asked_at: int) -> bool:
        """A step-up is as strict as a login, and all of it came after it was asked for."""
        enough = touch.pair is not None or touch.wanted == 1
        return enough and min(each.captured_at for each in (touch, touch.pair or touch)) > asked_at

    def _agree(self, seat: SeatId, view: View) -> None:
        face, sitting = view.face, view.sitting
        if face is None:
            return
        session = sitting.session if sitting is not None else None
        if face.session != session or (face.state in OWNED) is (session is None):
            raise self.broken("I4", f"{seat} shows {face.state.value} of {face.session}, the events say {session}")

    def _why(self, sitting: Sitting) -> str:
        lost = self.lost_at is not None and sitting.due == self.lost_at + GRACE
        return "I8" if lost else "I3"
