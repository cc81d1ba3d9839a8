"""Questions about record views, and the values that come back; the same words with and without `await`."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import msgspec

from authd.client.asking import TOUCH_WAIT, Asking
from authd.client.values import Person, SignatureError, decode
from authd.client.verify import verify
from authd.client.waiting import Waiting
from authd.core.model import Grade, SeatId, SessionId, SubjectId

RESIDENT = "resident"
"""Namespace of the city's common resident number."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What authd vouches for: a durable row says that this record was opened in this session.

    `grade` is how strong the evidence of the person is; that they opened the record is what the system reported.
    """

    seq: int
    """Number of the row in the host's ledger."""
    leaf: int
    """Index of the row in the ledger's tree, from 0: a proof of inclusion is asked for by it."""
    row: bytes
    """Hash of the row as a leaf of the tree (RFC 9162, 2.1.1), 32 bytes."""
    time: str
    """When the row was made; wall clock, RFC 3339."""
    seat: SeatId
    subject: SubjectId
    session: SessionId
    grade: Grade
    factor: str
    acted: str
    """When the person acted who opened the session; wall clock, RFC 3339."""
    record: str
    """The record's pseudonym."""
    nonce: str
    raw: bytes
    """The receipt as it was signed, to be kept or passed on."""


class ViewCalls(Asking):
    """Part of `Client`."""

    async def view(
        self,
        person: Person,
        record: str,
        *,
        screen: str,
        purpose: str = "",
        call: str = "",
        namespace: str = RESIDENT,
        nonce: str | None = None,
    ) -> Receipt:
        """Report that a person opens a record, before it is shown; show it when the receipt is here, and only then.

        record: its number, which authd keeps as a pseudonym only. purpose or call: what it is opened for, a kind of
        business (never a name), or the procedure that is under way. Raises `DoorError`, whose message says why not,
        `Gone`, and `SignatureError`: in each case nothing may be shown.
        """
        nonce = nonce or secrets.token_hex(16)
        answer = await self._ask(
            _Answer,
            "view",
            session=person.session,
            subject=person.subject,
            record=record,
            namespace=namespace,
            screen=screen,
            purpose=purpose,
            call=call,
            nonce=nonce,
            at=_now(),
        )
        host = self._caller.host
        receipt = check_receipt(bytes(answer.receipt), host.event_key, host.audience)
        if (receipt.session, receipt.nonce) != (person.session, nonce):
            raise SignatureError("the receipt is of another view")
        return receipt

    async def look_up(self, about: str, *, purpose: str = "", account: str = "", at_seat: str | None = None) -> int:
        """Say what the ledger is going to be asked about (`record:rec_...`, `subject:...`, `seat:...`); for the admin.

        Returns the number of the row that says so. at_seat: where whoever asks is logged in, and is to touch now;
        without it, or without the touch, it stands there as an account's look-up, and as no person's.
        """
        limit = None if at_seat is None else TOUCH_WAIT
        fields = {"about": about, "purpose": purpose, "account": account, "at_seat": at_seat}
        asked = await self._ask(_Looked, "look_up", limit, **fields)
        return asked.seq


class SyncViewCalls(Waiting):
    """Part of `SyncClient`."""

    def view(
        self,
        person: Person,
        record: str,
        *,
        screen: str,
        purpose: str = "",
        call: str = "",
        namespace: str = RESIDENT,
        nonce: str | None = None,
    ) -> Receipt:
        """As `Client.view`."""
        asked = self._client.view(
            person, record, screen=screen, purpose=purpose, call=call, namespace=namespace, nonce=nonce
        )
        return self._wait(asked)

    def look_up(self, about: str, *, purpose: str = "", account: str = "", at_seat: str | None = None) -> int:
        """As `Client.look_up`."""
        return self._wait(self._client.look_up(about, purpose=purpose, account=account, at_seat=at_seat))


def check_receipt(receipt: bytes, public_key: bytes, audience: str) -> Receipt:
    """Return what a receipt says, once it is sure that the host signed it for this audience. Raises `SignatureError`.

    public_key: 32 raw bytes (Ed25519) of the host's event key, as the door's `ping` tells it. audience: the
    application's name.
    """
    verify(receipt, public_key, audience)
    cloud = decode(receipt, _Cloud)
    data = cloud.data
    return Receipt(
        seq=data.seq,
        leaf=data.leaf,
        row=bytes.fromhex(data.row),
        time=cloud.time,
        seat=SeatId(data.seat),
        subject=SubjectId(cloud.subject),
        session=SessionId(data.session),
        grade=data.evidence.grade,
        factor=data.evidence.factor,
        acted=data.evidence.acted,
        record=data.record,
        nonce=data.nonce,
        raw=receipt,
    )


def _now() -> str:
    """Wall clock, RFC 3339."""
    now = datetime.fromtimestamp(time.clock_gettime(time.CLOCK_REALTIME), UTC)
    return now.isoformat(timespec="milliseconds")


class _Answer(msgspec.Struct, frozen=True):
    receipt: msgspec.Raw


class _Looked(msgspec.Struct, frozen=True):
    seq: int


class _Evidence(msgspec.Struct, frozen=True):
    grade: Grade
    factor: str
    acted: str


class _Data(msgspec.Struct, frozen=True):
    seq: int
    leaf: int
    row: str
    seat: str
    session: str
    evidence: _Evidence
    record: str
    nonce: str


class _Cloud(msgspec.Struct, frozen=True):
    type: Literal["jp.authd.view.receipt"]
    time: str
    subject: str
    data: _Data
