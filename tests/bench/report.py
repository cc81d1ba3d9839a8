"""Figures as the demo and the drills print them."""

from authd_simulators.report import Report

__all__ = ["Report"]
