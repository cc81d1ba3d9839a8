"""The amounts that the generator draws from: what anatomies are like, and how differently people lay a finger down.

They were fitted so that the scores, by the engine, of generated pictures are spread as those of real ones, by two
algorithms (vein_study; `authd sim vein --histograms` draws both). None is a measurement of tissue.
Pixels are those of the 320x240 picture, degrees those around the finger.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recipe:
    """Spreads are standard deviations unless said otherwise."""

    # What a finger is like.
    contrast: float = 0.5
    """How well veins show, the mean over people; then its spread (log) over people and over one person's fingers."""
    contrast_people: float = 0.3
    contrast_fingers: float = 0.15
    depth_blur: float = 2.1
    """Factor on how far tissue blurs a vein."""
    wander: float = 8.3
    """How far a trunk strays from straight, degrees a step of 55 pixels."""
    grain_fine: float = 0.025
    """Unevenness of the tissue that is a finger's own, and as `grain_coarse` the one of twice the size."""
    grain_coarse: float = 0.0243
    grain_size: float = 4.5
    cloud: float = 0.25
    """Slow unevenness over the finger, logarithm."""
    level: float = 0.22
    """Spread (log) of how much light comes through at all."""
    joint: float = 0.9
    """Factor on the joints' glow."""
    joint_along: float = 16.0
    """Where the joints are, pixels along the finger."""
    joint_around: float = 38.0
    """How far the joints' glow reaches around the finger, degrees."""
    outline: float = 0.5
    """Factor on how much the outline bends."""
    thickness: float = 1.12
    """Factor on the radius."""
    centre: float = 13.0
    """Where the finger lies across the picture, pixels below the middle, and its spread over people."""
    centre_people: float = 7.5

    # How it is laid down.
    wilful: float = 0.35
    """Log spread over people (Student's t of 3.5 degrees of freedom) of the factor on all that follows."""
    mood: float = 0.35
    """The same over the touches of one person."""
    best: float = 0.6
    worst: float = 3.1
    """The most that the factor can be."""
    dx: float = 2.6
    dy: float = 4.0
    roll: float = 6.3
    angle: float = 0.9
    scale: float = 0.012
    warp: float = 1.2
    """Displacement of the skin, pixels."""
    veil: float = 0.0043
    """Log unevenness of the light that is of one touch: pressure, sweat, what lies on the skin."""
    dilation: float = 0.08
    dropout: float = 0.04
    contrast_touches: float = 0.15
    blur: float = 0.2
    motion: float = 0.5
    again: float = 0.07
    """Share of all this by which a finger that was not lifted differs from one picture to the next."""


CALIBRATED = Recipe()
"""As hard as the public set SDUMLA-HMT, by the bars of tests.bench.vein_sim."""
