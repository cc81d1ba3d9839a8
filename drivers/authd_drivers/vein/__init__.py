"""Finger vein by near-infrared camera: the reader (cv2, reader child) and the comparator (NumPy only, verifier child)."""

from __future__ import annotations
