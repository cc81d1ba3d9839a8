"""Apache with mod_auth_openidc before a page that says who it takes its reader for: a real relying party."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

PACKAGED = Path(__file__).parents[2] / "packaging" / "apache" / "authd-seat-oidc.conf"
MODULES = Path("/usr/lib/apache2/modules")
PATIENCE_S = 60.0
LOADED = (
    "mpm_event",
    "authn_core",
    "authz_core",
    "authz_user",
    "auth_openidc",
    "headers",
    "include",
    "mime",
    "dir",
    "socache_shmcb",
)
HEAD = """\
ServerRoot {folder}
ServerName 127.0.0.1
PidFile {folder}/apache.pid
ErrorLog {folder}/error.log
LogLevel warn
TypesConfig /dev/null
Listen 127.0.0.1:{port}
DocumentRoot {folder}/site
StartServers 1
ThreadsPerChild 25
MaxRequestWorkers 25
<Directory {folder}/site>
    Options +Includes
    AddType text/html .shtml
    AddOutputFilter INCLUDES .shtml
    DirectoryIndex index.shtml
</Directory>
"""
PAGE = """\
user=<!--#echo var="REMOTE_USER" --> name=<!--#echo var="OIDC_CLAIM_name" --> acr=<!--#echo var="OIDC_CLAIM_acr" -->
"""


@contextmanager
def apache(port: int, issuer: str, secret: str) -> Generator[str, None, None]:
    """Start it with the packaged file, in which only addresses, paths and the secret are others. Yields its address."""
    address = f"http://127.0.0.1:{port}"
    with TemporaryDirectory(prefix="authd-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # its workers run as another account
        (folder / "site").mkdir()
        (folder / "site" / "index.shtml").write_text(PAGE, encoding="utf-8")
        (folder / "passphrase").write_text("only-of-this-test", encoding="utf-8")
        told = _placed(folder, address, issuer, secret)
        (folder / "apache.conf").write_text(_head(folder, port) + told, encoding="utf-8")
        process = subprocess.Popen(["/usr/sbin/apache2", "-f", str(folder / "apache.conf"), "-DFOREGROUND"])
        try:
            _listening(port, process, folder)
            yield address
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _head(folder: Path, port: int) -> str:
    if not (MODULES / "mod_auth_openidc.so").exists():
        raise AssertionError("Apache is missing: apt-get install apache2 libapache2-mod-auth-openidc")
    loads = "".join(f"LoadModule {each}_module {MODULES}/mod_{each}.so\n" for each in LOADED)
    account = "User www-data\nGroup www-data\n" if os.geteuid() == 0 else ""
    return loads + account + HEAD.format(folder=folder, port=port)


def _placed(folder: Path, address: str, issuer: str, secret: str) -> str:
    text = PACKAGED.read_text(encoding="utf-8")
    for there, here in (
        ("https://login.city.example", issuer),
        ("https://portal.city.example", address),
        ("CHANGE-THIS-SECRET-OF-32-CHARACTERS", secret),
        ("/etc/authd-seat/apache-passphrase", f"{folder}/passphrase"),
    ):
        assert there in text, there
        text = text.replace(there, here)
    return text


def _listening(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    ends = time.perf_counter() + PATIENCE_S
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        log = folder / "error.log"
        said = log.read_text(errors="replace")[-2_000:] if log.exists() else ""
        assert process.poll() is None, said
        assert time.perf_counter() < ends, said
        time.sleep(0.02)
