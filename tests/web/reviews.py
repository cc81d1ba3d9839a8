"""The core's reviews as a fake door has them: two sections, one item of each kind, and a touch that a test gives."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import msgspec

from authd.client.supervision import Alert, Alerts, Ended, Review, Reviewed, ReviewItem, Signed
from authd.web.door import DoorError

DIGEST = "d" * 64


def _review(month: str, *, late: bool = False) -> Review:
    return Review(
        "resident", month, "2027-04-12", 4, 4, False, DIGEST, "市民課", "Resident Affairs", late=late, may_sign=True
    )


def _item(what: str, name: str = "佐藤 花子", **more: object) -> ReviewItem:
    at = "2027-03-04T01:05:00+00:00"
    told: dict[str, object] = {"what": what, "at": at, "seat": "counter-1", "name": name, "subject": "sub_secret"}
    return msgspec.convert(told | more, ReviewItem)


ITEMS = [
    _item("elsewhere", detail={"place": "裏口", "seen": "2027-03-04T01:05:00+00:00", "source": "door"}, seqs=[7]),
    _item("protected", detail={"record": "rec_secret", "purpose": "certificate"}, seqs=[8]),
    _item("left_open", count=7, detail={"absence": 5, "idle": 2, "of": 31}, seqs=[9]),
    _item(
        "unattributed",
        "",
        seat=None,
        count=3,
        detail={
            "system": "resident",
            "source": "weblog",
            "why": "shared",
            "account": "kokuho",
            "address": "10.0.0.7",
            "place": "residents",
            "policy": "secret-of-the-row",
        },
        seqs=[11],
    ),
    _item("refused", "鈴木 太郎", count=2, detail={"refused": 2}, open=False, seqs=[10]),
]


@dataclass
class FakeReviews:
    """`supervisor` False: whoever is there supervises nobody. `touched`: whether the touch has come."""

    supervisor: bool = False
    seen: list[Alert] = field(default_factory=list[Alert])
    months: dict[str, Review] = field(default_factory=dict[str, Review])
    refuse: str = ""
    touched: asyncio.Event = field(default_factory=asyncio.Event)

    def supervise(self, *, elsewhere: bool = False) -> None:
        self.supervisor = True
        self.months = {"2027-02": _review("2027-02", late=True), "2027-03": _review("2027-03")}
        told = {"at": "2027-04-02T01:00:00Z", "seat": "counter-2", "name": "鈴木 太郎", "place": "裏口"}
        found = msgspec.convert(told | {"seen": "2027-04-02T01:00:00Z", "source": "door", "grade": "C"}, Alert)
        self.seen = [found] if elsewhere else []

    def listed(self) -> list[Review]:
        return list(self.months.values())

    def alerts(self) -> Alerts:
        return Alerts(self.supervisor, self.seen)

    def items(self, section: str, month: str) -> Reviewed:
        if section != "resident" or month not in self.months:
            raise DoorError("not_found")
        counts = {"lock": 24, "idle": 2, "absence": 5}
        ended = Ended(subject="sub_secret", name="佐藤 花子", seat="counter-1", counts=counts)
        return Reviewed(self.months[month], ITEMS, [ended])

    def sign(self, section: str, month: str, digest: str) -> Review:
        if self.refuse or digest != DIGEST:
            raise DoorError(self.refuse or "refused")
        signed = [Signed("2027-04-02T01:00:00Z", 4, 99, "sub_secret", "課長 一郎")]
        self.months[month] = msgspec.structs.replace(
            self.months[month], done=True, open=0, signed=signed, may_sign=False
        )
        return self.months[month]
