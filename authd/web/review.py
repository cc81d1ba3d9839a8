"""Reviews on the seat's screen: shown to a supervisor who is logged in there, signed with their touch.

Staff and seats stand in them, never a resident: of a record the page learns that one was opened, and no name or number.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Final

from msgspec import Meta
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from authd.client.supervision import Alert, Review, Reviewed, ReviewItem
from authd.core.model import EndReason, Value
from authd.locale import LANGUAGES, catalogue, text
from authd.web.door import DoorError, SeatDoor
from authd.web.pages import Page
from authd.web.said import AWAY, Said, answered, read
from authd.web.settings import Seat
from authd.web.view import Json

Speaks = Callable[[Request, Said], tuple[Page, Seat]]
"""Returns the open page that says this, and its seat; raises `HTTPException`."""
MOST_ITEMS: Final = 500
"""Of one review on the page; `authd review show` has all of them."""
TOUCH_WITHIN_S: Final = 45.0
"""Longer than the core waits for the touch."""
SHOWN: Final = ("place", "count", "limit", "rows")
"""Of an item's details, as they are."""
ACCESS: Final = ("system", "account", "address", "place")
"""Of an access that belongs to no session; why stands behind it in words."""


class Month(Said, frozen=True, kw_only=True):
    """Whose month."""

    section: Annotated[str, Meta(max_length=200)]
    month: Annotated[str, Meta(max_length=7)]


class Signed(Month, frozen=True, kw_only=True):
    """The month to sign, as it was shown."""

    digest: Annotated[str, Meta(max_length=64)]


class ReviewDesk:
    """The endpoints, over one door."""

    def __init__(self, door: SeatDoor, speaks: Speaks) -> None:
        self._door = door
        self._speaks = speaks

    def routes(self) -> list[Route]:
        """Return where they are."""
        return [
            Route("/seat/{seat}/reviews", self.listed, methods=["POST"]),
            Route("/seat/{seat}/review-alerts", self.alerts, methods=["POST"]),
            Route("/seat/{seat}/review-items", self.items, methods=["POST"]),
            Route("/seat/{seat}/review-sign", self.sign, methods=["POST"]),
        ]

    async def listed(self, request: Request) -> Response:
        """Return the months that whoever is logged in may see."""
        page = self._owner(request, await read(request, Said))
        found = await answered(self._door.reviews(page.seat))
        return JSONResponse({"reviews": [review_view(each) for each in found]})

    async def alerts(self, request: Request) -> Response:
        """Return whether they supervise anybody, and who was seen elsewhere."""
        page = self._owner(request, await read(request, Said))
        found = await answered(self._door.review_alerts(page.seat))
        return JSONResponse({"supervisor": found.supervisor, "alerts": [alert_view(each) for each in found.alerts]})

    async def items(self, request: Request) -> Response:
        """Return what is to be looked at."""
        said = await read(request, Month)
        page = self._owner(request, said)
        return JSONResponse(reviewed_view(await answered(self._door.review_items(page.seat, said.section, said.month))))

    async def sign(self, request: Request) -> Response:
        """Sign; answered when the person has touched."""
        said = await read(request, Signed)
        page = self._owner(request, said)
        try:
            async with asyncio.timeout(TOUCH_WITHIN_S):
                signed = await self._door.review_sign(page.seat, said.section, said.month, said.digest)
        except DoorError as error:
            raise HTTPException(503 if error.code in AWAY else 409, error.code) from None
        except TimeoutError:
            raise HTTPException(503, "slow") from None
        return JSONResponse({"review": review_view(signed)})

    def _owner(self, request: Request, said: Said) -> Page:
        """Only who is logged in, and was shown that it is they."""
        page, _ = self._speaks(request, said)
        if said.turn is None or said.turn != page.turn:
            raise HTTPException(409)
        return page


def review_view(review: Review) -> dict[str, object]:
    """Return what the page is told of a month: a list of what may pass."""
    return {
        "section": review.section,
        "name": {"ja": review.section_ja or review.section or "-", "en": review.section_en or review.section or "-"},
        "month": review.month,
        "due": review.due,
        "items": review.items,
        "open": review.open,
        "done": review.done,
        "late": review.late,
        "may_sign": review.may_sign,
        "digest": review.digest,
        "signed": [f"{each.name} {each.at[:10]}" for each in review.signed],
    }


def reviewed_view(found: Reviewed) -> dict[str, object]:
    """Return what the page is told of a month and everything in it."""
    ended = [
        {"seat": each.seat, "name": each.name, "detail": _ends(dict(each.counts))} for each in found.ended[:MOST_ITEMS]
    ]
    return {
        "review": review_view(found.review),
        "items": [item_view(each) for each in found.items[:MOST_ITEMS]],
        "more": max(0, len(found.items) - MOST_ITEMS),
        "ended": ended,
    }


def item_view(item: ReviewItem) -> dict[str, Json]:
    """Return what the page is told of one thing to look at."""
    return {
        "what": _both(f"review_what.{item.what}"),
        "at": item.at,
        "seat": item.seat or "-",
        "name": item.name or "-",
        "count": item.count,
        "detail": _detail(item),
        "open": item.open,
    }


def alert_view(alert: Alert) -> dict[str, Json]:
    """Return what the page is told of a seat whose owner was seen elsewhere."""
    return {"seat": alert.seat, "name": alert.name, "place": alert.place, "seen": alert.seen, "at": alert.at}


def _detail(item: ReviewItem) -> Json:
    why = item.detail.get("why") if item.what == "unattributed" else None
    ends = {name: value for name, value in item.detail.items() if name in set(EndReason) and isinstance(value, int)}
    if ends:
        of = f" / {item.detail['of']}" if "of" in item.detail else ""
        return {language: line + of for language, line in _ends(ends).items()}
    told = " ".join(_plain(item.detail[name]) for name in (SHOWN if why is None else ACCESS) if name in item.detail)
    if why is None:
        return dict.fromkeys(LANGUAGES, told)
    return {
        language: f"{told}: {catalogue(language).get(f'unattributed_why.{why}', _plain(why))}" for language in LANGUAGES
    }


def _ends(counts: dict[str, int]) -> dict[str, str]:
    return {
        language: ", ".join(f"{_reason(name, language)} {count}" for name, count in sorted(counts.items()))
        for language in LANGUAGES
    }


def _reason(name: str, language: str) -> str:
    return catalogue(language).get(f"end_reason.{name}", name)


def _plain(value: Value) -> str:
    return str(value)[:80]


def _both(id_: str) -> Json:
    return {language: text(id_, language) for language in LANGUAGES}
