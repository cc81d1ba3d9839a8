"""What is wrong with a policy bundle: one error, one line for a person, made of where and what is expected."""

from __future__ import annotations

from authd.service.toml import BadText

BundleError = BadText
"""A bundle that must not be used. `file` is relative to its folder."""
