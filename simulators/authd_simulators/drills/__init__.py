"""Drills: incidents of city halls, replayed on real processes, and the questions that the city could not answer.

Each is one file of `scenarios/` that a person can read: what is known to have happened and from where, who does what,
and what is asked afterwards with the answer that must come. `acts` are the words of its scenes, `questions` those of
what is asked; nothing else can happen in a drill.
"""

from __future__ import annotations

from authd_simulators.drills.scenario import NAMES, Scenario, load

__all__ = ["NAMES", "Scenario", "load"]
