"""Asks a reader's own driver whether the card is still in, where pcscd itself only looks now and then.

pcscd is told at once by a reader with an interrupt, and looks at one without it every 0.4 s. There this looks as well,
each `LOOK_S`, with a question that no card hears: an attribute of the reader, over a connection that takes nothing from
anybody (direct, left as it was, open for a fraction of a millisecond). A reader that another program has for itself, or
in a transaction, is not asked before it is free. Used by watcher.py.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from authd_drivers.pcsc.api import Context, Seen, Service, Trouble

LOOK_S = 0.15
ROUND = 60
"""Looks in a row, then a rest."""
REST_S = 0.9
"""pcscd puts a card to sleep that it twice finds unused, and with it the PIN that a program left open; each look counts
as a use, so two of its turns (0.4 s) must pass without one."""
Card = tuple[str, int]
"""A reader, and pcscd's count at the insertion of the card in it."""


class Looks:
    """Looks at the cards that are in, in the thread that calls `work`, until `end` is set.

    seen: how pcscd says that all readers are, now. moved: is told of a card that went before pcscd noticed (False), and
    of one that then lies there while pcscd has still not noticed (True); it may be the same card or another.
    """

    def __init__(
        self,
        service: Service,
        end: threading.Event,
        seen: Callable[[], Mapping[str, Seen]],
        moved: Callable[[str, int, bool], None],
    ) -> None:
        self._service, self._end, self._seen, self._moved = service, end, seen, moved
        self._there = dict[Card, bool]()
        self._able = set[str]()
        """Readers that said "in" of a card: the others say nothing by "out"."""
        self._wakes = dict[Card, bool]()
        """Whether this card's reader tells pcscd itself."""

    def work(self) -> None:
        """Look, and begin anew whenever pcscd was away."""
        while not self._end.wait(LOOK_S):
            if not self._cards():
                continue
            try:
                context = self._service()
                try:
                    self._follow(context)
                finally:
                    context.release()
            except Trouble:  # pcscd is away, or may not be asked (polkit): another thread says so
                self._end.wait(REST_S)

    def _follow(self, context: Context) -> None:
        """Look until no card is in; raises `Trouble` when pcscd is gone."""
        looked = 0
        while cards := self._cards():
            looked += 1
            for card in sorted(cards):
                self._look(context, card)
            if self._end.wait(LOOK_S if looked % ROUND else REST_S):
                return

    def _cards(self) -> set[Card]:
        readers = self._seen()
        self._able.intersection_update(readers)
        cards = {(reader, seen.count) for reader, seen in readers.items() if seen.present}
        for known in (self._there, self._wakes):
            for card in known.keys() - cards:
                del known[card]
        return cards

    def _look(self, context: Context, card: Card) -> None:
        if card not in self._wakes:
            wakes = context.wakes(card[0])
            if wakes is None:
                return
            self._wakes[card] = wakes
        if self._wakes[card]:
            return
        there = context.there(card[0])
        if there is False:  # a reader may stumble, and a session rests on it
            there = context.there(card[0])
        if there:
            self._able.add(card[0])
        if there is None or card[0] not in self._able:
            return
        before, self._there[card] = self._there.get(card, True), there
        if there != before:
            self._moved(*card, there)
