"""A real PostgreSQL and a real web server's log, with people at a seat and others who go around it."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from authd import client
from authd.cli import main, unattributed
from authd_simulators import stage as stages
from authd_simulators.stage import Application, Stage, free_ports
from tests.tools.gateway_stage import free_port
from tests.tools.howto import how_to
from tests.tools.postgres import Cluster, cluster

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module")]
PATIENCE_S = 30.0
SEAT = "counter-1"
SYSTEM = Application("resident", "住民記録", "Residents", account="staff_{staff_number}")
_TABLE = "\n[unattributed]"
NGINX = """\
daemon off;
master_process on;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log {folder}/access.log combined;
    map $remote_user $cut_off {{ default 0; include {folder}/cut.map; }}
    client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
    uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
    server {{
        listen 127.0.0.1:{port};
        location / {{ if ($cut_off) {{ return 403; }} return 200 "a record"; }}
    }}
    include {folder}/log_format.conf;
    server {{
        listen unix:{folder}/auth.sock;
        access_log off;
        location / {{ add_header Remote-User $remote_user always; return 204; }}
    }}
    server {{
        listen 127.0.0.1:{behind};
        access_log {folder}/behind.log authd;
        location / {{
            auth_request /auth;
            auth_request_set $authd_user $upstream_http_remote_user;
            proxy_pass http://127.0.0.1:{port};
        }}
        location = /auth {{ internal; proxy_pass http://unix:{folder}/auth.sock; proxy_pass_request_body off; }}
    }}
}}
"""
CUT = """\
#!/bin/sh
echo "$AUTHD_ACCOUNT 1;" >> {folder}/cut.map
exec nginx -c {folder}/nginx.conf -s reload
"""
PAGE = how_to("unattributed-access")
MORE = """
[weblog.behind]
application = "resident"
file = "{web}/behind.log"
format = "json"
look_s = 0.2
"""


def config(world_socket: Path, port: int, web: Path) -> str:
    """The page's own file, with the paths of here, looking more often."""
    text = PAGE.file("/etc/authd-seat/unattributed.toml")
    here = {
        "/run/authd-seat/door.sock": "run/door.sock",
        "host=/run/postgresql port=5432": f"host={world_socket} port={port}",
        "/var/log/nginx/access.log": f"{web}/access.log",
        'application = "resident"': 'look_s = 0.2\napplication = "resident"',
        'format = "combined"': f'cut = ["{web}/cut-off"]\nformat = "combined"',
    }
    for old, new in here.items():
        assert old in text, old
        text = text.replace(old, new)
    return text + MORE.format(web=web)


class Hall(Stage):
    """A stage whose policy is its own, so that it can be changed while people work."""

    def _toml(self) -> str:
        shipped = Path(stages.__file__).parent / "demo_policy"
        if not (self.folder / "policy").exists():
            shutil.copytree(shipped, self.folder / "policy")
            self.policy("")
        return super()._toml().replace(str(shipped), str(self.folder / "policy"))

    def policy(self, systems: str) -> bool:
        """Say where what belongs to no session is ended; returns whether that is news."""
        settings = self.folder / "policy" / "settings.toml"
        before = settings.read_text(encoding="utf-8")
        after = f"{before.partition(_TABLE)[0]}{_TABLE}\nend = [{systems}]\ngrace_s = 1\n"
        settings.write_text(after, encoding="utf-8")
        return before != after


