"""Whose account it is that a system was entered with: so that nobody signs for what may have been their own doing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from authd.core.model import SubjectId
from authd.service.bus.envelope import account
from authd.service.bus.house import Peer, Role
from authd.service.evidence.ground import Ground
from authd.service.evidence.supervision.queue import Item, What


class Accounts:
    """What the systems call the people who are known now; each system is asked about once."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._known: dict[str, Mapping[str, SubjectId]] = {}

    def told(self, item: Item) -> Item:
        """Return the item, and whose account it is."""
        if item.what is not What.UNATTRIBUTED:
            return item
        subject = self._of(str(item.detail.get("system"))).get(str(item.detail.get("account")))
        return item if subject is None else replace(item, accounts=frozenset({subject}))

    def _of(self, system: str) -> Mapping[str, SubjectId]:
        application = self._ground.config.applications.get(system)
        if application is None:
            return {}  # it is wired no more
        if system not in self._known:
            peer = Peer(Role.APPLICATION, system, account=application.account)
            people = self._ground.store.people.items()
            self._known[system] = {account(person, peer).get("account", ""): subject for subject, person in people}
        return self._known[system]
