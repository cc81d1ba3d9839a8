"""The counters of failed tries, between the pipeline and their durable store."""

from __future__ import annotations

from authd.core import throttle
from authd.core.model import Candidate, Counter, Found, Instant, Miss, SeatId
from authd.core.ports import Clock, Counters, Sample


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

    def judge(self, seat: SeatId, sample: Sample) -> throttle.Verdict:
        """Whether this sample may be verified now. A claimed credential has one verification open, anywhere."""
        if _key(seat, sample) in self._open:
            return throttle.Verdict(allowed=False, until=Instant(self._clock.now() + throttle.BUSY_DELAY))
        return throttle.may_try(self._of(_key(seat, sample)), self._clock.now(), claimed=sample.claim is not None)

    async def before(self, sample: Sample) -> Counter | None:
        """A claimed credential pays before it is verified; returns what it owed until now, for `after`."""
        if sample.claim is None:
            return None
        key = throttle.claim_key(sample.claim)
        owed = self._of(key)
        self._open.add(key)
        await self._save(key, throttle.charge_claim(owed, self._clock.now()))
        return owed

    async def after(self, seat: SeatId, sample: Sample, owed: Counter | None, found: Found) -> None:
        """Settle by what was found: a success clears, a device fault gives back, an unnamed miss delays the seat."""
        key, now = _key(seat, sample), self._clock.now()
        if owed is not None and found is Miss.UNAVAILABLE:
            await self._save(key, throttle.refund_claim(self._of(key), owed))
        elif owed is not None and isinstance(found, Candidate):
            await self._save(key, throttle.succeed(self._of(key), now))
        elif owed is None and found in (Miss.NOBODY, Miss.REPLAYED, Miss.ATTACK):
            await self._save(key, throttle.charge_seat(self._of(key), now))

    def over(self, sample: Sample) -> None:
        """This verification is over, however it ended."""
        if sample.claim is not None:
            self._open.discard(throttle.claim_key(sample.claim))

    def _of(self, key: str) -> Counter:
        return self._known.get(key, Counter(changed_at=Instant(0), boot=self._clock.boot))

    async def _save(self, key: str, counter: Counter) -> None:
        self._known[key] = counter
        await self._store.save(key, counter)


def _key(seat: SeatId, sample: Sample) -> str:
    return throttle.claim_key(sample.claim) if sample.claim is not None else throttle.seat_key(seat)
