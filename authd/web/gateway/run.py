"""The gateway from its settings file: served until it is told to end, or only looked at."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path

from authd.client.tables import BadSettings
from authd.web.gateway.app import running
from authd.web.gateway.server import serve
from authd.web.gateway.settings import GatewaySettings, load

log = logging.getLogger("authd.web.gateway")


def run(config: Path) -> None:
    """Serve what the file says. Raises `BadSettings`; `OSError`: no such file, or the address cannot be had."""
    _do(config, lambda settings: serve(settings, _listening))


def check(config: Path) -> None:
    """Look whether the file, and the keys that it names, can be used; nothing is started. Raises as `run`."""
    _do(config, _made)


def _listening(address: str) -> None:
    log.warning("the gateway is at http://%s/", address)


async def _made(settings: GatewaySettings) -> None:
    """Make every surface and let it go: no task of theirs has begun when it is cancelled."""
    async with running(settings):
        return


def _do(config: Path, work: Callable[[GatewaySettings], Coroutine[None, None, None]]) -> None:
    settings = load(config)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(work(settings))
    except ExceptionGroup as errors:  # a bad table that was found when the connections were being opened
        bad, others = errors.split(BadSettings)
        if bad is None or others is not None:
            raise
        raise BadSettings("; ".join(_each(bad))) from None


def _each(group: ExceptionGroup[BadSettings]) -> Iterator[str]:
    """Yield what each of them says, however deep it lies."""
    for error in group.exceptions:
        if isinstance(error, ExceptionGroup):
            yield from _each(error)
        else:
            yield str(error)
