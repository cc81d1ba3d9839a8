"""A gateway as a process of its own, before the systems of a stage."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from authd_simulators.stage import Stage
from authd_simulators.stage import free_port as free_port


async def stage_gateway(
    stage: Stage,
    port: int,
    *,
    forward: Mapping[str, str] | None = None,
    public: str = "",
    more: str = "",
    lines: Mapping[str, str] | None = None,
    text: str = "",
    name: str = "gateway",
) -> str:
    """Start `authd gateway` on `port`, wait until it hears authd, and return its address. The stage ends it.

    forward: application -> the origin under which its proxy shows it; lines: application -> what else its `forward`
    says, as TOML. more: further tables. text: the whole file, in place of all that. name: of one of several.
    """
    config = stage.folder / f"{name}.toml"
    tables = {
        name: f"origin = {json.dumps(origin)}, {(lines or {}).get(name, '')}"
        for name, origin in (forward or {}).items()
    }
    config.write_text(text or gateway_toml(stage, port, tables, public) + more, encoding="utf-8")
    await stage.start(name, ["-I", "-m", "authd", "gateway", "--config", str(config)])
    await stage.wait_for(lambda: _healthy(port), f"the {name}", stage.processes[name])
    return f"http://127.0.0.1:{port}"


def gateway_toml(stage: Stage, port: int, forward: Mapping[str, str], public: str) -> str:
    """Return the settings for every system of the stage."""
    keys = stage.folder / "state" / "keys" / "curve"
    lines = ["[gateway]", f'listen = "127.0.0.1:{port}"', f"public = {json.dumps(public)}", "[door]"]
    lines += [f'router = "ipc://{stage.folder}/run/router.sock"', f"server_key = {_quoted(keys / 'router.key')}"]
    for each in stage.systems:
        lines += [f"[application.{each.name}]", f"key_file = {_quoted(keys / f'app-{each.name}.key')}"]
        if each.name in forward:
            lines += [f"forward = {{ {forward[each.name].rstrip(', ')} }}"]
    return "\n".join(lines) + "\n"


def _quoted(path: Path) -> str:
    return json.dumps(str(path))


def _healthy(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as line:
        line.sendall(b"GET /health HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n")
        return line.recv(64).startswith(b"HTTP/1.1 200")
    return False
