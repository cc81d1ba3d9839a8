"""E6: a real PostgreSQL behind a seat: certificates, row-level security, the broker, and what a lock ends."""

from __future__ import annotations

import asyncio
import os
import re
import select
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from authd.broker.secret import Shape
from authd.locale import text
from tests.tools.howto import ROOT, how_to, shell
from tests.tools.postgres_stage import SEAT, World, folder, sealed, world

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module")]
PATIENCE_S = 30.0
INSTALLED = ROOT / "packaging" / "postgresql" / "authd.sql"
NOBODY, LOCKED = text("postgres.nobody", "ja"), text("postgres.locked", "ja")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def city() -> AsyncGenerator[World, None]:
    async with world() as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def hall(city: World) -> AsyncGenerator[World, None]:
    """Nobody is at the seat before a test, nor after it."""
    yield city
    await city.lock()


async def eventually(there: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await asyncio.to_thread(there):  # noqa: ASYNC110 - the state of another process, which tells nobody
            await asyncio.sleep(0.02)


async def connected(city: World, listener: str = "plain", **more: Any) -> psycopg.Connection[Any]:
    return await asyncio.to_thread(lambda: city.connect(listener, **more))


async def admitted(city: World) -> None:
    """Wait until the server lets the person's role in: until then the broker lets a connection wait."""
    (await connected(city)).close()


async def refused(connect: Callable[[], psycopg.Connection[Any]]) -> str:
    """Return what the application is told."""
    with pytest.raises(psycopg.OperationalError) as caught:
        await asyncio.to_thread(connect)
    return str(caught.value)


async def ended(connection: psycopg.Connection[Any], sql: str = "SELECT 1") -> str:
    """Wait until the connection is over; return what the application is told."""

    def run() -> str:
        try:
            while True:
                connection.execute(sql.encode())
        except psycopg.OperationalError as error:
            return str(error)

    async with asyncio.timeout(PATIENCE_S):
        return await asyncio.to_thread(run)


async def told(connection: psycopg.Connection[Any]) -> str:
    """Return what the application is told at the end, where no answer is under way: then it cannot be told."""
    readable, _, _ = await asyncio.to_thread(select.select, [connection.fileno()], [], [], PATIENCE_S)
    assert readable
    return await ended(connection)


def one(connection: psycopg.Connection[Any], sql: str) -> Any:
    row = connection.execute(sql.encode()).fetchone()  # pyright: ignore[reportArgumentType] (a test's own)
    return row[0] if row else None


async def test_an_unchanged_connection_string_is_whoever_touches(hall: World) -> None:
    first, second = hall.people[:2]
    for person in (first, second):
        await hall.log_in(person)
        with await connected(hall) as connection:
            assert one(connection, "SELECT session_user") == f"staff_{person.staff_number}"
        await hall.lock()


@pytest.mark.parametrize("listener", ["plain", "certified"])
async def test_without_anybody_the_application_reads_what_to_do(hall: World, listener: str) -> None:
    assert NOBODY in await refused(lambda: hall.connect(listener))


async def test_in_the_application_s_own_encoding(hall: World) -> None:
    with pytest.raises(psycopg.OperationalError) as caught:
        await asyncio.to_thread(lambda: hall.connect(client_encoding="LATIN1"))
    assert text("postgres.nobody", "en") in str(caught.value)


async def test_a_lock_ends_what_is_open_and_says_why(hall: World) -> None:
    await hall.log_in()
    connection = await connected(hall)
    await hall.lock()
    assert LOCKED in await told(connection)
    assert NOBODY in await refused(hall.connect)
    await eventually(lambda: hall.backends("staff_1001") == 0)


async def test_a_lock_ends_a_query_that_runs(hall: World) -> None:
    await hall.log_in()
    connection = await connected(hall)
    running = asyncio.create_task(ended(connection, "SELECT pg_sleep(600)"))
    await eventually(lambda: hall.backends("staff_1001") == 1)
    await hall.lock()
    await running
    await eventually(lambda: hall.backends("staff_1001") == 0)


async def test_a_lock_ends_a_flood_of_rows_in_the_middle(hall: World) -> None:
    await hall.log_in()
    connection = await connected(hall)

    def stream() -> int:
        rows = 0
        with suppress(psycopg.OperationalError), connection.cursor() as cursor:
            for _ in cursor.stream("SELECT repeat('x', 1000) FROM generate_series(1, 100000000)"):
                rows += 1
        return rows

    running = asyncio.create_task(asyncio.to_thread(stream))
    await eventually(lambda: hall.backends("staff_1001") == 1)
    await hall.lock()
    assert await running < 100_000_000
    await eventually(lambda: hall.backends("staff_1001") == 0)


async def test_a_handover_leaves_nothing_to_the_next_person(hall: World) -> None:
    await hall.log_in(hall.people[0])
    before = await connected(hall)
    await hall.log_in(hall.people[1])
    await ended(before)
    with await connected(hall) as after:
        assert one(after, "SELECT session_user") == "staff_1002"


async def test_a_lock_undoes_what_was_not_committed_and_lets_go_of_what_it_held(hall: World) -> None:
    await hall.log_in()
    connection = await connected(hall)
    connection.execute("BEGIN")
    connection.execute("INSERT INTO seen (number) VALUES ('20499')")
    connection.execute("ALTER ROLE staff_1001 SET work_mem = '64kB'")  # holds the row that the keeper has to change
    connection.execute("SELECT pg_advisory_lock(4711)")
    await hall.lock()
    await ended(connection)
    await eventually(lambda: logged_in(hall) == [])
    assert hall.server.run("SELECT 1 FROM seen WHERE number = '20499'", "resident") == []
    assert hall.server.run("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'") == []
    assert hall.server.run("SELECT 1 FROM pg_db_role_setting WHERE setrole = 'staff_1001'::regrole") == []


async def test_nobody_can_hold_a_lock_up_with_one_of_the_server_s_own(hall: World) -> None:
    """What anybody may hold in a database, the keeper must not wait for: a role would stay open."""
    await hall.log_in()
    (await connected(hall)).close()
    with await asyncio.to_thread(hall.server.connect, "resident") as other:
        other.execute("SET SESSION AUTHORIZATION staff_1002")
        for number in {*re.findall(r"pg_\w*advisory\w*\((\d+)", INSTALLED.read_text()), "7306086871540"}:
            other.execute(f"SELECT pg_advisory_lock({number})".encode())
        await hall.lock()
        await eventually(lambda: logged_in(hall) == [])
        await hall.log_in()
        (await connected(hall)).close()
        with pytest.raises(psycopg.errors.InsufficientPrivilege), other.transaction():
            other.execute("LOCK TABLE authd.turn IN ACCESS SHARE MODE")


async def test_where_the_keeper_cannot_finish_records_are_shown_to_nobody(hall: World) -> None:
    """Its word counts once all of it is done: a role that it could not shut sees nothing all the same."""
    await hall.log_in()
    (await connected(hall)).close()
    with (
        await asyncio.to_thread(hall.server.connect, "resident") as other,
        await asyncio.to_thread(hall.server.connect, "resident") as person,
    ):
        person.execute("SET SESSION AUTHORIZATION staff_1001")
        assert one(person, "SELECT authd.here()") is True
        with other.transaction():
            other.execute("LOCK TABLE authd.turn IN EXCLUSIVE MODE")
            await hall.lock()
            await eventually(lambda: bool(waiting(hall)))
            first, pulse = waiting(hall), hall.server.run(PULSE, "resident")
            await eventually(lambda: waiting(hall) not in ([], first))
            assert hall.server.run(PULSE, "resident") == pulse
            assert len(waiting(hall)) <= 1  # what was given up waits no more
            await eventually(lambda: not shown(person))
        await eventually(lambda: logged_in(hall) == [])


PULSE = """SELECT last_value FROM authd."pulse authd_keeper\""""


def waiting(city: World) -> list[tuple[Any, ...]]:
    """Which connection of the keeper's waits for a lock."""
    return city.server.run(
        "SELECT pid FROM pg_stat_activity WHERE usename = 'authd_keeper' AND wait_event_type = 'Lock'"
    )


def shown(person: psycopg.Connection[Any]) -> bool:
    """Whether rows that ask for `authd.here()` are."""
    try:
        return bool(one(person, "SELECT authd.here()"))
    except psycopg.errors.InvalidAuthorizationSpecification:
        return False


async def test_a_key_that_cancels_is_worth_nothing_after_the_lock(hall: World) -> None:
    await hall.log_in(hall.people[0])
    before = await connected(hall)
    key = before.pgconn.get_cancel()
    await hall.log_in(hall.people[1])
    await ended(before)
    with await connected(hall) as after:
        running = asyncio.create_task(asyncio.to_thread(cancelled, after))
        await eventually(lambda: sleeping(hall))
        await asyncio.to_thread(key.cancel)
        assert sleeping(hall)
        await asyncio.to_thread(after.cancel)  # behind the other one, and by then it has been heard
        await running


async def test_a_password_that_a_person_gives_themselves_is_no_way_past_the_lock(hall: World) -> None:
    """PostgreSQL lets every role change its own password; the broker then says that it cannot sign on."""
    known = sealed(hall, "staff_1001")
    await hall.log_in()
    with await connected(hall) as connection:
        connection.execute("ALTER ROLE staff_1001 PASSWORD 'mine'")
    try:
        assert text("postgres.server", "ja") in await refused(hall.connect)
        await hall.lock()
        own = {"database": "resident", "user": "staff_1001", "password": "mine"}
        assert "not permitted to log in" in await refused(lambda: hall.server.connect(**own))
    finally:
        hall.server.run(f"ALTER ROLE staff_1001 PASSWORD '{known.reveal()}'")


async def test_a_certificate_lets_in_for_its_session_and_not_after_it(hall: World) -> None:
    person = await hall.log_in()
    certificate = await hall.application.certificate(person.session)
    await eventually(lambda: bool(hall.server.run("SELECT 1 FROM authd.session", "resident")))
    connection = await asyncio.to_thread(hall.directly, certificate)
    assert one(connection, "SELECT session_user") == "staff_1001"
    subject = one(connection, "SELECT client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    assert subject.startswith(f"/OU={person.session}/CN=")
    await hall.lock()
    await ended(connection)
    assert "not permitted to log in" in await refused(lambda: hall.directly(certificate))


async def test_a_password_that_somebody_remembers_lets_nobody_in_without_their_person(hall: World) -> None:
    known = sealed(hall, "staff_1001").reveal()

    def remembered() -> psycopg.Connection[Any]:
        return hall.server.connect("resident", "staff_1001", password=known)

    assert "not permitted to log in" in await refused(remembered)
    await hall.log_in(hall.people[1])
    assert "not permitted to log in" in await refused(remembered)


async def test_protected_records_are_not_there_but_for_the_support_desk(hall: World) -> None:
    await hall.log_in(hall.people[0])
    with await connected(hall) as connection:
        assert one(connection, "SELECT count(*) FROM resident") == 1
        assert one(connection, "SELECT name FROM resident WHERE number = '20482'") is None
        connection.execute("INSERT INTO seen (number) VALUES ('20481')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM protection")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SET ROLE support_desk")
        # What the policy asks may be asked by hand: a protected resident is to it what nobody at all is.
        asked = connection.execute("SELECT is_shown('20481'), is_shown('20482'), is_shown('99999')").fetchone()
        assert asked == (True, False, False)
        functions = "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND " + MAY_CALL
        assert connection.execute(functions.encode()).fetchall() == [("is_shown",)]
    assert hall.server.run("SELECT who FROM seen", "resident") == [("staff_1001",)]
    await hall.log_in(hall.people[1])
    with await connected(hall) as connection:
        assert one(connection, "SELECT count(*) FROM resident") == 2


MAY_CALL = "has_function_privilege(oid, 'EXECUTE')"


async def test_records_are_shown_to_nobody_once_the_broker_is_silent(hall: World) -> None:
    person = await hall.log_in()
    await admitted(hall)
    connection = await asyncio.to_thread(hall.directly, await hall.application.certificate(person.session))
    long_one = await asyncio.to_thread(hall.directly, await hall.application.certificate(person.session))
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    assert one(connection, "SELECT count(*) FROM resident") == 1
    broker = hall.stage.processes["pgproxy"]
    broker.send_signal(signal.SIGSTOP)
    try:

        def shown() -> None:
            while True:
                connection.execute("SELECT count(*) FROM resident")

        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises(psycopg.errors.InvalidAuthorizationSpecification, match="席"):
                await asyncio.to_thread(long_one.execute, "SELECT pg_sleep(3); SELECT count(*) FROM resident")
            with pytest.raises(psycopg.errors.InvalidAuthorizationSpecification, match="席"):
                await asyncio.to_thread(shown)
    finally:
        broker.send_signal(signal.SIGCONT)
        connection.close()
        long_one.close()


async def test_another_host_s_broker_and_this_one_leave_each_other_s_people_alone(hall: World) -> None:
    hall.server.run("ALTER ROLE authd_keeper_2 PASSWORD 'of another host'")
    await hall.log_in(hall.people[0])
    await admitted(hall)
    with await asyncio.to_thread(
        lambda: hall.server.connect("resident", "authd_keeper_2", password="of another host")
    ) as other:
        other.execute("""SELECT authd.keep('{"ses_other": "staff_1002", "ses_nobody": "postgres"}')""")
        assert one(other, "SELECT authd.end_others()") == 0
        (await connected(hall)).close()
        assert logged_in(hall) == ["staff_1001", "staff_1002"]
        await hall.lock()
        await eventually(lambda: logged_in(hall) in ([], ["staff_1002"]))
    # It says no more: within 2 s its people are nowhere.
    await eventually(lambda: logged_in(hall) == [])


def logged_in(city: World) -> list[str]:
    """Roles of staff that may log in now."""
    found = city.server.run("SELECT rolname FROM pg_roles WHERE rolcanlogin AND rolname LIKE 'staff%' ORDER BY 1")
    return [row[0] for row in found]


async def test_a_role_that_somebody_lets_in_by_hand_is_shut_again(hall: World) -> None:
    hall.server.run("ALTER ROLE staff_1002 LOGIN")
    await eventually(lambda: logged_in(hall) == [])


async def test_a_keeper_may_do_nothing_else(hall: World) -> None:
    hall.server.run("ALTER ROLE authd_keeper_2 PASSWORD 'of another host'")
    with await asyncio.to_thread(
        lambda: hall.server.connect("resident", "authd_keeper_2", password="of another host")
    ) as keeper:
        for sql in (
            "SELECT * FROM resident",
            "SELECT * FROM authd.session",
            "SELECT authd.add('staff_1')",
            "SELECT authd.here()",
            "ALTER ROLE staff_1001 LOGIN",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                keeper.execute(sql.encode())


async def test_the_extended_protocol_pipelines_copies_and_notices(hall: World) -> None:
    await hall.log_in()
    with await connected(hall) as connection:
        for number in range(10):
            assert connection.execute("SELECT %s::int + 1", (number,), prepare=True).fetchone() == (number + 1,)
        with connection.pipeline():
            cursors = [connection.execute("SELECT %s::int", (number,)) for number in range(100)]
        assert [cursor.fetchone() for cursor in cursors] == [(number,) for number in range(100)]
        connection.execute("CREATE TEMP TABLE copied (line text)")
        lines = [f"{number} " + "住" * 1_000 for number in range(1_000)]
        with connection.cursor().copy("COPY copied FROM STDIN") as into:
            for line in lines:
                into.write_row((line,))
        with connection.cursor().copy("COPY copied TO STDOUT") as out:
            assert [row[0] for row in out.rows()] == lines
        connection.execute("LISTEN news")
        connection.execute("NOTIFY news, 'heard'")
        assert [each.payload for each in connection.notifies(timeout=PATIENCE_S, stop_after=1)] == ["heard"]
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1 / 0")
        assert one(connection, "SELECT 1") == 1


async def test_a_query_is_cancelled_by_whoever_has_its_key(hall: World) -> None:
    await hall.log_in()
    with await connected(hall) as connection:
        running = asyncio.create_task(asyncio.to_thread(cancelled, connection))
        await eventually(lambda: sleeping(hall))
        await asyncio.to_thread(connection.cancel)
        assert "canceling" in await running
        assert one(connection, "SELECT 1") == 1


def cancelled(connection: psycopg.Connection[Any]) -> str:
    with pytest.raises(psycopg.errors.QueryCanceled) as caught:
        connection.execute("SELECT pg_sleep(600)")
    return str(caught.value)


def sleeping(city: World) -> bool:
    return bool(city.server.run("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"))


async def test_tls_from_the_application(hall: World) -> None:
    assert text("postgres.tls", "ja") in await refused(lambda: hall.connect("encrypted", sslmode="disable"))
    await hall.log_in()
    own = {"sslmode": "verify-full", "sslrootcert": str(hall.stage.folder / "listener.crt")}
    with await connected(hall, "encrypted", **own) as connection:
        assert one(connection, "SELECT session_user") == "staff_1001"
        assert len(one(connection, "SELECT repeat('x', 3000000)")) == 3_000_000
        await hall.lock()
        assert LOCKED in await told(connection)


@pytest.mark.parametrize(("listener", "database"), [("over-tls", "over_tls"), ("certified", "resident")])
async def test_tls_towards_the_server(hall: World, listener: str, database: str) -> None:
    await hall.log_in()
    await admitted(hall)
    with await connected(hall, listener, dbname=database) as connection:
        assert one(connection, "SELECT session_user") == "staff_1001"
        assert one(connection, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") is True
        await hall.lock()
        await ended(connection)


async def test_while_a_password_is_being_replaced_either_one_is_tried(hall: World) -> None:
    name = "resident/staff_1001"
    following = hall.vault.stage(name, Shape())
    await hall.log_in()
    (await connected(hall)).close()
    hall.server.run(f"ALTER ROLE staff_1001 PASSWORD '{following.reveal()}'")
    (await connected(hall)).close()
    hall.vault.promote(name)
    (await connected(hall)).close()


async def test_other_programs_and_other_kinds_of_connection_are_refused(hall: World) -> None:
    await hall.log_in()
    sockets = {"host": str(folder(hall)), "port": 5433}
    with await connected(hall, "", **sockets) as connection:
        assert one(connection, "SELECT session_user") == "staff_1001"
    assert text("postgres.not_you", "ja") in await refused(lambda: hall.connect("", **{**sockets, "port": 5434}))
    assert text("postgres.not_you", "ja") in await refused(lambda: hall.connect("others-tcp"))
    assert text("postgres.not_this", "ja") in await refused(lambda: hall.connect(replication="database"))


async def test_an_application_that_never_speaks_takes_nobody_s_place(hall: World) -> None:
    await hall.log_in()
    silent = [await asyncio.open_connection("127.0.0.1", hall.ports["plain"]) for _ in range(20)]
    try:
        (await connected(hall)).close()
    finally:
        for _, writer in silent:
            writer.close()


@pytest.mark.parametrize(
    "bytes_", [b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\x08\x04\xd2\x16\x2f\0\0\0\x08\x04\xd2\x16\x2f", b"\0\0\0\x04"]
)
async def test_what_is_no_protocol_is_told_so_and_cut(hall: World, bytes_: bytes) -> None:
    """The second: bytes stuffed behind the question for TLS (CVE-2021-23214)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", hall.ports["encrypted"])
    writer.write(bytes_)
    async with asyncio.timeout(PATIENCE_S):
        said = await reader.read()
    assert b"08P01" in said
    writer.close()


async def test_nobody_is_there_once_authd_is_silent(hall: World) -> None:
    await hall.log_in()
    connection = await connected(hall)
    os.kill(hall.stage.processes["daemon"].pid, signal.SIGSTOP)
    try:
        assert LOCKED in await told(connection)
        assert NOBODY in await refused(hall.connect)
        await eventually(lambda: hall.backends("staff_1001") == 0)
    finally:
        os.kill(hall.stage.processes["daemon"].pid, signal.SIGCONT)
    async with asyncio.timeout(PATIENCE_S):
        await anext(each async for each in hall.application.changes(SEAT) if each is not None)


PAGE = how_to("postgresql")


async def test_the_how_to_s_commands_set_a_server_up(hall: World, monkeypatch: pytest.MonkeyPatch) -> None:
    hall.server.run("CREATE DATABASE another")
    for name, value in (("PGHOST", hall.server.folder), ("PGPORT", hall.server.port), ("PGUSER", "postgres")):
        monkeypatch.setenv(name, str(value))
    commands = next(each for each in PAGE.commands() if "authd.sql" in each)
    await asyncio.to_thread(
        lambda: shell(commands, ROOT, {"-d resident": "-d another", "DATABASE resident": "DATABASE another"})
    )
    assert hall.server.run("SELECT 1 FROM pg_roles WHERE rolname = 'staff_1043' AND NOT rolcanlogin")


async def test_the_how_to_s_program_signs_on_without_a_password(hall: World) -> None:
    await hall.log_in()
    await admitted(hall)
    keys = hall.stage.folder / "state" / "keys" / "curve"
    instead = {
        '"/etc/authd-seat/broker"': f'"{keys}"',
        "tcp://127.0.0.1:5555": f"ipc://{hall.stage.folder}/run/router.sock",
        "port=5432": f"port={hall.server.port}",
        "/etc/postgresql/server.crt": str(hall.server.ca),
    }
    program = PAGE.file("resident.py")
    for old, new in instead.items():
        assert old in program
        program = program.replace(old, new)
    said = await asyncio.to_thread(lambda: shell(f"python -I - <<'END'\n{program}END", hall.stage.folder))
    assert said.stdout == "staff_1001\n"
