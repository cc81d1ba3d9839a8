from __future__ import annotations

from tests.service.bus.conftest import folder, host, served

__all__ = ["folder", "host", "served"]
