"""What the gateway's own OpenAPI document allows and does not allow, sent to the gateway by schemathesis.

Each answer must be one that the document lists, with the body and the headers it lists; none may be a fault; no refusal
may say anything of whoever is at the seat; and whoever is logged in stays so, and is answered.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode

from authd.web.gateway.app import operations
from authd.web.gateway.openapi import document
from authd.web.gateway.operations import Operation
from authd_simulators.mock import MockDaemon
from tests.tools.gateway_stage import free_port

pytestmark = pytest.mark.real

_ALWAYS: Any = import_module("schemathesis.checks")
_OPENAPI: Any = import_module("schemathesis.specs.openapi.checks")  # its functions' types are known only in part
CHECKS: Any = [
    _ALWAYS.not_a_server_error,
    _OPENAPI.status_code_conformance,
    _OPENAPI.content_type_conformance,
    _OPENAPI.response_schema_conformance,
    _OPENAPI.response_headers_conformance,
]
PATIENCE_S = 30.0
EXAMPLES = 6
"""Requests of each kind for each operation, once without and once with a cookie that is good."""
SECRETS = (
    "佐藤",
    "サトウ",
    "1001",
    "staff_",
    "resident-section",
    "mock-reader",
    "tpl_mock",
    "Traceback",
    "site-packages",
)
"""What no refusal may say: whose seat it is, what they are recognised by, and where our code lies."""
ENDLESS = ("/forward/{application}/stream", "/ssf/poll")
"""Who may, waits there: tests/web/gateway reads them."""
TOKEN = "a-receiver-of-security-events"


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway before a mock daemon, where somebody is logged in through a browser."""

    address: str
    cookie: str

    def headers(self, logged_in: bool) -> dict[str, str]:
        """What the browser sends."""
        return {"Cookie": self.cookie, "Authorization": f"Bearer {TOKEN}"} if logged_in else {}


@pytest.fixture(scope="module")
def gateway() -> Generator[Gateway, None, None]:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="ao", dir="/tmp") as folder, MockDaemon(issuer=address) as daemon:
        process = _start(daemon, Path(folder), port)
        try:
            yield Gateway(address, _log_in(daemon, address))
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def _start(daemon: MockDaemon, folder: Path, port: int) -> subprocess.Popen[bytes]:
    resident = daemon.application("resident", scope=("name", "section"), account="staff_{staff_number}")
    config = folder / "gateway.toml"
    config.write_text(
        f'[gateway]\nlisten = "127.0.0.1:{port}"\npublic = "http://127.0.0.1:{port}"\n'
        f'[door]\nrouter = "{daemon.router}"\nserver_key = {json.dumps(str(resident.server_key_file))}\n'
        f"[application.resident]\nkey_file = {json.dumps(str(resident.key_file))}\n"
        f'forward = {{ origin = "http://127.0.0.1:{port}" }}\n'
        f'[client.resident]\nstart = "http://127.0.0.1:{port}/health"\n'
        f'redirect_uris = ["http://127.0.0.1:{port}/health"]\n'
        f'[receiver.resident]\ntoken_sha256 = "{hashlib.sha256(TOKEN.encode()).hexdigest()}"\n',
        encoding="utf-8",
    )
    process = subprocess.Popen([sys.executable, "-I", "-m", "authd", "gateway", "--config", str(config)])
    ends = time.perf_counter() + PATIENCE_S
    while time.perf_counter() < ends and process.poll() is None:
        with suppress(httpx.TransportError):
            if httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200:
                return process
        time.sleep(0.05)
    process.kill()
    raise AssertionError(f"the gateway does not answer: {process.wait()}")


def _log_in(daemon: MockDaemon, address: str) -> str:
    person = daemon.person("1001", "佐藤 花子", kana="サトウ ハナコ", section="resident-section")
    daemon.log_in("counter-1", person)
    ticket, _ = daemon.ticket("counter-1", "resident")
    opened = httpx.get(f"{address}/forward/resident/open", params={"ticket": ticket})
    assert opened.status_code == 303, opened.text
    return "; ".join(f"{name}={value}" for name, value in opened.cookies.items())


def _of(operation: Operation) -> Any:
    """The operation alone, with what exists written where the document can only say `string`."""
    made = document([operation])
    for methods in made["paths"].values():
        for each in methods.values():
            for parameter in each.get("parameters", ()):
                if parameter["name"] in ("application", "client", "client_id"):
                    parameter["schema"] = {"anyOf": [{"const": "resident"}, {"type": "string", "maxLength": 80}]}
    return schemathesis.openapi.from_dict(made)


@pytest.mark.parametrize("logged_in", [False, True], ids=["stranger", "somebody"])
@pytest.mark.parametrize("operation", operations(), ids=lambda each: f"{each.method} {each.path}")
def test_it_answers_as_it_says(gateway: Gateway, operation: Operation, logged_in: bool) -> None:
    if logged_in and operation.path in ENDLESS:
        return
    (found,) = _of(operation).get_all_operations()
    _send(gateway, found.ok(), GenerationMode.POSITIVE, gateway.headers(logged_in))
    if operation.body or any(each.place in ("path", "query") for each in operation.parameters):  # else nothing is wrong
        _send(gateway, found.ok(), GenerationMode.NEGATIVE, gateway.headers(logged_in))
    assert httpx.get(f"{gateway.address}/health").status_code == 200


def _send(gateway: Gateway, operation: Any, mode: GenerationMode, headers: Mapping[str, str]) -> None:
    @seed(6)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def one(case: Any) -> None:
        answer = case.call(base_url=gateway.address, headers=dict(headers), timeout=30, allow_redirects=False)
        case.validate_response(answer, checks=CHECKS)
        if answer.status_code >= 400:
            said = answer.content.decode("utf-8", "replace") + str(answer.headers)
            asked = case.as_transport_kwargs(base_url=gateway.address)
            assert not [word for word in SECRETS if word in said and word not in str(asked)]

    one()


def test_an_answer_that_is_not_listed_is_found(gateway: Gateway) -> None:
    (verify,) = [each for each in operations() if each.path == "/verify/{application}"]
    (found,) = _of(replace(verify, responses={200: verify.responses[200]})).get_all_operations()
    with pytest.raises(FailureGroup, match="Undocumented status code"):
        _send(gateway, found.ok(), GenerationMode.POSITIVE, {})


def test_whoever_was_logged_in_still_is(gateway: Gateway) -> None:
    """After everything above: the proxy's question about them is answered with yes."""
    answer = httpx.get(f"{gateway.address}/verify/resident", headers=gateway.headers(True))
    assert answer.status_code == 200
    assert answer.headers["Remote-User"] == "staff_1001"
