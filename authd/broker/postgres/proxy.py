"""What an application at one seat connects to: it signs on as whoever is there, and ends when they are not any more.

The application's own name and password mean nothing here. Which program it is, the kernel says; who the person is,
authd says. A connection belongs to one session of one person, and to nobody after it.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from authd.broker.postgres import messages, peer
from authd.broker.postgres.messages import Cancel, Encrypt, Malformed, Startup
from authd.broker.postgres.refusals import Refusal, Refused, response
from authd.broker.postgres.relay import Lost, Wire
from authd.broker.postgres.seats import Seats
from authd.broker.postgres.server import Database, SignedOn
from authd.broker.postgres.settings import Listener
from authd.broker.postgres.signon import SignOnFailed
from authd.client import ClientError, Person

SIGN_ON_S: Final = 15.0
"""From a connection's first byte to its first query."""
AT_A_TIME: Final = 8
"""Connections that are taken before those that were taken before are looked at again."""
BACKLOG: Final = 1_024
MOST_ASKED: Final = 2
"""Questions for encryption before a connection begins: one of each kind."""
NOT_FORWARDED: Final = frozenset({"user", "replication"})
log = logging.getLogger("authd.broker.postgres")
Admitted = Callable[[Person], Coroutine[Any, Any, None]]


@dataclass(eq=False)
class Connection:
    """One connection of an application's, and the server's that belongs to it."""

    client: Wire
    session: str = ""
    spoke: bool = False
    encoding: str = ""
    signed_on: SignedOn | None = None
    joined: bool = False
    cut: bool = False

    def is_cancelled_by(self, asked: Cancel) -> bool:
        """Whether whoever asks was told this connection's key."""
        own = self.signed_on.cancel if self.joined and self.signed_on is not None else None
        return own is not None and own.process == asked.process and hmac.compare_digest(own.key, asked.key)


