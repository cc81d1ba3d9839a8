"""What there is to fuzz, and what all of it must keep."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CORPUS = Path(__file__).parent / "corpus"
FINDS = ROOT / ".fuzz"
SLOW_MS = 50.0


@dataclass(frozen=True, slots=True)
class Target:
    """One parser, or a few of a kind: `one(data)` of the module `tests.fuzz.targets.<name>`.

    instrumented: packages whose branches lead the way. That module's `declared(error)` says which errors are the one
    that is meant; `seeds()` gives whole, good inputs to begin with.
    """

    name: str
    instrumented: tuple[str, ...]
    longest: int = 8_192
    apart: bool = False
    """Only in a process of its own: with sources of a library in place of its compiled modules (pure.py)."""

    @property
    def corpus(self) -> Path:
        """Inputs that are kept."""
        return CORPUS / self.name

    @property
    def finds(self) -> Path:
        """Inputs that the last runs found."""
        return FINDS / self.name

    def module(self) -> Any:
        """Import the target, and with it the parsers."""
        return importlib.import_module(f"tests.fuzz.targets.{self.name}")

    def begin(self) -> Iterator[bytes]:
        """Yield the seeds and the corpus."""
        yield from self.module().seeds()
        for path in sorted(self.corpus.glob("*")):
            yield path.read_bytes()


_ALL = (
    Target("postgres", ("authd.broker.postgres",), 4_096),
    Target("frames", ("authd.service.host.frames", "authd.service.host.grants"), 66_000),
    Target("door", ("authd.service.bus",), 16_384),
    Target("webauthn", ("authd_drivers.fido2", "fido2"), 16_384),
    Target("ctap", ("authd_drivers.fido2", "fido2")),
    Target("hid", ("authd_drivers.fido2.hid", "authd_drivers.fido2.nfc", "authd.service.host.nodes")),
    Target("cards", ("authd_drivers.pcsc",)),
    Target("atr", ("authd_drivers.pcsc.atr",), 64),
    Target("dbus", ("authd_drivers.fprintd", "dbus_fast"), apart=True),
    Target("roster", ("authd.service.evidence.supervision", "authd.cli.review"), 4_096),
    Target("sim_key", ("authd_simulators.fido_key",)),
    Target("sim_wire", ("authd_simulators.fido_key",)),
    Target("found", ("authd.service.evidence.trace",)),
    Target("sheets", ("authd.service.evidence.trace.reading",), 4_096),
    Target("prints", ("authd.service.evidence.trace",), 4_096),
    Target("brokers", ("authd.broker", "authd.agent.wayland", "html.parser", "_markupbase"), 6_000),
    Target("gateway", ("authd.web.gateway", "joserfc"), 4_096),
    Target("evidence", ("authd.service.evidence.bundle.verify_evidence", "authd.core", "authd.service.ledger"), 4_096),
)
TARGETS = {each.name: each for each in _ALL}


def check(target: Target) -> list[Exception]:
    """Run the seeds, the corpus, and what no device would send; return the errors that are not the declared one."""
    module = target.module()
    plain = (b"", b"\0", b"\xff" * target.longest, bytes(target.longest))
    return [error for data in (*target.begin(), *plain) if (error := judge(module, data)) is not None]


def judge(module: Any, data: bytes) -> Exception | None:
    """Run one input; return the error if it is not the declared one."""
    one: Callable[[bytes], None] = module.one
    try:
        one(data)
    except Exception as error:
        return None if module.declared(error) else error
    return None
