"""What can be wrong with a key: it is late, hangs, fails or talks rubbish."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from authd_simulators.fido_key.rubbish import GARBAGE
from authd_simulators.fido_key.status import Unplugged

__all__ = ["GARBAGE", "Trouble"]
HANG_S, HANG_STEP_S = 600.0, 0.05


@dataclass(slots=True)
class Trouble:
    """What is wrong now. `errors`, `garbage` and `wire` count down by one a message."""

    sleep_ms: int = 0
    errors: list[int] = field(default_factory=lambda: list[int]())
    garbage: int = 0
    wire: int = 0
    """So many messages of the transport are to be hostile, below CTAP."""
    _calm: threading.Event = field(default_factory=threading.Event)
    _shown: int = 0

    def __post_init__(self) -> None:
        self._calm.set()

    @property
    def hangs(self) -> bool:
        """Whether the key answers nothing at all."""
        return not self._calm.is_set()

    def hang(self) -> None:
        """Answer nothing until `resume` or power-off."""
        self._calm.clear()

    def resume(self) -> None:
        """End all trouble."""
        self.sleep_ms = self.garbage = self.wire = 0
        self.errors.clear()
        self._calm.set()

    def pause(self, gone: threading.Event) -> None:
        """Be as late as the key is, or hang. Raises `Unplugged`."""
        if gone.wait(self.sleep_ms / 1000):
            raise Unplugged
        for _ in range(round(HANG_S / HANG_STEP_S)):
            if self._calm.is_set():
                return
            if gone.wait(HANG_STEP_S):
                raise Unplugged

    def strike(self) -> bytes | None:
        """Return what to answer instead of carrying out a command of CTAP2, or None."""
        if self.errors:
            return bytes([self.errors.pop(0)])
        if self.garbage > 0:
            self.garbage -= 1
            return self._next(GARBAGE)
        return None

    def strike_wire(self, kinds: Sequence[bytes]) -> bytes | None:
        """Return what the transport is to send instead of a message, one kind after the other, or None."""
        if self.wire <= 0:
            return None
        self.wire -= 1
        return self._next(kinds)

    def _next(self, kinds: Sequence[bytes]) -> bytes:
        self._shown += 1
        return kinds[self._shown % len(kinds)]
