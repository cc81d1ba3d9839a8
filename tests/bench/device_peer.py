"""The peer of tests.bench.devices: a login with python-fido2's own client and server, in one process, over the pty."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fido2.client import DefaultClientDataCollector, Fido2Client, UserInteraction
from fido2.hid import CtapHidDevice
from fido2.hid.linux import LinuxCtapHidConnection
from fido2.server import Fido2Server
from fido2.webauthn import (
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from authd_simulators.control import command
from tests.bench.device_stage import Wire, now_ms
from tests.tools import fido2_over_pty

RP, ORIGIN = "peer.example", "https://peer.example"
VERIFIED = UserVerificationRequirement.REQUIRED


class Peer:
    """One key, enrolled with the library's server."""

    def __init__(self, port: Path) -> None:
        descriptor = fido2_over_pty.descriptor(str(port))
        connect: Any = LinuxCtapHidConnection
        device = CtapHidDevice(descriptor, connect(descriptor))
        self._client: Any = Fido2Client(device, DefaultClientDataCollector(ORIGIN), UserInteraction())
        self._server: Any = Fido2Server(PublicKeyCredentialRpEntity(name="Peer", id=RP))

    def enrol(self) -> None:
        user = PublicKeyCredentialUserEntity(name="sub_1", id=b"sub_1")
        required = ResidentKeyRequirement.REQUIRED
        asked, state = self._server.register_begin(user, (), required, VERIFIED)
        made = self._client.make_credential(asked.public_key)
        self._known = [self._server.register_complete(state, made).credential_data]

    def log_in(self) -> float:
        """Return when the server was content."""
        asked, state = self._server.authenticate_begin(user_verification=VERIFIED)
        answer = self._client.get_assertion(asked.public_key).get_response(0)
        self._server.authenticate_complete(state, self._known, answer)
        return now_ms()


async def logins(rounds: int) -> Sequence[float]:
    """Return how long each took from the touch, in ms."""
    with tempfile.TemporaryDirectory(prefix="peer-") as folder:
        control, port = Path(folder, "control.sock"), Path(folder, "port")
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "authd_simulators.fido_key",
                "--control",
                str(control),
                "--pty",
                str(port),
                "--bio",
            ),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            assert process.stdout is not None
            await process.stdout.readline()
            await command(control, "LEARN 2")
            return await _measured(port, control, rounds)
        finally:
            process.terminate()
            await process.wait()


async def _measured(port: Path, control: Path, rounds: int) -> Sequence[float]:
    peer, spans = Peer(port), list[float]()
    async with Wire(control) as key:
        for number in range(rounds + 1):
            working = asyncio.ensure_future(asyncio.to_thread(peer.log_in if number else peer.enrol))
            await key.say("AWAIT 5000")
            sent = await key.say("FINGER 2")
            done = await working
            if done is not None:
                spans.append(done - sent)
    return spans
