"""Whether a template may follow an older one of its finger. Never on its own: the rules are asked, the ledger is first.

The bar is far above that of a match, for every template of the finger and not only for the best: whoever comes near the
threshold by chance, or by what they hold in front of the reader, must not move the templates towards them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from authd_drivers.vein.engine.compare import compare

if TYPE_CHECKING:
    from authd_drivers.vein.engine.profile import SensorProfile
    from authd_drivers.vein.engine.template import Template

CLEAR = 1.3
"""Times the threshold of one finger: what the best template must reach. Half of all genuine touches of SDUMLA do."""
QUALITY = 0.5
"""Least quality, of 0 to 1: half of all captures are better."""


def replaced(new: Template, held: Sequence[bytes], profile: SensorProfile) -> int | None:
    """Return the place in `held` (bits of the finger's templates) that the new one is best put in; None: in none.

    It goes to the template that fits the others least, and only if the new one fits them better.
    """
    scores = [compare(new.bits, bits, profile.search) for bits in held]
    decision = profile.decision
    if new.quality < QUALITY or len(held) < 2:
        return None
    if max(scores) < CLEAR * decision.threshold or min(scores) < decision.agree:
        return None
    fits = [0.0] * len(held)
    for i, j in combinations(range(len(held)), 2):
        score = compare(held[i], held[j], profile.search)
        fits[i], fits[j] = fits[i] + score, fits[j] + score
    worst = min(range(len(held)), key=fits.__getitem__)
    return worst if sum(scores) - scores[worst] > fits[worst] else None