@dataclass(eq=False)
class Proxy:
    """One `[listener.NAME]`. admitted: waits until the server lets the person's role in."""

    settings: Listener
    seats: Seats
    database: Database
    accounts: frozenset[int]
    admitted: Admitted
    live: dict[Connection, None] = field(default_factory=dict[Connection, None])
    """In the order in which they came."""
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    _group: asyncio.TaskGroup = field(default_factory=asyncio.TaskGroup)

    async def run(self) -> None:
        """Listen, for ever. Raises `OSError` where that cannot be."""
        loop, tls = asyncio.get_running_loop(), self._tls()
        self.seats.on_change.append(self._changed)
        async with self._group:
            listening = own(self.settings.path) if self.settings.path else _loopback(*self.settings.place)
            made = self._made(tls)
            server = await loop.create_server(lambda: Wire(made), sock=listening, backlog=AT_A_TIME)
            listening.listen(BACKLOG)
            try:
                self.ready.set()
                await server.serve_forever()
            finally:
                server.close()
                for each in list(self.live):
                    self._cut(each)

    def _tls(self) -> ssl.SSLContext | None:
        if not self.settings.certificate:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.settings.certificate, self.settings.key)
        return context

    def _made(self, tls: ssl.SSLContext | None) -> Callable[[Wire], None]:
        def made(wire: Wire) -> None:
            connection = Connection(wire)
            if not self._room():
                self._refuse(connection, Refusal.BUSY)
                return
            self.live[connection] = None
            self._group.create_task(self._serve(connection, tls))

        return made

    def _room(self) -> bool:
        """Whether there is room for one more; whoever came first and has not said what they want gives way."""
        if len(self.live) < self.settings.most:
            return True
        silent = next((each for each in self.live if not each.spoke), None)
        if silent is not None:
            del self.live[silent]
            silent.client.abort()
        return silent is not None

    async def _serve(self, connection: Connection, tls: ssl.SSLContext | None) -> None:
        """One connection's whole life; whatever happens on it ends it alone."""
        try:
            # Asked at once, since the kernel forgets whose a closed connection was; said once the application listens.
            ours = self._is_of_accounts(connection.client)
            async with asyncio.timeout(SIGN_ON_S):
                asked = await self._opening(connection, tls)
                if not ours:
                    raise Refused(Refusal.NOT_YOU)
                if isinstance(asked, Cancel):
                    await self._cancel(asked)
                    return
                await self._sign_on(connection, asked)
            await connection.client.gone.wait()
        except Refused as error:
            self._refuse(connection, error.why)
        except Malformed:
            self._refuse(connection, Refusal.PROTOCOL)
        except SignOnFailed as error:
            log.warning("server of %s: %s", self.settings.server, error)
            self._refuse(connection, Refusal.SERVER)
        except ClientError:
            self._refuse(connection, Refusal.NOBODY)  # authd is silent, or the session is over
        except (OSError, Lost, TimeoutError) as error:
            log.info("a connection at %s ended: %s", self.settings.seat, type(error).__name__)
            self._refuse(connection, Refusal.SERVER)
        except Exception as error:  # a mistake of ours is this connection's end, and nobody else's
            log.error("a connection at %s: unexpected %s", self.settings.seat, type(error).__name__)
            self._refuse(connection, Refusal.SERVER)
        finally:
            self.live.pop(connection, None)
            connection.client.close()
            if connection.signed_on is not None:
                connection.signed_on.wire.abort()

    async def _opening(self, connection: Connection, tls: ssl.SSLContext | None) -> Startup | Cancel:
        """Read what the application wants, in TLS if it asks for that. Raises `Refused`, `Malformed`, `Lost`."""
        wire, data, encrypted = connection.client, b"", False
        for _ in range(MOST_ASKED + 1):
            while (found := messages.opening(data)) is None:
                data += await wire.receive()
            asked, data = found
            if not isinstance(asked, Encrypt):
                if self.settings.require_tls and not encrypted:
                    raise Refused(Refusal.TLS)
                wire.unreceive(data)
                return asked
            # What comes unencrypted behind the question was put there by somebody (CVE-2021-23214).
            if data or wire.unread or encrypted:
                raise Malformed("a question for encryption comes alone, and once")
            encrypted = await self._answer(wire, None if asked.gss else tls)
        raise Malformed("asks for encryption again and again")

    async def _answer(self, wire: Wire, tls: ssl.SSLContext | None) -> bool:
        wire.write(b"S" if tls else b"N")
        if tls is not None:
            await wire.encrypt(tls)
        return tls is not None

    async def _sign_on(self, connection: Connection, asked: Startup) -> None:
        """Sign on as whoever is at the seat, and join both ends while that is still so."""
        connection.spoke, connection.encoding = True, asked.parameters.get("client_encoding", "")
        person = await self.seats.ask(self.settings.seat)
        if person is None:
            raise Refused(Refusal.NOBODY)
        connection.session = person.session
        parameters = _forwarded(asked)
        await self.admitted(person)
        signed_on = connection.signed_on = await self.database.sign_on(person, parameters)
        if connection.cut or connection.client.gone.is_set():
            raise Refused(Refusal.LOCKED)
        if asked.minor or asked.extensions:
            connection.client.write(messages.only_version_3_0(asked.extensions))
        connection.client.write(signed_on.welcome)
        if signed_on.wire.gone.is_set():
            raise Refused(Refusal.SERVER)
        connection.joined = True
        signed_on.wire.join(connection.client, rested=True)
        connection.client.join(signed_on.wire)

    def _is_of_accounts(self, wire: Wire) -> bool:
        assert wire.transport is not None
        return not self.accounts or peer.uid(wire.transport) in self.accounts

    async def _cancel(self, asked: Cancel) -> None:
        """Pass a cancellation on, if it is for a connection that lives here."""
        for each in self.live:
            if each.is_cancelled_by(asked):
                await self.database.cancel(asked)
                return

    def _changed(self, seat: str, person: Person | None) -> None:
        """End every connection that is of another session than the one at the seat."""
        if seat != self.settings.seat:
            return
        session = person.session if person is not None else ""
        for each in [each for each in self.live if each.session and each.session != session]:
            self._cut(each)

    def _cut(self, connection: Connection) -> None:
        """End a connection now: nothing more goes either way, and the server gives up what it is doing.

        Where no answer is under way, the application is told why; in the middle of one, that cannot be said.
        """
        connection.cut = True
        signed_on = connection.signed_on
        if not connection.joined or signed_on is None:
            return
        signed_on.wire.abort()
        if signed_on.wire.at_rest and not connection.client.unsent:
            self._refuse(connection, Refusal.LOCKED)
        else:
            connection.client.abort()
        if signed_on.cancel is not None:
            with suppress(RuntimeError):  # the broker is ending: the server sees its connections end
                self._group.create_task(self.database.cancel(signed_on.cancel))

    def _refuse(self, connection: Connection, why: Refusal) -> None:
        connection.client.write(response(why, self.settings.language, connection.encoding))
        connection.client.close()


def own(path: str) -> socket.socket:
    """Make a Unix socket that anybody may connect to: who they are, the kernel is asked, connection by connection."""
    where = Path(path)
    if where.is_socket():
        where.unlink()
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.setblocking(False)
    made.bind(path)
    where.chmod(0o666)
    return made


def _loopback(host: str, port: int) -> socket.socket:
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


def _forwarded(asked: Startup) -> Mapping[str, str]:
    """What the server is told of what the application asked for: not its name, and no stream of the whole database."""
    if asked.parameters.get("replication", "false").lower() not in ("false", "off", "no", "0"):
        raise Refused(Refusal.NOT_THIS)
    user = asked.parameters.get("user", "")
    if not user:
        raise Malformed("no user")
    kept = {
        name: value
        for name, value in asked.parameters.items()
        if name not in NOT_FORWARDED and not name.startswith("_pq_.")
    }
    return {"database": user, **kept}
