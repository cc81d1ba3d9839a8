"""Passwords that somebody still remembers stop working: a real PostgreSQL, real PAM, and what they leave in logs."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from authd.broker.inspection import Anchor, State, inspect
from authd.broker.rotation import ChangeRefused, SystemSilent, rotate
from authd.broker.rotation.postgresql import PostgresqlRotator, PostgresqlSystem, verifier
from authd.broker.rotation.rotate import healed
from authd.broker.rotation.unix import UnixRotator, UnixSystem
from authd.broker.secret import Secret, Shape
from authd.broker.vault import Vault
from authd.core.model import Kind
from authd.service.evidence.credentials import Credentials
from authd.service.keys import Keys
from tests.service.bus.fakes import world
from tests.service.evidence.carryout.desk import Desk, town_hall
from tests.tools.howto import how_to, shell
from tests.tools.postgres import PACKAGED, Cluster, certify, cluster

pytestmark = pytest.mark.real
ROLE = "staff_1042"
NAME = f"resident/{ROLE}"
ADMIN = "resident/authd_rotator"
KNOWN = "everybody-at-the-counter-knows"
HERE = Path("/")
WRAPPER = Path("/usr/lib/x86_64-linux-gnu/libpam_wrapper.so")
MATRIX = Path("/usr/lib/x86_64-linux-gnu/pam_wrapper/pam_matrix.so")


@pytest.fixture(scope="module")
def server() -> Generator[Cluster]:
    with cluster("log_statement=all", "password_encryption=scram-sha-256") as made:
        made.allow(["local all all scram-sha-256", "hostssl all all 127.0.0.1/32 scram-sha-256"])
        yield made


@pytest.fixture
def vault(tmp_path: Path, server: Cluster) -> Vault:
    made = Vault.create(tmp_path / "vault")
    made.put(NAME, Secret(KNOWN))
    made.put(ADMIN, Secret("rotator-first"))
    for role, password, more in ((ROLE, KNOWN, ""), ("authd_rotator", "rotator-first", "CREATEROLE")):
        server.run(f"DROP ROLE IF EXISTS {role}")
        server.run(f"CREATE ROLE {role} LOGIN {more} PASSWORD '{verifier(Secret(password), b's' * 16)}'")
    return made


def by_socket(server: Cluster, vault: Vault, **more: object) -> PostgresqlRotator:
    system = {"host": str(server.folder), "port": server.port, **more}
    return PostgresqlRotator(PostgresqlSystem(**system), vault, HERE)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] (as read from a file)


def lets_in(server: Cluster, password: str, role: str = ROLE) -> bool:
    """PostgreSQL's own client is asked, not ours."""
    try:
        with server.connect(user=role, password=password):
            return True
    except psycopg.OperationalError:
        return False


def log(server: Cluster) -> str:
    return (server.folder / "log").read_text(errors="replace")


def test_a_role_changes_its_own_password_and_the_remembered_one_is_dead(server: Cluster, vault: Vault) -> None:
    assert lets_in(server, KNOWN)
    rotate(vault, NAME, by_socket(server, vault))
    fresh = vault.get(NAME).reveal()
    assert not lets_in(server, KNOWN)
    assert lets_in(server, fresh)
    assert "ALTER ROLE" in log(server)
    assert fresh not in log(server)


def test_over_tls_with_the_server_s_name_checked(server: Cluster, vault: Vault, tmp_path: Path) -> None:
    system = PostgresqlSystem(host="127.0.0.1", port=server.port, ca_file=str(server.ca))
    rotate(vault, NAME, PostgresqlRotator(system, vault, HERE))
    assert lets_in(server, vault.get(NAME).reveal())
    certify(tmp_path / "stranger")
    falsely = PostgresqlSystem(host="127.0.0.1", port=server.port, ca_file=str(tmp_path / "stranger.crt"))
    with pytest.raises(SystemSilent, match="SSLCertVerificationError"):
        PostgresqlRotator(falsely, vault, HERE).opens(ROLE, Secret(KNOWN))


def test_an_administrator_s_role_sets_right_what_somebody_changed_and_roles_that_may_not_log_in(
    server: Cluster, vault: Vault
) -> None:
    rotator = by_socket(server, vault, admin=ADMIN)
    server.run(f"ALTER ROLE {ROLE} PASSWORD '{verifier(Secret('behind our back'), b't' * 16)}' NOLOGIN")
    rotate(vault, NAME, rotator)
    server.run(f"ALTER ROLE {ROLE} LOGIN")
    assert not lets_in(server, "behind our back")
    assert lets_in(server, vault.get(NAME).reveal())
    rotate(vault, ADMIN, by_socket(server, vault))
    rotate(vault, NAME, rotator)


