"""Back-channel logout (OpenID Connect Back-Channel Logout 1.0): each client hears of each session's end at once.

That a client hears late, or never, keeps nothing open here: its codes and tokens end with the session all the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Final
from urllib.parse import urlencode

from authd.client import ClientError, DoorError
from authd.core.model import SessionId
from authd.web.gateway.oidc.clients import Client
from authd.web.gateway.post import Poster

AGAIN_S: Final = (0.05, 0.2, 1.0, 5.0, 15.0, 60.0)
"""Waits between the tries. OpenID Connect asks for none; a client that restarts is told a minute later."""
MOST_WAITING: Final = 1_024
LOOK_EVERY_S: Final = 1.0
"""How often authd is asked about a session of which no browser is known any more."""
FORM: Final = {"content-type": "application/x-www-form-urlencoded"}
log = logging.getLogger("authd.web.gateway")


class BackChannel:
    """Tells clients that sessions are over."""

    def __init__(self, poster: Poster, spawn: Callable[[Coroutine[None, None, None]], None]) -> None:
        self._poster = poster
        self._spawn = spawn
        self._waiting = 0

    def tell(self, client: Client, session: SessionId) -> None:
        """Tell this client, beside everything else."""
        if not client.table.backchannel_logout_uri:
            return
        if self._waiting >= MOST_WAITING:
            log.error("%s: too many logouts wait to be heard; this one will not be", client.id)
            return
        self._waiting += 1
        self._spawn(self._tell(client, session))

    async def carried(self, client: Client, session: SessionId) -> None:
        """Tell of a session from before the gateway's start, as soon as it is over, which it may be already."""
        while await self._open(client, session):  # noqa: ASYNC110 - another process knows it
            await asyncio.sleep(LOOK_EVERY_S)
        self.tell(client, session)

    async def _open(self, client: Client, session: SessionId) -> bool:
        try:
            await client.book.client.logout_token(session)
        except DoorError as error:
            return error.code != "not_found"
        except ClientError:
            return True
        return False

    async def _tell(self, client: Client, session: SessionId) -> None:
        try:
            for wait in (*AGAIN_S, None):
                if await self._told(client, session):
                    client.owed.done(session)
                    return
                if wait is not None:
                    await asyncio.sleep(wait)
            client.owed.done(session)
            log.warning("%s: did not take a logout; its back-channel must answer 200 or 204", client.id)
        finally:
            self._waiting -= 1

    async def _told(self, client: Client, session: SessionId) -> bool:
        try:
            token = await client.book.client.logout_token(session)
        except DoorError as error:
            return error.code == "not_found"  # never a session of this client's
        except ClientError:
            return False
        body = urlencode({"logout_token": token}).encode("ascii")
        answer = await self._poster.post(client.table.backchannel_logout_uri, body, FORM)
        return answer is not None and answer.status in (200, 204)
