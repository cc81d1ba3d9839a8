"""Whether somebody answers for an access, by the sessions there were. Pure: no clock, no file, no connection."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

from authd.client.unattributed import Why

LOCAL: Final = "local"
"""The address of what comes through a Unix socket."""
BEGINNING_MS: Final = 1_000
"""By which a session may begin after the access did: clocks are rounded to seconds in a log."""
LONGEST_NAME: Final = 100
STAFF_NUMBER: Final = "{staff_number}"
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Session:
    """One session at a seat of the system; times in milliseconds of the wall clock of authd's host."""

    id: str
    account: str
    start_ms: int
    end_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """Something that was let in: a connection that is there from `began_ms` to now, or one request of a log."""

    account: str
    address: str
    place: str
    began_ms: int
    until_ms: int
    session: str = ""
    """The session that its certificate, or its line, names; empty: none."""
    handle: str = ""
    """By which whoever sees it could end it."""

    @property
    def kind(self) -> tuple[str, str, str]:
        """What it is counted as."""
        return self.account, self.address, self.place


@dataclass(frozen=True, slots=True)
class Places:
    """Where sessions of the system come from: networks, and whether through a Unix socket. Empty: from anywhere."""

    networks: tuple[Network, ...] = ()
    local: bool = False

    def __bool__(self) -> bool:
        return self.local or bool(self.networks)

    def has(self, address: str) -> bool:
        """Whether it is one of them; what is no address is not."""
        if address == LOCAL:
            return self.local
        try:
            known = ip_address(address)
        except ValueError:
            return False
        return any(known in network for network in self.networks)


@dataclass(frozen=True, slots=True)
class Known:
    """What may be logged in without a person: a backup, a monitor; `reason` says what it is, for whoever reads this."""

    account: str
    reason: str
    places: Places = Places()

    def is_it(self, access: Access) -> bool:
        """Whether the access is this one."""
        return access.account == self.account and (not self.places or self.places.has(access.address))


@dataclass(frozen=True, slots=True)
class Rules:
    """How one system's accesses are taken."""

    pattern: str
    """What the system calls a person."""
    grace_ms: int
    places: Places = Places()
    known: tuple[Known, ...] = ()


def reason(access: Access, sessions: Sequence[Session], rules: Rules) -> Why | None:
    """Say why nobody answers for it; None: somebody does, or it is known."""
    if any(each.is_it(access) for each in rules.known):
        return None
    if not personal(access.account, rules.pattern):
        return "shared"
    theirs = (each for each in sessions if each.account == access.account)
    there = [each for each in theirs if _there(each, access.until_ms, rules.grace_ms)]
    if access.session and access.session not in {each.id for each in there}:
        return "session"
    if not there:
        return "nobody"
    if not any(each.start_ms - BEGINNING_MS <= access.began_ms for each in there):
        return "before"
    return "elsewhere" if rules.places and not rules.places.has(access.address) else None


def clean(text: str) -> str:
    """A name as a system shows it, whatever a client sent: passed on in a bounded length, without what steers a screen.

    So the door takes it: nobody ends the watch by the name they choose.
    """
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:LONGEST_NAME]


def personal(account: str, pattern: str) -> bool:
    """Whether an account is what the system calls a person; without a pattern none is."""
    if STAFF_NUMBER not in pattern:
        return False
    before, _, after = pattern.partition(STAFF_NUMBER)
    return re.fullmatch(re.escape(before) + r"[A-Za-z0-9_.-]+" + re.escape(after), account) is not None


def _there(session: Session, at_ms: int, grace_ms: int) -> bool:
    """Whether the session covers a moment; one that has just ended does, for as long as cutting off may take."""
    begun = session.start_ms - BEGINNING_MS <= at_ms
    return begun and (session.end_ms is None or at_ms <= session.end_ms + grace_ms)


@dataclass(frozen=True, slots=True)
class Group:
    """Accesses of one kind for which nobody answers, for one reason."""

    why: Why
    account: str
    address: str
    place: str
    since_ms: int
    until_ms: int
    accesses: tuple[Access, ...]

    @property
    def key(self) -> tuple[Why, str, str, str]:
        """By which it is known again."""
        return self.why, self.account, self.address, self.place


def groups(accesses: Iterable[Access], sessions: Sequence[Session], rules: Rules) -> Sequence[Group]:
    """Everything for which nobody answers, by kind, the oldest first."""
    found: dict[tuple[Why, tuple[str, str, str]], list[Access]] = {}
    theirs: dict[str, list[Session]] = {}
    for session in sessions:
        theirs.setdefault(session.account, []).append(session)
    for access in accesses:
        why = reason(access, theirs.get(access.account, ()), rules)
        if why is not None:
            found.setdefault((why, access.kind), []).append(access)
    made = [_group(why, each) for (why, _), each in found.items()]
    return sorted(made, key=lambda group: (group.since_ms, group.key))


def _group(why: Why, accesses: Sequence[Access]) -> Group:
    first = accesses[0]
    since, until = min(each.began_ms for each in accesses), max(each.until_ms for each in accesses)
    return Group(why, first.account, first.address, first.place, since, until, tuple(accesses))
