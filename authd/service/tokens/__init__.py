"""What the core signs for other products: assertions, ID tokens, logout tokens, security events.

Every claim is made here, of the core's own state: whoever asks can name a session or a row, and never say anything of
it. The keys are in `<state>/keys/tokens`; no other process holds one.
"""

from __future__ import annotations

from authd.service.tokens.ring import Algorithm, Ring, RingFull
from authd.service.tokens.tokens import TokenRefused, Tokens

__all__ = ["Algorithm", "Ring", "RingFull", "TokenRefused", "Tokens"]
