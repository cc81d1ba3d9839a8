"""Where a test stands on the globe, for what is said in local time."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager

import pytest


@contextmanager
def standing_in(zone: str) -> Generator[None]:
    """Local time is that of `zone` (as `Asia/Tokyo`) for as long as the context lasts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        yield
    time.tzset()
