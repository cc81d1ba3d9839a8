"""The face for applications: which person is at the seat, by name, and when that changes.

The whole use is five lines (async; `connect_sync` gives the same words without `await`)::

    async with authd.client.connect("ipc:///run/authd-seat/router.sock", key=secret, server_key=public) as client:
        visit = await client.exchange(ticket)  # the browser came with a ticket from the seat's screen
        person = await client.who(visit.seat)  # None: nobody, or authd has not been heard for 2 s
        async for person in client.changes(visit.seat):  # at once, and whenever it changes
            show(person) if person and person.session == visit.session else cover()

and for a log that misses nothing, `async for event in client.follow(after=last_seq)`: every event of the ledger once,
in order, with its signature checked, across any number of restarts on either side.

An answer names a session as well as a person. Bind what you keep to the session: it ends at every lock and never comes
back. Nothing here tells what an application may do; it tells who is there, and with which grade of evidence.
"""

from authd.client.aio import Client, connect
from authd.client.carryout import Carryout, CarryoutOrder
from authd.client.flags import Look, Protection, Unmasked
from authd.client.link import Gone
from authd.client.sign_on import SignOn
from authd.client.sync import SyncClient, connect_sync
from authd.client.tokens import Jwks
from authd.client.values import (
    BreakGlass,
    Ceremony,
    ClientError,
    Credential,
    DoorError,
    EnrolStep,
    Event,
    OpenTicket,
    Person,
    ProtocolError,
    Shown,
    SignatureError,
    Staff,
    Stay,
    StepUp,
    Tile,
)
from authd.client.verify import verify
from authd.client.views import Receipt, check_receipt

__all__ = [
    "BreakGlass",
    "Carryout",
    "CarryoutOrder",
    "Ceremony",
    "Client",
    "ClientError",
    "Credential",
    "DoorError",
    "EnrolStep",
    "Event",
    "Gone",
    "Jwks",
    "Look",
    "OpenTicket",
    "Person",
    "Protection",
    "ProtocolError",
    "Receipt",
    "Shown",
    "SignOn",
    "SignatureError",
    "Staff",
    "Stay",
    "StepUp",
    "SyncClient",
    "Tile",
    "Unmasked",
    "check_receipt",
    "connect",
    "connect_sync",
    "verify",
]
