"""What a seat's own screen says and is shown; the same words with and without `await`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator

from authd.client import values
from authd.client.asking import Asking
from authd.client.channel import BackOff, passing
from authd.client.values import Button, Ceremony, ClientError, Frame, OpenTicket, Shown, Tile, Tiles
from authd.client.waiting import Waiting


class ScreenCalls(Asking):
    """Part of `Client`."""

    async def watch(self, seat: str) -> AsyncGenerator[Shown | None, None]:
        """Yield what the seat's screen is to show, now and at each change; None: authd is silent, show the lock."""
        back_off = BackOff()
        while True:
            try:
                async with self._stream("watch", {"seat": seat}) as frames:
                    async for _, raw in frames:
                        back_off.reset()
                        if (shown := values.shown(raw)) is not None:
                            yield shown
            except ClientError as error:
                if not passing(error):
                    raise
            yield None
            await back_off.sleep()

    async def activity(self, seat: str) -> None:
        """Report that keyboard or mouse was used at the seat; at most once a second is useful."""
        await self._ask(Frame, "activity", seat=seat)

    async def press(self, seat: str, button: Button) -> None:
        """Press one of the screen's buttons: `vouch` and `break_glass` on a seat that is nobody's, else the others."""
        await self._ask(Frame, "press", seat=seat, button=button)

    async def answer(self, seat: str, typed: str) -> None:
        """Hand what was typed to the reader that asks for it (`Face.prompt`): 4 to 63 bytes of UTF-8, never logged.

        Raises `DoorError` (`not_found`) where nothing asks any more.
        """
        await self._ask(Frame, "answer", seat=seat, typed=typed)

    async def roster(self, seat: str) -> list[Tile]:
        """Return the staff who may be named at the seat, for readers that can only verify a named person."""
        return (await self._ask(Tiles, "roster", seat=seat)).people

    async def claim(self, seat: str, subject: str) -> None:
        """Say whose finger comes next. It proves nothing and opens nothing, and is forgotten after 20 s."""
        await self._ask(Frame, "claim", seat=seat, subject=subject)

    async def webauthn_begin(self, seat: str) -> Ceremony:
        """Return what the seat's browser is to ask of a key, under the nonce that is armed now.

        Raises `DoorError` (`refused`) where no key is waited for, or no WebAuthn reader is configured.
        """
        return await self._ask(Ceremony, "webauthn_begin", seat=seat)

    async def webauthn_done(self, seat: str, response: str) -> None:
        """Hand over what the browser got from the key: its `toJSON()` as text, at most 60,000 characters.

        Returns once it was taken for the nonce that is armed now; what it is worth, the seat's face says.
        """
        await self._ask(Frame, "webauthn_done", seat=seat, response=response)

    async def ticket(self, seat: str, application: str) -> OpenTicket:
        """Open one of the seat's applications for the session that is active there."""
        return await self._ask(OpenTicket, "ticket", seat=seat, application=application)


class SyncScreenCalls(Waiting):
    """Part of `SyncClient`."""

    def watch(self, seat: str) -> Generator[Shown | None, None, None]:
        """As `Client.watch`."""
        return self._each(self._client.watch(seat))

    def activity(self, seat: str) -> None:
        """As `Client.activity`."""
        self._wait(self._client.activity(seat))

    def press(self, seat: str, button: Button) -> None:
        """As `Client.press`."""
        self._wait(self._client.press(seat, button))

    def answer(self, seat: str, typed: str) -> None:
        """As `Client.answer`."""
        self._wait(self._client.answer(seat, typed))

    def roster(self, seat: str) -> list[Tile]:
        """As `Client.roster`."""
        return self._wait(self._client.roster(seat))

    def claim(self, seat: str, subject: str) -> None:
        """As `Client.claim`."""
        self._wait(self._client.claim(seat, subject))

    def webauthn_begin(self, seat: str) -> Ceremony:
        """As `Client.webauthn_begin`."""
        return self._wait(self._client.webauthn_begin(seat))

    def webauthn_done(self, seat: str, response: str) -> None:
        """As `Client.webauthn_done`."""
        self._wait(self._client.webauthn_done(seat, response))

    def ticket(self, seat: str, application: str) -> OpenTicket:
        """As `Client.ticket`."""
        return self._wait(self._client.ticket(seat, application))
