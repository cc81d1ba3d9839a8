"""What an administrator asks on the local socket; the same words with and without `await`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Sequence

from authd.client.asking import TOUCH_WAIT, Asking
from authd.client.values import BreakGlass, Covered, Credential, EnrolStep, Frame, Means, Staff, Status, Stay, decode
from authd.client.waiting import Waiting


class AdministrationCalls(Asking):
    """Part of `Client`."""

    async def history(self, seat: str, start: str, end: str) -> list[Stay]:
        """Return who was at the seat between two RFC 3339 times (with their offset from UTC)."""
        return await self._collect(Stay, "history", {"seat": seat, "from": start, "to": end})

    async def people(self) -> list[Staff]:
        """Return everyone ever enrolled, the disabled too."""
        return await self._collect(Staff, "people", {})

    async def enrol(
        self,
        seat: str,
        *,
        staff_number: str,
        finger: str,
        name: str = "",
        kana: str = "",
        section: str = "",
        officer: bool = False,
        found: bool = False,
        more: Sequence[str] = (),
        add: bool = False,
        means: Means = "finger",
    ) -> AsyncGenerator[EnrolStep, None]:
        """Enrol a finger of somebody (and `more`) at the seat's reader; `add`: of one who is enrolled already.

        means: or a key, a card, a finger that the reader's own service keeps. Yields what is asked for next; what is to
        be typed (`pin`, `new_pin`), `answer` hands over. Closing the iterator abandons it.
        """
        person = {"staff_number": staff_number, "name": name, "kana": kana, "section": section, "officer": officer}
        fields: dict[str, object] = {
            "seat": seat,
            **person,
            "finger": finger,
            "more": list(more),
            "found": found,
            "add": add,
        }
        fields["means"] = means
        async with self._stream("enrol", fields) as frames:
            async for frame, _ in frames:
                if bytes(frame.item):
                    yield decode(frame.item, EnrolStep)

    async def disable(self, subject: str, seat: str, timeout: float = TOUCH_WAIT, *, erase: bool = False) -> None:  # noqa: ASYNC109 - the officer's time, not a cancellation
        """Disable a person; an officer confirms with a touch at the seat."""
        await self._ask(Frame, "disable", timeout, subject=subject, seat=seat, erase=erase)

    async def keys(self, subject: str) -> list[Credential]:
        """Return what a person has enrolled, the oldest first, the revoked too."""
        return await self._collect(Credential, "keys", {"subject": subject})

    async def revoke(self, reference: str, seat: str, timeout: float = TOUCH_WAIT) -> None:  # noqa: ASYNC109 - the officer's time, not a cancellation
        """Revoke one key or card; an officer confirms with a touch at the seat."""
        await self._ask(Frame, "revoke", timeout, reference=reference, seat=seat)

    async def breakglass(self) -> list[BreakGlass]:
        """Return every session that was opened outside the rules, the newest first."""
        return await self._collect(BreakGlass, "breakglass", {})

    async def review(self, session: str, seat: str, timeout: float = TOUCH_WAIT) -> None:  # noqa: ASYNC109 - the officer's time, not a cancellation
        """Record that one of them was reviewed; an officer confirms with a touch at the seat."""
        await self._ask(Frame, "review", timeout, session=session, seat=seat)

    async def status(self) -> dict[str, object]:
        """Return what the daemon says of itself."""
        return (await self._ask(Status, "status")).status

    async def seal(self, timeout: float = TOUCH_WAIT) -> int:  # noqa: ASYNC109 - the daemon's time, not a cancellation
        """Bring every row there is into the ledger's completeness index; return how many are in it."""
        return (await self._ask(Covered, "seal", timeout)).covered

    async def stop(self) -> None:
        """Ask the daemon to end."""
        await self._ask(Frame, "stop")


class SyncAdministrationCalls(Waiting):
    """Part of `SyncClient`."""

    def history(self, seat: str, start: str, end: str) -> list[Stay]:
        """As `Client.history`."""
        return self._wait(self._client.history(seat, start, end))

    def people(self) -> list[Staff]:
        """As `Client.people`."""
        return self._wait(self._client.people())

    def enrol(
        self,
        seat: str,
        *,
        staff_number: str,
        finger: str,
        name: str = "",
        kana: str = "",
        section: str = "",
        officer: bool = False,
        found: bool = False,
        more: Sequence[str] = (),
        add: bool = False,
        means: Means = "finger",
    ) -> Generator[EnrolStep, None, None]:
        """As `Client.enrol`."""
        steps = self._client.enrol(
            seat,
            staff_number=staff_number,
            name=name,
            kana=kana,
            section=section,
            finger=finger,
            officer=officer,
            found=found,
            more=more,
            add=add,
            means=means,
        )
        return self._each(steps)

    def disable(self, subject: str, seat: str, timeout: float = TOUCH_WAIT, *, erase: bool = False) -> None:
        """As `Client.disable`."""
        self._wait(self._client.disable(subject, seat, timeout, erase=erase))

    def keys(self, subject: str) -> list[Credential]:
        """As `Client.keys`."""
        return self._wait(self._client.keys(subject))

    def revoke(self, reference: str, seat: str, timeout: float = TOUCH_WAIT) -> None:
        """As `Client.revoke`."""
        self._wait(self._client.revoke(reference, seat, timeout))

    def breakglass(self) -> list[BreakGlass]:
        """As `Client.breakglass`."""
        return self._wait(self._client.breakglass())

    def review(self, session: str, seat: str, timeout: float = TOUCH_WAIT) -> None:
        """As `Client.review`."""
        self._wait(self._client.review(session, seat, timeout))

    def status(self) -> dict[str, object]:
        """As `Client.status`."""
        return self._wait(self._client.status())

    def seal(self, timeout: float = TOUCH_WAIT) -> int:
        """As `Client.seal`."""
        return self._wait(self._client.seal(timeout))

    def stop(self) -> None:
        """As `Client.stop`."""
        self._wait(self._client.stop())