@dataclass
class World:
    stage: Hall
    server: Cluster
    web: Path
    port: int
    behind: int
    """The same site behind a proxy that asks who it is."""
    door: client.Client

    @property
    def config(self) -> Path:
        return self.stage.folder / "unattributed.toml"

    async def log_in(self) -> str:
        """Have the first person at the seat; returns what the systems call them."""
        person = self.stage.people[0]
        await self.stage.log_in(self.door, SEAT, person)
        return f"staff_{person.staff_number}"

    async def lock(self) -> None:
        async with self.stage.screen(SEAT) as screen:
            await screen.press(SEAT, "lock")
        while await self.door.who(SEAT) is not None:  # noqa: ASYNC110 - the state of another process
            await asyncio.sleep(0.01)

    async def policy(self, systems: str) -> None:
        """Change the policy, and wait until it is in force."""
        before = (await self.door.status())["policy"]
        changed = self.stage.policy(systems)
        async with asyncio.timeout(PATIENCE_S):
            while changed and (await self.door.status())["policy"] == before:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.05)

    def connect(self, role: str) -> psycopg.Connection[Any]:
        return self.server.connect(user=role)

    def roles(self) -> set[str]:
        """Who is logged in to the database."""
        return {
            str(row[0]) for row in self.server.run("SELECT usename FROM pg_stat_activity WHERE usename <> 'postgres'")
        }

    def get(self, account: str, path: str = "/residents/20481", port: int | None = None) -> int:
        """Ask for a page, as a browser with this account; return the status."""
        request = urllib.request.Request(f"http://127.0.0.1:{port or self.port}{path}")
        if account:
            word = base64.b64encode(f"{account}:x".encode()).decode()
            request.add_header("Authorization", f"Basic {word}")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    async def rows(self, after: int, kind: str, count: int) -> list[dict[str, Any]]:
        """Return what stands in the ledger of a kind, once there are so many rows of it."""
        found: list[dict[str, Any]] = []
        async with asyncio.timeout(PATIENCE_S):
            async for event in self.door.follow(after=after):
                found += [dict(event.detail)] if event.kind == kind else []
                if len(found) >= count:
                    return found
        raise AssertionError(kind)

    async def head(self) -> int:
        status: Any = await self.door.status()
        return int(status["ledger"]["rows"])

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-I", "-m", "authd", "unattributed", "--config", str(self.config), "--json", *words]

    @asynccontextmanager
    async def watching(self) -> AsyncGenerator[Callable[..., Any], None]:
        """Run `authd unattributed`; yields what waits for a piece of its news."""
        process = await asyncio.create_subprocess_exec(*self.command(), stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None
        lines = process.stdout

        async def heard(what: str, **wanted: object) -> dict[str, Any]:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    line = await lines.readline()
                    assert line, "it has ended"
                    news: dict[str, Any] = json.loads(line)
                    if news["what"] == what and wanted.items() <= news.items():
                        return news

        try:
            await self.looked(process.pid)
            yield heard
        finally:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            await process.wait()

    async def looked(self, pid: int) -> None:
        """Wait until this process stands at the end of both logs; what is logged from now on it reads."""
        async with asyncio.timeout(PATIENCE_S):
            logs = [self.web / f"{name}.log" for name in ("access", "behind")]
            while not all(_stands_at_end(pid, log) for log in logs):  # noqa: ASYNC110 - the state of another process
                await asyncio.sleep(0.02)


def _stands_at_end(pid: int, log: Path) -> bool:
    with suppress(FileNotFoundError):
        for each in Path(f"/proc/{pid}/fd").iterdir():
            if each.readlink() == log:
                told = Path(f"/proc/{pid}/fdinfo/{each.name}").read_text(encoding="ascii")
                return told.split()[:2] == ["pos:", str(log.stat().st_size)] != ["pos:", "0"]
    return False


@contextmanager
def nginx() -> Generator[tuple[Path, int, int], None, None]:
    """A web server that believes whatever account a browser shows, as old systems do."""
    folder, port, behind = Path(tempfile.mkdtemp(prefix="authd-web-")), free_port(), free_port()
    try:
        folder.chmod(0o755)
        (folder / "cut.map").touch()
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, behind=behind))
        (folder / "log_format.conf").write_text(PAGE.file("log_format.conf"))
        (folder / "cut-off").write_text(CUT.format(folder=folder))
        (folder / "cut-off").chmod(0o755)
        found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        assert found, "nginx is missing: install the package nginx-light"
        with subprocess.Popen([found, "-c", str(folder / "nginx.conf")], stderr=subprocess.DEVNULL) as process:
            try:
                yield folder, port, behind
            finally:
                process.terminate()
                process.wait(PATIENCE_S)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world() -> AsyncGenerator[World, None]:
    with ExitStack() as stack:
        server = stack.enter_context(cluster())
        web, port, behind = stack.enter_context(nginx())
        async with Hall(free_ports(), seats=(SEAT,), people=2, systems=(SYSTEM,)) as stage:
            for person in stage.people:
                server.run(f"CREATE ROLE staff_{person.staff_number} LOGIN")
            for role in ("juki", "backup", "nosy"):
                server.run(f"CREATE ROLE {role} LOGIN")
            (roles,) = (block.text for block in PAGE.blocks if block.language == "sql")
            server.run(roles)
            server.allow(["local all all trust"])
            (stage.folder / "unattributed.toml").write_text(config(server.folder, server.port, web))
            async with stage.door() as door:
                made = World(stage, server, web, port, behind, door)
                for each in (port, behind):  # so that a log's end is another place than where a file is opened
                    made.get("", port=each)
                yield made


