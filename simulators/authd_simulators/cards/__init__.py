"""Simulated cards: a PIV card, a card that is a number, one with several applets, one that nobody knows.

    from authd_simulators.cards import make
    card = make("piv", seed="1002", pin="123456")        # in process: card.transmit(apdu), card.piv.left, card.trouble

As a process: `python -m authd_simulators.cards` (docs/reference/simulated-cards.md).
"""

from authd_simulators.cards.card import KINDS, SimulatedCard, make

__all__ = ["KINDS", "SimulatedCard", "make"]
