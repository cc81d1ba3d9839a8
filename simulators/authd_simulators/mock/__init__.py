"""A mock daemon for the tests of whoever wires an application: scripted people, no devices, the real doors.

In a test (the fixture comes with this distribution, as a pytest plugin)::

    def test_the_page_is_covered(mock_authd: MockDaemon) -> None:
        sato = mock_authd.person("1001", "佐藤 花子", section="resident")
        resident = mock_authd.application("resident", scope=("name",))
        session = mock_authd.log_in("counter-1", sato)
        with connect_sync(mock_authd.router, **resident.keys) as client:
            assert client.who("counter-1").name == "佐藤 花子"
            mock_authd.lock("counter-1", "absence")

What your application hears is what the daemon's own code says: sockets, CURVE keys, signatures, tickets, receipts,
locks ahead of their rows, `follow` behind a number. What is not here: docs/how-to/test-your-application.md.
"""

from authd_simulators.mock.daemon import Entrance, MockDaemon
from authd_simulators.mock.house import MockPerson

__all__ = ["Entrance", "MockDaemon", "MockPerson"]
