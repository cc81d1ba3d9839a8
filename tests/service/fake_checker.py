"""A key that is a line of JSON: `{"id", "nonce", "counter", ...}`; its checker believes what it says."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from authd.core.model import Denial, Fault
from authd.driver import Checked, DriverError, NotAccepted, Reference

FACTORS = ("key", "pin")


def signed(id_: str, nonce: str, counter: int | None = None, **more: Any) -> bytes:
    """What such a key would sign."""
    return json.dumps({"id": id_, "nonce": nonce, "counter": counter, **more}).encode()


def _read(data: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(data))
    except (ValueError, TypeError):
        raise DriverError(Fault.PROTOCOL, "not a key") from None


class FakeChecker:
    """A `Checker`. What it is told and may lie about is in the proof: `grade`, `factors`, `subject`."""

    def __init__(self) -> None:
        self.held: dict[str, Reference] = {}
        self.counters: dict[str, int] = {}
        self.revoked: dict[str, Reference] = {}

    def admit(self, enrolled: bytes, nonce: str, account: str) -> bytes:
        said = _read(enrolled)
        if said["nonce"] != nonce or said.get("account", account) != account:
            raise NotAccepted(Denial.REPLAYED)
        if said.get("model") == "bad":
            raise NotAccepted(Denial.NOT_ALLOWED)
        if said["id"] in self.held or said["id"] in self.revoked:
            raise NotAccepted(Denial.DUPLICATE)
        return str(said["id"]).encode()

    def credential(self, reference: str) -> bytes:
        return next((each.data for each in self.held.values() if each.id == reference), b"")

    def name(self, reference: str) -> str:
        return f"name-{reference}" if self.credential(reference) else ""

    def load(self, references: Sequence[Reference], counters: Mapping[str, int]) -> None:
        self.held.clear()
        self.revoked.clear()
        self.counters = dict(counters)
        self.add(references)

    def add(self, references: Sequence[Reference]) -> None:
        self.held |= {each.data.decode(): each for each in references}

    def remove(self, subject: str, reference: str = "") -> None:
        for name, each in list(self.held.items()):
            if each.subject == subject and reference in ("", each.id):
                del self.held[name]
                if reference:
                    self.revoked[name] = each

    def check(self, given: bytes, nonce: str, scope: Sequence[str], *, silent: bool = False) -> Checked:
        said = _read(given)
        if gone := self.revoked.get(said["id"]):
            return Checked(gone.subject, gone.id, denial=Denial.REVOKED)
        held = self.held.get(said["id"])
        if held is None or held.subject not in scope:
            return Checked(denial=Denial.UNKNOWN)
        if said["nonce"] != nonce:
            return Checked(held.subject, held.id, denial=Denial.REPLAYED)
        counter = said["counter"]
        if counter is not None and counter <= self.counters.get(held.id, 0):
            return Checked(held.subject, held.id, denial=Denial.CLONED)
        if counter is not None:
            self.counters[held.id] = counter
        subject, factors = said.get("subject", held.subject), tuple(said.get("factors", () if silent else FACTORS))
        return Checked(subject, held.id, factors, said.get("grade", "A"), counter)
