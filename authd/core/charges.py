"""The counters of failed tries, between the pipeline and their durable store."""

from __future__ import annotations

from dataclasses import dataclass

from authd.core import throttle
from authd.core.model import Candidate, Counter, Denied, Found, Instant, Miss, SeatId
from authd.core.ports import Clock, Counters, Given, Sample

_COUNTED = (Miss.NOBODY, Miss.REPLAYED, Miss.ATTACK, Miss.ANOTHER_FINGER)


@dataclass(frozen=True, slots=True)
class Paid:
    """What a try has cost so far, so that it can be given back."""

    before: Counter
    after: Counter


class Charges:
    """Knows every counter, saves each change before it counts, and judges the next try by them."""

    def __init__(self, counters: Counters, clock: Clock) -> None:
        self._store = counters
        self._clock = clock
        self._known: dict[str, Counter] = {}
        self._open: set[str] = set()

    async def load(self) -> None:
        """Bring the counters of an earlier life to this boot."""
        for key, counter in (await self._store.load()).items():
            self._known[key] = throttle.adopt(key, counter, self._clock.now(), self._clock.boot)

    def judge(self, seat: SeatId, sample: Sample, paid: Paid | None = None) -> throttle.Verdict:
        """Whether this sample may be verified now. A claimed credential has one verification open, anywhere.

        `paid`: it is the second finger of a try that was allowed, and has paid, with the first.
        """
        if _key(seat, sample) in self._open:
            return throttle.Verdict(allowed=False, until=Instant(self._clock.now() + throttle.BUSY_DELAY))
        if paid is not None:
            return throttle.Verdict(allowed=True)
        return throttle.may_try(self._of(_key(seat, sample)), self._clock.now(), claimed=claims(sample))

    async def before(self, sample: Sample, paid: Paid | None = None) -> Paid | None:
        """A claimed credential pays before it is verified, once a try; returns what this try has paid, for `after`."""
        if not claims(sample):
            return paid
        key = _claim_key(sample)
        self._open.add(key)
        return paid or await self._pay(key, throttle.charge_claim(self._of(key), self._clock.now()))

    async def after(self, seat: SeatId, sample: Sample, paid: Paid | None, found: Found) -> Paid | None:
        """Settle by what was found: a success clears, a device fault gives back, an unnamed miss delays the seat.

        A denial counts for the seat's keys and cards; it is nobody's failed finger.

        A finger that another one must follow pays for the whole try: who never shows the other has tried. Returns what
        the try has paid.
        """
        key = _key(seat, sample)
        if paid is None:
            counts = found in _COUNTED or (isinstance(found, Denied) and not claims(sample))
            return await self._pay(key, throttle.charge_seat(self._of(key), self._clock.now())) if counts else None
        if isinstance(found, Candidate) and claims(sample):
            await self._save(key, throttle.succeed(self._of(key), self._clock.now()))
        elif isinstance(found, Candidate | Denied) or found is Miss.UNAVAILABLE:
            await self._give_back(key, paid)
        return paid

    async def _pay(self, key: str, charged: Counter) -> Paid:
        paid = Paid(self._of(key), charged)
        await self._save(key, charged)
        return paid

    async def _give_back(self, key: str, paid: Paid) -> None:
        """Unless something else has been counted since: that must stay."""
        if self._of(key) is paid.after:
            await self._save(key, throttle.refund(paid.after, paid.before))

    def over(self, sample: Sample) -> None:
        """This verification is over, however it ended."""
        if claims(sample):
            self._open.discard(_claim_key(sample))

    def _of(self, key: str) -> Counter:
        return self._known.get(key, Counter(changed_at=Instant(0), boot=self._clock.boot))

    async def _save(self, key: str, counter: Counter) -> None:
        self._known[key] = counter
        await self._store.save(key, counter)


def claims(sample: Sample) -> bool:
    """Whether it is a finger that somebody said is a named person's: a key or card names its own."""
    return sample.claim is not None and sample.given in (Given.PROBE, Given.CLAIMED)


def _key(seat: SeatId, sample: Sample) -> str:
    if claims(sample):
        return _claim_key(sample)
    proof = sample.given in (Given.PROOF, Given.IDENTIFIER)
    return throttle.proof_key(seat) if proof else throttle.seat_key(seat)


def _claim_key(sample: Sample) -> str:
    assert sample.claim is not None
    named = sample.given is Given.CLAIMED
    return throttle.named_key(sample.claim) if named else throttle.claim_key(sample.claim)
