"""A private PostgreSQL in a folder of its own, with TLS, on a loopback port and a Unix socket."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import psycopg
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from authd_simulators.stage import free_port

PACKAGED = Path(__file__).parents[2] / "packaging" / "postgresql"
SERVER_OF = "/usr/lib/postgresql"
PSQL = "psql"
HBA = "local all postgres trust\n"
"""Before what a test says: its own administrator, on the socket."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running server. `ca`: who signs its certificate."""

    folder: Path
    port: int

    @property
    def socket(self) -> Path:
        """Its Unix socket."""
        return self.folder / f".s.PGSQL.{self.port}"

    @property
    def ca(self) -> Path:
        """The certificate by which it is known."""
        return self.folder / "server.crt"

    def connect(self, database: str = "postgres", user: str = "postgres", **more: Any) -> psycopg.Connection[Any]:
        """Connect as whom one likes; by default as the superuser, on the socket."""
        where: dict[str, Any] = {"host": str(self.folder), "port": self.port, **more}
        return psycopg.connect(dbname=database, user=user, autocommit=True, connect_timeout=30, **where)

    def run(self, sql: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run something as the superuser."""
        with self.connect(database) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def install(self, name: str, database: str) -> None:
        """Run one of the files that are delivered, with psql, as an administrator does."""
        words = [PSQL, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", str(self.folder), "-p", str(self.port)]
        subprocess.run([*words, "-U", "postgres", "-d", database, "-f", str(PACKAGED / name)], check=True, timeout=60)

    def allow(self, lines: Sequence[str]) -> None:
        """Say who may come how (pg_hba.conf), before everything else but the superuser on the socket."""
        (self.folder / "data" / "pg_hba.conf").write_text(HBA + "\n".join(lines) + "\n")
        self.run("SELECT pg_reload_conf()")

    def trust(self, authority: bytes) -> None:
        """Believe the client certificates of an authority."""
        (self.folder / "clients.crt").write_bytes(authority)
        self.run("SELECT pg_reload_conf()")


@contextmanager
def cluster(*options: str) -> Generator[Cluster, None, None]:
    """Start one; options: further `name=value` of postgresql.conf."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    made = Cluster(folder, free_port())
    try:
        data = folder / "data"
        certify(folder / "server")
        shutil.copy(made.ca, folder / "clients.crt")
        _own(folder)
        _as_postgres(
            "initdb", "-D", str(data), "-A", "reject", "-U", "postgres", "--no-sync", "-E", "UTF8", "--locale=C"
        )
        given = [
            "listen_addresses=127.0.0.1",
            f"port={made.port}",
            f"unix_socket_directories={folder}",
            "fsync=off",
            "ssl=on",
            f"ssl_cert_file={made.ca}",
            f"ssl_key_file={folder / 'server.key'}",
            f"ssl_ca_file={folder / 'clients.crt'}",
            *options,
        ]
        (data / "postgresql.auto.conf").write_text("".join(f"{_quoted(each)}\n" for each in given))
        (data / "pg_hba.conf").write_text(HBA)
        _as_postgres("pg_ctl", "-D", str(data), "-w", "-t", "60", "-l", str(folder / "log"), "start")
        try:
            yield made
        finally:
            _as_postgres("pg_ctl", "-D", str(data), "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def certify(stem: Path, name: str = "localhost") -> None:
    """Make `<stem>.key` and a certificate of it, signed by itself, for this machine's loopback."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    names = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    stem.with_suffix(".crt").write_bytes(made.public_bytes(Encoding.PEM))
    private = stem.with_suffix(".key")
    private.touch(mode=0o600)
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def program(name: str) -> str:
    """Return the path of a program of the server's; it is found nowhere else. Raises `FileNotFoundError`."""
    found = sorted(Path(SERVER_OF).glob(f"*/bin/{name}"))
    if not found:
        raise FileNotFoundError(f"{name} is missing: install the package postgresql")
    return str(found[-1])


def _as_postgres(name: str, *arguments: str) -> None:
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    subprocess.run([*user, program(name), *arguments], check=True, stdout=subprocess.DEVNULL, cwd="/", timeout=120)


def _own(folder: Path) -> None:
    """It refuses to run as root, and to use a key that others may read."""
    if os.geteuid() == 0:
        folder.chmod(0o755)
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, "postgres", "postgres")


def _quoted(option: str) -> str:
    name, _, value = option.partition("=")
    return f"{name} = '{value}'"