async def test_shared_and_left_over_connections_are_found_and_people_are_not(world: World) -> None:
    after, mine = await world.head(), await world.log_in()
    with world.connect("juki"), world.connect("backup"), world.connect(mine) as theirs:
        async with world.watching() as heard:
            news = await heard("found", source="postgresql")
            assert (news["account"], news["why"], news["address"]) == ("juki", "shared", "local")
            await world.lock()
            news = await heard("found", source="postgresql")
            assert (news["account"], news["why"]) == (mine, "nobody")
            theirs.close()
            news = await heard("ended", account=mine)
            assert news["detail"] == "gone"
            assert "juki" in world.roles()  # the policy ends nothing
    found = await world.rows(after, "unattributed.found", 2)
    assert [(each["account"], each["why"], each["ends"]) for each in found] == [
        ("juki", "shared", False),
        (mine, "nobody", False),
    ]
    (ended, *_) = await world.rows(after, "unattributed.ended", 1)
    assert (ended["how"], ended["system"]) == ("gone", "resident")


async def test_a_web_log_shows_who_went_around_the_seat(world: World) -> None:
    await world.policy("")
    mine = await world.log_in()
    async with world.watching() as heard:
        for account in (mine, "juki", ""):
            assert world.get(account) == 200
        assert world.get("", "/health") == 200
        found = [await heard("found", system="residents", source="weblog") for _ in range(2)]
        assert {(each["account"], each["why"]) for each in found} == {("juki", "shared"), ("", "shared")}
        other = f"staff_{world.stage.people[1].staff_number}"
        world.get(other)
        news = await heard("found", system="residents", source="weblog")
        assert (news["account"], news["why"]) == (other, "nobody")
        for account in (mine, other):
            assert world.get(account, port=world.behind) == 200
        news = await heard("found", system="behind")
        assert (news["account"], news["place"]) == (other, "behind")
        await world.policy('"*"')
        world.get(other)
        async with asyncio.timeout(PATIENCE_S):
            while world.get(other) != 403:  # noqa: ASYNC110 - until the site's own program has cut it off
                await asyncio.sleep(0.1)
        assert world.get(mine) == 200
    await world.lock()


async def test_the_policy_ends_what_nobody_answers_for_and_nothing_else(world: World) -> None:
    mine = await world.log_in()
    with world.connect(mine) as theirs, world.connect("backup") as backup, world.connect("juki") as shared:
        async with world.watching() as heard:
            await world.policy('"*"')
            news = await heard("ended", account="juki")
            assert (news["detail"], news["source"]) == ("cut", "postgresql")
            with pytest.raises(psycopg.OperationalError):
                shared.execute("SELECT 1")
            theirs.execute("SELECT 1")
            backup.execute("SELECT 1")
            await world.lock()
            await heard("ended", account=mine, detail="cut")
            with pytest.raises(psycopg.OperationalError):
                theirs.execute("SELECT 1")
        backup.execute("SELECT 1")


