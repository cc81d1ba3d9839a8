from __future__ import annotations

import pytest

from authd.core.model import SECOND, Instant, SeatId, SessionId
from authd.service.bus.tickets import LIFETIME, MOST, NoTicket, TicketExpired, Tickets, TooManyTickets

SEAT, SESSION = SeatId("counter-1"), SessionId("ses_1")
START = Instant(1_000 * SECOND)


@pytest.fixture
def tickets() -> Tickets:
    made = Tickets()
    made.open("token", SEAT, SESSION, "resident", START)
    return made


def test_it_is_good_once(tickets: Tickets) -> None:
    ticket = tickets.redeem("token", "resident", START)
    assert (ticket.seat, ticket.session) == (SEAT, SESSION)
    with pytest.raises(NoTicket):
        tickets.redeem("token", "resident", START)


def test_another_application_gets_nothing_and_spends_it(tickets: Tickets) -> None:
    with pytest.raises(NoTicket):
        tickets.redeem("token", "tax", START)
    with pytest.raises(NoTicket):
        tickets.redeem("token", "resident", START)


def test_it_is_good_for_thirty_seconds(tickets: Tickets) -> None:
    tickets.open("late", SEAT, SESSION, "resident", START)
    assert tickets.redeem("token", "resident", Instant(START + LIFETIME - 1))
    with pytest.raises(TicketExpired):
        tickets.redeem("late", "resident", Instant(START + LIFETIME))


def test_it_dies_with_its_session_only(tickets: Tickets) -> None:
    tickets.open("other", SEAT, SessionId("ses_2"), "resident", START)
    tickets.end(SESSION)
    with pytest.raises(NoTicket):
        tickets.redeem("token", "resident", START)
    assert tickets.redeem("other", "resident", START)


def test_their_number_is_bounded_and_old_ones_make_room(tickets: Tickets) -> None:
    for number in range(MOST - 1):
        tickets.open(f"t{number}", SEAT, SESSION, "resident", START)
    with pytest.raises(TooManyTickets):
        tickets.open("more", SEAT, SESSION, "resident", START)
    tickets.open("later", SEAT, SESSION, "resident", Instant(START + LIFETIME))
    assert len(tickets) == 1


def test_no_token_is_kept(tickets: Tickets) -> None:
    assert "token" not in repr(vars(tickets))
