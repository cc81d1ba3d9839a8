"""A PC/SC in this process: readers, simulated cards put into them, and all that goes wrong with pcscd (L0)."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from authd_drivers.pcsc.api import (
    EMPTY,
    EXCLUSIVE,
    PRESENT,
    RESET_CARD,
    TIMEOUT,
    Connection,
    Context,
    Seen,
    Service,
    Trouble,
)
from authd_simulators.cards import SimulatedCard
from authd_simulators.cards.trouble import Torn

NO_SERVICE, UNKNOWN_READER, SHARING, NO_CARD, REMOVED = 0x8010001D, 0x80100009, 0x8010000B, 0x8010000C, 0x80100069
READER = "Fake 00 00"


class FakePcsc:
    """One pcscd with its readers; `service` is what a driver is given in place of the real one."""

    def __init__(self, *readers: str) -> None:
        self._moved = threading.Condition(threading.RLock())
        self._cards: dict[str, SimulatedCard | None] = dict.fromkeys(readers or (READER,))
        self._counts = dict.fromkeys(self._cards, 0)
        self._known: dict[object, Mapping[str, int]] = {}
        self.alive = True
        self.frozen = threading.Event()
        self.frozen.set()
        self.exclusive: set[str] = set()
        """Readers whose card another program holds for itself."""
        self.fails: dict[str, list[int]] = {}
        """Codes that the next calls of a name (`connect`, `begin`, `transmit`) fail with."""
        self.asked = list[str]()
        """Readers that were asked themselves, in order."""
        self.answers: dict[str, list[bool | None]] = {}
        """What each says of its card; the last for ever. One that is not here cannot say."""
        self.waking: dict[str, bool | None] = {}
        """Readers that tell pcscd themselves; None: cannot be asked."""
        self.left: list[bool] = []
        """Of each connection that ended, whether it reset the card."""
        self.transactions = 0
        self.most_at_once = 0

    def find(self, socket: str) -> Service:
        """Be `api.service`."""
        del socket
        return self.service

    def service(self) -> Context:
        """Connect."""
        self.check("establish")
        return _Context(self)

    def insert(self, card: SimulatedCard, reader: str = READER) -> None:
        """Put a card in."""
        card.trouble.tear = lambda: self.remove(reader)
        self._move(reader, card)

    def remove(self, reader: str = READER) -> None:
        """Take it out."""
        self._move(reader, None)

    def swap(self, card: SimulatedCard, reader: str = READER) -> None:
        """Put another card in its place faster than anybody sees."""
        self._cards[reader] = card

    def caught_up(self) -> None:
        """Wait until everybody who watches knows how things are."""
        with self._moved:
            self._moved.wait_for(lambda: not any(self._differs(known) for known in self._known.values()), 5)

    def die(self) -> None:
        """Be killed."""
        with self._moved:
            self.alive = False
            self._moved.notify_all()

    def live(self) -> None:
        """Be started anew: all counts begin again."""
        with self._moved:
            self.alive = True
            self._counts = dict.fromkeys(self._cards, 0)
            self._moved.notify_all()

    def plug(self, reader: str) -> None:
        """Connect another reader."""
        with self._moved:
            self._cards[reader], self._counts[reader] = None, 0
            self._moved.notify_all()

    def unplug(self, reader: str = READER) -> None:
        """Pull a reader, and the card in it."""
        with self._moved:
            del self._cards[reader], self._counts[reader]
            self._moved.notify_all()

    def touched(self) -> None:
        """Have everybody look again (after a change of `exclusive`)."""
        with self._moved:
            self._moved.notify_all()

    def check(self, call: str = "") -> None:
        """Fail as the real one would. Raises `Trouble`."""
        self.frozen.wait(20)
        if not self.alive:
            raise Trouble(NO_SERVICE, call)
        if self.fails.get(call):
            raise Trouble(self.fails[call].pop(0), call)

    def names(self) -> list[str]:
        self.check("readers")
        return list(self._cards)

    def look(self, who: object, known: Mapping[str, int], timeout_s: float) -> dict[str, Seen]:
        with self._moved:
            self._known[who] = known
            self._moved.notify_all()
            self._moved.wait_for(lambda: not self.alive or self._differs(known), timeout_s)
            self.check("changes")
            if not self._differs(known):
                raise Trouble(TIMEOUT, "changes")
            return {name: self._seen(name) if name in self._cards else Seen(flags) for name, flags in known.items()}

    def forget(self, who: object) -> None:
        with self._moved:
            self._known.pop(who, None)
            self._moved.notify_all()

    def card(self, reader: str) -> SimulatedCard:
        """Return the card in a reader. Raises `Trouble`."""
        if reader not in self._cards:
            raise Trouble(UNKNOWN_READER, "")
        card = self._cards[reader]
        if card is None:
            raise Trouble(NO_CARD, "")
        return card

    def answer(self, reader: str) -> bool | None:
        """Say what the reader says."""
        self.check("there")
        with self._moved:
            self.asked.append(reader)
            self._moved.notify_all()
            says = self.answers.get(reader, [None])
            return says.pop(0) if len(says) > 1 else says[0]

    def says(self, *answers: bool | None, reader: str = READER) -> None:
        """Have the reader say this from now on, and wait until all of it was asked for, and twice more."""
        with self._moved:
            self.answers[reader] = list(answers)
            self.heard(len(self.asked) + len(answers) + 2)

    def heard(self, count: int) -> None:
        """Wait until readers were asked so often."""
        with self._moved:
            assert self._moved.wait_for(lambda: len(self.asked) >= count, 30), "nobody asks the reader"

    def _differs(self, known: Mapping[str, int]) -> bool:
        there = {name for name in known if name in self._cards}
        return there != set(self._cards) or any(self._seen(name).flags != known[name] for name in there)

    def _seen(self, name: str) -> Seen:
        card = self._cards[name]
        flags = (PRESENT if card is not None else EMPTY) | (EXCLUSIVE if name in self.exclusive else 0)
        return Seen(flags | self._counts[name] << 16, card.atr if card is not None else b"")

    def _move(self, reader: str, card: SimulatedCard | None) -> None:
        with self._moved:
            if (card is None) != (self._cards[reader] is None):
                self._counts[reader] += 1
            for each in (card, self._cards[reader]):
                if each is not None:
                    each.power(False)
            self._cards[reader] = card
            self._moved.notify_all()


class _Context:
    def __init__(self, pcsc: FakePcsc) -> None:
        self._pcsc = pcsc

    def readers(self) -> list[str]:
        return self._pcsc.names()

    def changes(self, known: Mapping[str, int], timeout_ms: int) -> dict[str, Seen]:
        self._pcsc.check("changes")
        real = {name: flags for name, flags in known.items() if not name.startswith("\\\\?PnP")}
        return self._pcsc.look(self, real, timeout_ms / 1000)

    def connect(self, reader: str) -> Connection:
        self._pcsc.check("connect")
        if reader in self._pcsc.exclusive:
            raise Trouble(SHARING, "connect")
        return _Connection(self._pcsc, self._pcsc.card(reader), reader)

    def there(self, reader: str) -> bool | None:
        return self._pcsc.answer(reader)

    def wakes(self, reader: str) -> bool | None:
        self._pcsc.check("wakes")
        return self._pcsc.waking.get(reader, False)

    def release(self) -> None:
        self._pcsc.forget(self)


class _Connection:
    def __init__(self, pcsc: FakePcsc, card: SimulatedCard, reader: str) -> None:
        self._pcsc, self._card, self._reader = pcsc, card, reader
        self._within = False

    def begin(self) -> None:
        try:
            self._pcsc.check("begin")
        except Trouble as trouble:
            if trouble.code != RESET_CARD:
                raise
            self._pcsc.check("begin")
        self._within = True
        self._pcsc.transactions += 1
        self._pcsc.most_at_once = max(self._pcsc.most_at_once, self._pcsc.transactions)

    def transmit(self, apdu: bytes) -> bytes:
        assert self._within
        self._pcsc.check("transmit")
        try:
            if self._pcsc.card(self._reader) is not self._card:
                raise Trouble(REMOVED, "transmit")
            return self._card.transmit(apdu)
        except Torn:
            raise Trouble(REMOVED, "transmit") from None

    def end(self, *, reset: bool = False) -> None:
        self._pcsc.left.append(reset)
        self._pcsc.transactions -= self._within
        self._within = False
        if reset:
            self._card.power(False)