async def test_one_look_reports_for_people_and_programs(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.policy('"*"')
    page = tmp_path / "found.html"
    with world.connect("juki") as shared:
        done = await asyncio.to_thread(_run, world.command("--once", "--dry", "--html", str(page)))
        shared.execute("SELECT 1")  # dry, whatever the policy says
    assert done.returncode == 1
    database, web, behind = (json.loads(line) for line in done.stdout.splitlines())
    assert (database["unread"], web["unread"], behind["unread"]) == (0, 0, 0)
    assert [each["account"] for each in database["unattributed"]] == ["juki"]
    assert {"", "juki"} <= {each["account"] for each in web["unattributed"]}
    assert all(each["found"] is None for each in database["unattributed"])  # dry
    assert "個人のものでないアカウント" in page.read_text(encoding="utf-8")
    assert "20481" not in page.read_text(encoding="utf-8")  # no page of the site, which may name a record
    assert page.stat().st_mode & 0o077 == 0
    plain = [word for word in world.command("--once", "--dry", "--lang", "en") if word != "--json"]
    said = (await asyncio.to_thread(_within, plain)).stdout
    assert "account juki from local" not in said  # it is gone
    assert "the account is no person's" in said
    assert unattributed.DEFAULT.name == "unattributed.toml"


async def test_what_keeps_it_from_looking_is_one_line(world: World, tmp_path: Path) -> None:
    text = world.config.read_text().replace('"run/door.sock"', f'"{world.stage.socket}"')
    config = tmp_path / "u.toml"
    command = [*world.command("--once", "--dry")]
    command[command.index(str(world.config))] = str(config)
    config.write_text(text.replace("user=authd_watch", "user=nosy"))
    done = await asyncio.to_thread(_within, command)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "GRANT pg_monitor" in done.stderr
    config.write_text(text.replace(str(world.stage.socket), str(tmp_path / "nobody.sock")))
    done = await asyncio.to_thread(_within, command)
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    config.write_text(text.replace(f"port={world.server.port}", "port=1"))
    done = await asyncio.to_thread(_within, command)
    assert done.returncode == 1
    assert json.loads(done.stdout.splitlines()[0])["blind"]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def _within(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run the same in this process, which has loaded everything already."""
    with redirect_stdout(io.StringIO()) as said, redirect_stderr(io.StringIO()) as failed:
        code = main(command[command.index("unattributed") :])
    return subprocess.CompletedProcess(command, code, said.getvalue(), failed.getvalue())


async def test_where_authd_is_silent_nobody_is_there_and_its_rows_follow(world: World) -> None:
    await world.policy('"*"')
    mine = await world.log_in()
    with world.connect(mine) as theirs, world.connect("backup") as backup, world.connect("juki"):
        async with world.watching() as heard:
            await heard("ended", account="juki")  # it has heard whose sessions there are, and what the policy says
            after = await world.head()
            theirs.execute("SELECT 1")
            await world.stage.end("daemon")
            await heard("silent", source="postgresql")
            news = await heard("found", account=mine)
            assert (news["why"], news["found"]) == ("nobody", None)
            with pytest.raises(psycopg.OperationalError):
                await asyncio.to_thread(_until_cut, theirs)
            backup.execute("SELECT 1")
            await world.stage.begin()
            assert (await heard("ended", account=mine))["detail"] == "cut"
    (found,) = await world.rows(after, "unattributed.found", 1)
    assert (found["account"], found["why"]) == (mine, "nobody")
    (ended,) = await world.rows(after, "unattributed.ended", 1)
    assert ended["how"] == "cut"


def _until_cut(connection: psycopg.Connection[Any]) -> None:
    while True:
        connection.execute("SELECT 1")
