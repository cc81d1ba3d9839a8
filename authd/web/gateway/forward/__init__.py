"""Forward auth: a proxy asks for each request of an application whether it may pass, and who it is of.

    /verify/<application>           for the proxy (`auth_request`, `forward_auth`, `ForwardAuth`)
    /forward/<application>/<word>   for browsers, under `/.authd/` of the application's own host

`gate` decides, `passport` is what a request gets with it, `told` the headers, `stream` and `guard` cover open pages.
"""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

from authd.web.gateway.answers import say
from authd.web.gateway.forward.gate import Gate
from authd.web.gateway.forward.operations import OPERATIONS
from authd.web.gateway.world import Surface, World

__all__ = ["OPERATIONS", "ForwardAuth", "make"]


class ForwardAuth:
    """The surface: a gate for each application that has `forward`."""

    prefixes = ("/verify", "/forward")

    def __init__(self, gates: dict[str, Gate]) -> None:
        self._gates = gates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        _, surface, name, *rest = f"{scope['path']}/".split("/", 3)
        gate = self._gates.get(name)
        if gate is None:
            await say(send, 404, b"no such application here\n")
        elif surface == "verify":
            await gate.verify(scope, send)
        else:
            await gate.answer(rest[0].rstrip("/") if rest else "", scope, receive, send)


def make(world: World) -> Surface | None:
    """Return the surface, or None where no application asks for it."""
    gates = {
        name: Gate(name, each.forward, world.books[name], world.spawn)
        for name, each in world.settings.applications.items()
        if each.forward is not None
    }
    return ForwardAuth(gates) if gates else None
