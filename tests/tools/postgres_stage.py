"""A seat, a PostgreSQL as `packaging/postgresql` sets it up, and the broker between both as a process of its own."""

from __future__ import annotations

import json
import os
import pwd
import socket
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from authd import client
from authd.broker.secret import Secret, Shape
from authd.broker.vault import Vault
from authd.client.certificates import SessionCertificate
from authd_simulators.people import Staff
from authd_simulators.stage import Application, Stage, free_ports
from tests.tools.gateway_stage import free_port
from tests.tools.postgres import Cluster, certify, cluster

SEAT = "counter-1"
SYSTEM = Application("resident", "住民記録", "Residents", account="staff_{staff_number}")
SHARED = {"user": "resident_app", "password": "shared-by-everybody"}
"""What stands in the application's connection string; the server knows neither."""
HBA = (
    "local all +authd_staff scram-sha-256",
    "local all +authd_keepers scram-sha-256",
    "hostssl resident +authd_staff 127.0.0.1/32 cert",
    "hostssl over_tls +authd_staff 127.0.0.1/32 scram-sha-256",
    "local all +authd_staff reject",
    "host all +authd_staff all reject",
    "host all +authd_keepers all reject",
)
RECORDS = """
INSERT INTO resident VALUES ('20481', '山田 太郎', '中央 1-2-3'), ('20482', '鈴木 花', '南 4-5-6');
INSERT INTO protection VALUES ('20482');
GRANT support_desk TO staff_1002;
"""