def test_a_role_that_changed_its_own_password_is_named_and_an_administrator_sets_it_right(
    server: Cluster, vault: Vault
) -> None:
    rotated = rotate(vault, NAME, by_socket(server, vault))
    anchors = {NAME: Anchor(rotated.version, rotated.digest)}

    def found(rotator: PostgresqlRotator) -> State:
        return next(look.state for look in inspect(vault, anchors, lambda _: rotator) if look.name == NAME)

    assert found(by_socket(server, vault)) is State.OK
    with server.connect(user=ROLE, password=vault.get(NAME).reveal()) as own:
        own.execute(f"ALTER ROLE {ROLE} PASSWORD '{verifier(Secret('my own'), b'u' * 16)}'".encode())
    assert found(by_socket(server, vault)) is State.SHUT
    anchor = rotate(vault, NAME, by_socket(server, vault, admin=ADMIN))
    anchors[NAME] = Anchor(anchor.version, anchor.digest)
    assert found(by_socket(server, vault)) is State.OK
    assert not lets_in(server, "my own")


def test_a_server_that_lets_anybody_in_is_told_of(server: Cluster, vault: Vault) -> None:
    server.allow(["local all all trust"])
    try:
        with pytest.raises(SystemSilent, match="without a password"):
            rotate(vault, NAME, by_socket(server, vault))
    finally:
        server.allow(["local all all scram-sha-256", "hostssl all all 127.0.0.1/32 scram-sha-256"])
    assert lets_in(server, KNOWN)
    assert healed(vault, NAME, by_socket(server, vault)) is not None
    assert lets_in(server, vault.get(NAME).reveal())


def test_an_answer_that_was_lost_is_found_out_later(server: Cluster, vault: Vault) -> None:
    """The server changed the password, and whoever asked was gone before it said so."""
    rotator = by_socket(server, vault)
    staged = vault.stage(NAME, Shape())
    rotator.change(ROLE, Secret(KNOWN), staged)
    assert not lets_in(server, vault.get(NAME).reveal())
    assert any(lets_in(server, each.reveal()) for each in vault.candidates(NAME))
    healed(vault, NAME, rotator)
    assert lets_in(server, vault.get(NAME).reveal())


def test_the_lines_that_are_shipped_let_the_rotator_in_before_those_of_the_distribution(
    server: Cluster, vault: Vault
) -> None:
    server.run("CREATE DATABASE resident")
    server.install("authd.sql", "resident")
    server.run(f"SELECT authd.add('{ROLE}')", "resident")
    server.allow([(PACKAGED / "pg_hba.conf").read_text(), "local all all peer"])
    try:
        rotate(vault, NAME, by_socket(server, vault, database="resident", admin=ADMIN))
        rotate(vault, ADMIN, by_socket(server, vault, database="resident", admin=ADMIN))
        with pytest.raises(psycopg.OperationalError, match="reject"):
            server.connect("postgres", "authd_rotator", password=vault.get(ADMIN).reveal())
    finally:
        server.allow(["local all all scram-sha-256", "hostssl all all 127.0.0.1/32 scram-sha-256"])


def test_nobody_there(vault: Vault, tmp_path: Path) -> None:
    nowhere = PostgresqlRotator(PostgresqlSystem(host=str(tmp_path)), vault, HERE)
    with pytest.raises(SystemSilent, match="see that it runs"):
        nowhere.opens(ROLE, Secret(KNOWN))


