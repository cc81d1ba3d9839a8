"""Who holds which key: a table that the daemon fills from its configuration and changes while connections live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from authd.core.model import SeatId
from authd.service.bus.house import Peer, Role

ADMIN = Peer(Role.ADMIN, "admin")
UNKNOWN_UID: Final = 65_534
"""What the kernel says of an account that has no number here (`nobody`, another user namespace): never anybody."""


class Directory:
    """Implements `Peers`. A key that is taken out is refused at its next message."""

    def __init__(self, admins: frozenset[int]) -> None:
        """`admins`: uids that are administrators on the local socket: the daemon's own, and root's."""
        self._admins = admins - {UNKNOWN_UID}
        self._keys: dict[str, Peer] = {}
        self._uids: dict[int, Peer] = {}

    def allow(self, key: str, peer: Peer) -> None:
        """Let this CURVE public key (z85) be this peer."""
        self._keys[key] = peer

    def revoke(self, key: str) -> None:
        """Let this key be nobody."""
        self._keys.pop(key, None)

    def admit(self, uid: int, peer: Peer) -> None:
        """Let this account be this peer on the local socket. Raises `ValueError`: it is somebody already, or nobody."""
        if uid == UNKNOWN_UID or uid in self._admins or uid in self._uids:
            raise ValueError(f"uid {uid} is another peer, or nobody's own")
        self._uids[uid] = peer

    def live(self) -> Sequence[tuple[str, Peer]]:
        """Return the keys that are good now, with their peers."""
        return tuple(self._keys.items())

    def of_key(self, key: str) -> Peer | None:
        """Return the peer with this key."""
        return self._keys.get(key)

    def of_uid(self, uid: int) -> Peer | None:
        """Return the administrator with this uid, or whom it was admitted as."""
        return ADMIN if uid in self._admins else self._uids.get(uid)


def screen(seat: SeatId) -> Peer:
    """Return the agent of one seat."""
    return Peer(Role.SCREEN, f"screen:{seat}", frozenset({seat}))