@dataclass
class World:
    """Everything that stands, with a client for each side."""

    stage: Stage
    server: Cluster
    vault: Vault
    ports: Mapping[str, int]
    """Of the listeners on TCP."""
    door: client.Client
    screen: client.Client
    application: client.Client

    @property
    def people(self) -> Sequence[Staff]:
        """Those who may touch."""
        return self.stage.people

    async def log_in(self, person: Staff | None = None) -> client.Person:
        """Have somebody at the seat; by default the first. The application's own view of them."""
        wanted = person or self.people[0]
        while True:
            await self.stage.log_in(self.door, SEAT, wanted)
            there = await self.application.who(SEAT, fresh=True)
            if there is not None and there.account == f"staff_{wanted.staff_number}":
                return there

    async def lock(self) -> None:
        """Press the button, and wait until nobody is there."""
        await self.screen.press(SEAT, "lock")
        while await self.application.who(SEAT, fresh=True) is not None:
            pass

    def dsn(self, listener: str = "plain", **more: Any) -> dict[str, Any]:
        """Return what the application's connection string says: always the same."""
        where = {"host": "127.0.0.1", "port": self.ports[listener]} if listener in self.ports else {}
        return {**SHARED, "dbname": "resident", **where, "connect_timeout": 30, **more}

    def connect(self, listener: str = "plain", **more: Any) -> psycopg.Connection[Any]:
        """Connect as the application does."""
        return psycopg.connect(**self.dsn(listener, **more), autocommit=True)

    def direct_dsn(self, certificate: SessionCertificate) -> dict[str, Any]:
        """Return how one connects to the server itself, with a session's certificate."""
        files = certificate.save(self.stage.folder / "certificate")
        where: dict[str, Any] = {"host": "127.0.0.1", "port": self.server.port, "sslmode": "verify-full", **files}
        return {"dbname": "resident", "sslrootcert": str(self.server.ca), "connect_timeout": 30, **where}

    def directly(self, certificate: SessionCertificate) -> psycopg.Connection[Any]:
        """Connect to the server itself."""
        return psycopg.connect(**self.direct_dsn(certificate), autocommit=True)

    def backends(self, role: str) -> int:
        """How many connections of a role the server has."""
        return int(self.server.run(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{role}'")[0][0])


@asynccontextmanager
async def world(*options: str, people: int = 2) -> AsyncGenerator[World, None]:
    """Set all of it up. options: of the server."""
    with ExitStack() as stack:
        server = stack.enter_context(cluster(*options))
        async with Stage(free_ports(), seats=(SEAT,), people=people, systems=(SYSTEM,)) as stage:
            vault = Vault.create(stage.folder / "vault")
            async with stage.door() as door, stage.screen(SEAT) as screen, stage.application() as application:
                _fill(server, vault, stage.people, await application.certificate_authority())
                ports = await _broker(stage, server)
                yield World(stage, server, vault, ports, door, screen, application)


def _fill(server: Cluster, vault: Vault, people: Sequence[Staff], authority: bytes) -> None:
    """Set the server up as the how-to says, and seal passwords that nobody has ever seen."""
    server.run("CREATE DATABASE resident")
    server.run("CREATE DATABASE over_tls")
    server.install("authd.sql", "resident")
    server.install("resident.sql", "resident")
    for keeper in ("authd_keeper", "authd_keeper_2"):
        server.run(f"SELECT authd.add_keeper('{keeper}')", "resident")
    for role in ["authd_keeper", *(f"staff_{each.staff_number}" for each in people)]:
        password = Shape().make()
        for name in ("resident", "over-tls"):
            vault.put(f"{name}/{role}", password)
        if role != "authd_keeper":
            server.run(f"SELECT authd.add('{role}')", "resident")
        server.run(f"ALTER ROLE {role} PASSWORD '{password.reveal()}'")
    server.run(RECORDS, "resident")
    server.trust(authority)
    server.allow(HBA)


async def _broker(stage: Stage, server: Cluster) -> Mapping[str, int]:
    """Start `authd pgproxy`; return the ports of its listeners on TCP."""
    certify(stage.folder / "listener")
    ports = {name: free_port() for name in ("plain", "encrypted", "over-tls", "certified", "others-tcp")}
    config = stage.folder / "broker.toml"
    config.write_text(_toml(stage, server, ports), encoding="utf-8")
    await stage.start("pgproxy", ["-I", "-m", "authd", "pgproxy", "--config", str(config)])
    await stage.wait_for(lambda: _listens(ports["plain"]), "the broker", stage.processes["pgproxy"])
    return ports


def _toml(stage: Stage, server: Cluster, ports: Mapping[str, int]) -> str:
    keys, seats = stage.folder / "state" / "keys" / "curve", f'seats = ["{SEAT}"]'
    direct = f'address = "127.0.0.1:{server.port}"\nca = {json.dumps(str(server.ca))}'
    lines = [
        f'[door]\nrouter = "ipc://{stage.folder}/run/router.sock"\nserver_key = "{keys}/router.key"',
        f'[vault]\nfolder = "vault"\n[application.resident]\nkey_file = "{keys}/app-resident.key"',
        f'[server.resident]\napplication = "resident"\n{seats}\naddress = "{server.socket}"\nkeeper = "authd_keeper"',
        f'[server.over-tls]\napplication = "resident"\n{seats}\n{direct}',
        f'[server.certified]\napplication = "resident"\n{seats}\n{direct}\nsign_on = "certificate"',
        _listener("plain", f"127.0.0.1:{ports['plain']}", "resident", 'language = "ja"'),
        _listener("encrypted", f"127.0.0.1:{ports['encrypted']}", "resident", ENCRYPTED),
        _listener("over-tls", f"127.0.0.1:{ports['over-tls']}", "over-tls", 'language = "en"'),
        _listener("certified", f"127.0.0.1:{ports['certified']}", "certified", ""),
        _listener("socket", f"{stage.folder}/run/.s.PGSQL.5433", "resident", f'accounts = ["{_me()}"]'),
        _listener("others", f"{stage.folder}/run/.s.PGSQL.5434", "resident", 'accounts = ["nobody"]'),
        _listener("others-tcp", f"127.0.0.1:{ports['others-tcp']}", "resident", 'accounts = ["nobody"]'),
    ]
    return "\n".join(lines) + "\n"


ENCRYPTED = 'certificate = "listener.crt"\nkey = "listener.key"\nrequire_tls = true'


def _listener(name: str, listen: str, server: str, more: str) -> str:
    return f'[listener.{name}]\nlisten = "{listen}"\nserver = "{server}"\nseat = "{SEAT}"\n{more}'


def _me() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
        return True
    return False


def sealed(world: World, role: str, *, name: str = "resident") -> Secret:
    """Return a password that nobody but the broker should have."""
    return world.vault.get(f"{name}/{role}")


def folder(world: World) -> Path:
    """Where the broker's Unix sockets are."""
    return world.stage.folder / "run"