async def test_the_page_as_it_is_written(server: Cluster, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both passwords are handed over and replaced; everything is in order then, and stays so at the next rotation."""
    folder = Path(tempfile.mkdtemp(prefix="ac", dir="/tmp"))
    page = how_to("seal-old-passwords")
    try:
        page.write(folder, {"/var/lib/authd-seat-broker": str(folder)})
        toml = (folder / "broker.toml").read_text().replace("/run/postgresql", str(server.folder))
        port = f'rotator = "postgresql"\nport = {server.port}'
        (folder / "broker.toml").write_text(toml.replace('rotator = "postgresql"', port))
        (folder / "authd.toml").write_text('[host]\nstate = "state"\nrun = "."\n[seat.counter-1]\n')
        monkeypatch.setenv("AUTHD_CONFIG", str(folder / "authd.toml"))
        monkeypatch.setenv("AUTHD_BROKER", str(folder / "broker.toml"))
        hand_over, look_after = page.commands()[:2]
        typed = {
            f"authd credentials seal {ADMIN}": f"echo rotator-first | authd credentials seal {ADMIN}",
            "authd credentials seal resident/juki": f"echo {KNOWN} | authd credentials seal {NAME}",
        }
        async with open_desk(folder) as desk:
            said = await asyncio.to_thread(shell, hand_over, folder, typed)
            assert said.stdout.count("nobody knows") == 2
            assert said.stdout.count("in order") == 4
            again = await asyncio.to_thread(shell, look_after, folder, {"--older-than 30": "--older-than 0"})
            assert again.stdout.count("nobody knows") == 2
            assert len(await desk.rows(Kind.CREDENTIAL_ROTATED)) == 4
        assert not lets_in(server, KNOWN)
        assert lets_in(server, Vault.open(folder / "vault").get(NAME).reveal())
    finally:
        shutil.rmtree(folder)


@asynccontextmanager
async def open_desk(folder: Path) -> AsyncGenerator[Desk, None]:
    """A door in the folder, before the real part of the ledger."""
    (folder / "ledger").mkdir()
    async with town_hall(folder / "ledger") as desk:
        door = world(folder, frozenset({os.geteuid()}))
        evidence: Any = SimpleNamespace(credentials=Credentials(desk.ground))
        door.house.evidence = evidence
        Keys(folder / "state").create()
        async with door.serving():
            yield desk


@pytest.fixture
def wrapped(tmp_path: Path) -> dict[str, str]:
    """PAM with a password file of the test's own, as an ordinary user may have it."""
    assert MATRIX.exists(), "install the package libpam-wrapper"
    (tmp_path / "passwords").write_text(f"operator:{KNOWN}:passwd\n")
    services = tmp_path / "services"
    services.mkdir()
    lines = (f"{kind} required {MATRIX} passdb={tmp_path / 'passwords'}" for kind in ("auth", "account", "password"))
    (services / "passwd").write_text("\n".join(lines) + "\n")
    return {"LD_PRELOAD": str(WRAPPER), "PAM_WRAPPER": "1", "PAM_WRAPPER_SERVICE_DIR": str(services)}


def test_a_unix_account_by_pam(tmp_path: Path, wrapped: dict[str, str]) -> None:
    vault = Vault.create(tmp_path / "vault")
    vault.put("host/operator", Secret(KNOWN))
    rotator = UnixRotator(UnixSystem(), wrapped)
    rotate(vault, "host/operator", rotator)
    assert not rotator.opens("operator", Secret(KNOWN))
    assert rotator.opens("operator", vault.get("host/operator"))
    with pytest.raises(ChangeRefused, match="PAM's number 7"):
        rotator.change("operator", Secret(KNOWN), Secret("x"))


def test_pam_that_is_not_there_or_does_not_answer_is_no_answer(tmp_path: Path, wrapped: dict[str, str]) -> None:
    with pytest.raises(SystemSilent, match="PAM's number"):
        UnixRotator(UnixSystem(service="nosuch"), wrapped).opens("operator", Secret(KNOWN))
    with pytest.raises(SystemSilent, match="in time"):
        UnixRotator(UnixSystem(timeout_s=0.001), wrapped).opens("operator", Secret(KNOWN))


def test_what_root_seals_the_brokers_account_reads(tmp_path: Path) -> None:
    assert os.geteuid() == 0, "only root seals for another account: run as root (CI does)"
    nobody = 65_534
    os.chown(tmp_path, nobody, nobody)
    vault = Vault.create(tmp_path / "vault")
    vault.put(NAME, Secret(KNOWN))
    with vault.rotating():
        vault.stage(NAME, Shape())
    assert {each.stat().st_uid for each in [vault.folder, *vault.folder.iterdir()]} == {nobody}


IN_A_NAMESPACE = """
mount -t tmpfs -o mode=755 none /mnt
cp -a /etc/. /mnt/ && mount --bind /mnt /etc
useradd --no-create-home -p "$(openssl passwd -6 {known})" old_operator
exec {python} -c '
from pathlib import Path
from authd.broker.rotation import rotate
from authd.broker.rotation.unix import UnixRotator, UnixSystem
from authd.broker.secret import Secret
from authd.broker.vault import Vault
vault, rotator = Vault.create(Path("{folder}/vault")), UnixRotator(UnixSystem(service="chpasswd"))
check = UnixRotator(UnixSystem(service="login"))
vault.put("host/old_operator", Secret("{known}"))
assert check.opens("old_operator", Secret("{known}"))
rotate(vault, "host/old_operator", rotator)
assert not check.opens("old_operator", Secret("{known}"))
assert check.opens("old_operator", vault.get("host/old_operator"))
print("rotated")
'
"""


def test_root_changes_a_real_account_in_a_namespace_of_its_own(tmp_path: Path) -> None:
    assert os.geteuid() == 0, "only root changes other accounts' passwords: run as root (CI does)"
    assert shutil.which("openssl"), "install the package openssl"
    script = IN_A_NAMESPACE.format(known=KNOWN, python=sys.executable, folder=tmp_path)
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-e", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert done.stdout == "rotated\n", done.stderr
    assert "old_operator" not in Path("/etc/passwd").read_text()
