"""What the PAM module is tried with: a door that says what a test wants, and an application of PAM."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from authd.pam.build import HANG_UP, MODULE, compiled, hang_up, module
from authd.pam.build import HERE as SOURCES

SUCCESS, SERVICE_ERR, SYSTEM_ERR, PERM_DENIED, AUTH_ERR, AUTHINFO_UNAVAIL, SESSION_ERR = 0, 3, 4, 6, 7, 9, 14
"""Of Linux-PAM (security/_pam_types.h)."""
MUST_FAIL = PERM_DENIED
"""What libpam makes of a stack in which nothing counted."""
SANITIZED = ("-O1", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
PATIENCE_S = 60.0
YES = {"outcome": "yes", "account": "staff_1001", "session": "ses_1", "subject": "sub_1"}
Script = Callable[[socket.socket, dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of one transaction."""

    result: int
    user: str
    account: str
    session: str
    subject: str
    said: list[str] = field(default_factory=list[str])
    interrupted: int = 0
    """How many signals had come by then."""


class Built:
    """The module and the application, with the sanitizers in both, built once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.module, self.hang_up = folder / MODULE, folder / HANG_UP
        self.harness, self.parser = folder / "harness", folder / "parser"
        here = Path(__file__).parent
        parser = ["-I", str(SOURCES), str(here / "parser.c"), str(SOURCES / "answer.c")]
        with ThreadPoolExecutor() as pool:
            made: list[Future[Any]] = [
                pool.submit(module, folder, SANITIZED),
                pool.submit(hang_up, folder, SANITIZED),
                pool.submit(compiled, self.harness, [*SANITIZED, str(here / "harness.c"), "-lpam"]),
                pool.submit(compiled, self.parser, [*SANITIZED, *parser]),
            ]
        for each in made:
            each.result()

    def service(self, folder: Path, *options: str, control: str = "required", what: str = "auth") -> Path:
        """Write a service whose only line is the module; returns the folder of services."""
        folder.mkdir(exist_ok=True)
        (folder / "seat").write_text(f"{what} {control} {self.module} {' '.join(options)}\n")
        return folder

    def run(
        self,
        services: Path,
        user: str | None = None,
        *,
        times: int = 1,
        host: str = "",
        conversation: str = "good",
        what: str = "auth",
        language: str = "en_US.UTF-8",
        silent: bool = False,
        interrupted: bool = False,
    ) -> list[Tried]:
        """Run transactions in one process. What a sanitizer finds, a leak too, is an error."""
        words = [str(self.harness), str(services), "seat", str(times), host, conversation, what]
        done = subprocess.run(
            [*words, *([user] if user is not None else [])],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            env={
                **({"SILENT": "1"} if silent else {}),
                **({"INTERRUPTED": "1"} if interrupted else {}),
                "LANG": language,
                "ASAN_OPTIONS": "detect_leaks=1",
                "PATH": os.environ["PATH"],
            },
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4_000:]
        return list(tried(done.stdout))


def tried(text: str) -> Sequence[Tried]:
    """Read what the harness printed."""
    found: list[Tried] = []
    said: list[str] = []
    for line in map(json.loads, text.splitlines()):
        if "text" in line:
            said.append(line["text"])
        else:
            found.append(Tried(said=said, **line))
            said = []
    return found


class Door:
    """A door in a folder of its own; every connection is a line of request, then whatever the script does."""

    def __init__(self, script: Script | None = None) -> None:
        self.script: Script = script or says({"item": YES})
        self.deaf = False
        """It hangs up on everybody at once."""
        self.asked: list[dict[str, Any]] = []
        self._temporary = tempfile.TemporaryDirectory(prefix="pd-")
        self.folder = Path(self._temporary.name)
        self.path = self.folder / "door.sock"
        self._listener = socket.socket(socket.AF_UNIX)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._listener.bind(str(self.path))
        self._listener.listen(64)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        self._temporary.cleanup()

    @property
    def option(self) -> str:
        return f"socket={self.path}"

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.settimeout(PATIENCE_S)
                if self.deaf:
                    continue
                line = b""
                while not line.endswith(b"\n") and (more := connection.recv(4_096)):
                    line += more
                if not line:
                    continue  # it went without a word
                self.asked.append(json.loads(line))
                self.script(connection, self.asked[-1])


def says(*frames: dict[str, Any], number: object = 1) -> Script:
    """A door that accepts, says these, and waits for the other end to go."""

    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        accepted: dict[str, Any] = {"id": number, "ok": True, "seat": "counter-1"}
        for frame in (accepted, *({"id": number, **each} for each in frames)):
            connection.sendall(json.dumps(frame).encode() + b"\n")
        connection.recv(1)

    return script


def raw(data: bytes, *, wait: bool = False) -> Script:
    """A door that sends these bytes, and hangs up, or waits for the other end to."""

    def script(connection: socket.socket, request: dict[str, Any]) -> None:
        connection.sendall(data)
        if wait:
            connection.recv(1)

    return script


def watchers(program: Path) -> list[int]:
    """Return the processes that run this program, whatever they are called."""
    found: list[int] = []
    for each in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if each.joinpath("exe").readlink() == program:
                found.append(int(each.name))
    return found


def safe(name: str) -> bool:
    """What an account may be, said a second time and in another language."""
    return re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,62}", name) is not None
