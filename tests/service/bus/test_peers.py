from __future__ import annotations

import pytest

from authd.core.model import SeatId
from authd.service.bus.house import Peer, Role
from authd.service.bus.peers import ADMIN, UNKNOWN_UID, Directory, screen

KEY = "x" * 40


def test_a_key_is_a_peer_until_it_is_revoked() -> None:
    directory = Directory(frozenset())
    peer = Peer(Role.APPLICATION, "resident")
    directory.allow(KEY, peer)
    assert directory.of_key(KEY) is peer
    assert directory.live() == ((KEY, peer),)
    directory.revoke(KEY)
    directory.revoke(KEY)
    assert directory.of_key(KEY) is None
    assert directory.live() == ()


@pytest.mark.parametrize("uid", [1, UNKNOWN_UID, 2**31 - 1, 2**31, 2**32 - 1])
def test_only_the_listed_uids_are_admins(uid: int) -> None:
    directory = Directory(frozenset({0, 1_000, UNKNOWN_UID}))
    assert directory.of_uid(0) is ADMIN
    assert directory.of_uid(uid) is None


def test_an_account_is_one_peer_only() -> None:
    directory, one = Directory(frozenset({0, 1_000})), screen(SeatId("counter-1"))
    directory.admit(1_001, one)
    assert directory.of_uid(1_001) is one
    for uid in (0, 1_000, 1_001, UNKNOWN_UID):
        with pytest.raises(ValueError):
            directory.admit(uid, screen(SeatId("counter-2")))
    assert directory.of_uid(1_001) is one
    assert directory.of_uid(0) is ADMIN
    assert directory.of_uid(UNKNOWN_UID) is None
    assert directory.live() == ()


def test_a_screen_is_bound_to_one_seat() -> None:
    peer = screen(SeatId("counter-1"))
    assert peer.has(SeatId("counter-1"))
    assert not peer.has(SeatId("counter-2"))
    assert ADMIN.has(SeatId("counter-2"))
