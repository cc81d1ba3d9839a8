"""Carry-out: nothing leaves without a second person's fresh touch, and what left is known again.

    request (a touch) -> grant (another person's touch) -> one use -> export -> returned or erased

Each arrow is a row of the ledger before anybody is told. What is known here is what those rows say.
"""

from authd.service.evidence.carryout.carryouts import Carryouts, Exported
from authd.service.evidence.carryout.said import (
    SAID,
    Carryout,
    Closing,
    Leaving,
    NotOut,
    Order,
    Shown,
    Stage,
    Why,
)

__all__ = [
    "SAID",
    "Carryout",
    "Carryouts",
    "Closing",
    "Exported",
    "Leaving",
    "NotOut",
    "Order",
    "Shown",
    "Stage",
    "Why",
]
