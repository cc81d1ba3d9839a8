"""Whether generated fingers are as hard as real ones: how scores are spread, generated against recorded.

    found = scored(generate(people=120))       # {"unrolled": Scores(genuine, impostor), "flat": ...}
    real = recorded()                          # the same of SDUMLA-HMT: histograms, no picture
    distance(found["unrolled"].genuine, real.spreads["unrolled"].genuine)   # Kolmogorov-Smirnov

For measuring, on a developer's machine; no simulated reader imports it.
"""

from authd_simulators.vein_study.algorithms import ALGORITHMS
from authd_simulators.vein_study.population import Taken, generate, scored
from authd_simulators.vein_study.spread import Scores, Spread, distance, equal_error, recorded, spread_of

__all__ = [
    "ALGORITHMS",
    "Scores",
    "Spread",
    "Taken",
    "distance",
    "equal_error",
    "generate",
    "recorded",
    "scored",
    "spread_of",
]
