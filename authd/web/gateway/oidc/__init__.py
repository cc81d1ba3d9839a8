"""OpenID Connect: products that speak it learn who is at the seat, and lose it at the lock.

`clients` who may ask, `asked` what they ask, `grants` codes and tokens, `authorize` the browser's way, `tokens` the
client's, `leaving` both ways out. authd itself signs, under the application's name, and only while a session is active.
"""

from __future__ import annotations

from authd.client.tables import BadSettings
from authd.web.gateway.oidc import clients
from authd.web.gateway.oidc.operations import OPERATIONS
from authd.web.gateway.oidc.provider import Provider
from authd.web.gateway.world import Surface, World

__all__ = ["OPERATIONS", "Provider", "make"]


def make(world: World) -> Surface | None:
    """Return the surface, or None where no client is configured. Raises `BadSettings`."""
    known = clients.read(world)
    if not known:
        return None
    public = world.settings.gateway.public
    if not clients.safe(public):
        raise BadSettings(
            "gateway.public: OpenID Connect needs https://HOST, as browsers and clients reach the gateway"
        )
    return Provider(public, known, world)
