"""Loading a bundle whole or not at all, and watching its files: a bad bundle leaves the old one in its place."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from authd.service.pdp import cases
from authd.service.pdp.bundle import Bundle, Source, read
from authd.service.pdp.decision import Pdp
from authd.service.pdp.errors import BundleError

POLL_S = 1.0
MAX_WATCHED = 1_000


@dataclass(frozen=True, slots=True)
class Loaded:
    """Another bundle decides from now on (`policy.loaded`)."""

    bundle: Bundle


@dataclass(frozen=True, slots=True)
class Refused:
    """A bundle was not taken; the one before goes on deciding (`policy.refused`)."""

    error: BundleError
    bundle: Bundle
    """The bundle that goes on."""


def load(source: Source) -> Bundle:
    """Read a bundle and run its cases. Raises `BundleError` for whatever is wrong with it."""
    bundle = read(source)
    for outcome in cases.run(source, bundle):
        if outcome.wrong:
            case = outcome.case
            raise BundleError(case.file, case.line, f'case "{case.name}": {outcome.wrong}')
    return bundle


def reload(pdp: Pdp, source: Source) -> Loaded | Refused | None:
    """Put the source's bundle in place if it is good. None: it is the one that decides already. Never raises."""
    try:
        bundle = load(source)
    except BundleError as error:
        return Refused(error, pdp.bundle)
    except Exception as error:  # the watcher must outlive whatever a broken file provokes
        return Refused(BundleError(str(source.folder), 1, f"expected a bundle: {type(error).__name__}"), pdp.bundle)
    if bundle.hash == pdp.bundle.hash:
        return None
    pdp.bundle = bundle
    return Loaded(bundle)


async def watch(
    pdp: Pdp, source: Source, sleep: Callable[[float], Awaitable[None]], tell: Callable[[Loaded | Refused], None]
) -> None:
    """Poll the files every second, for ever, and reload once a change has rested for one poll."""
    taken, before = None, await asyncio.to_thread(_stamp, source)
    while True:
        await sleep(POLL_S)
        now = await asyncio.to_thread(_stamp, source)
        if now == before and now != taken:
            taken = now
            result = await asyncio.to_thread(reload, pdp, source)
            if result is not None:
                tell(result)
        before = now


def _stamp(source: Source) -> tuple[object, ...]:
    """What changes whenever a file of the bundle does."""
    return tuple(_stat(path) for path in _watched(source))


def _watched(source: Source) -> Iterator[Path]:
    yield source.settings_path
    for kind in ("site", "tests", "base", "schema"):
        found = sorted(source.folder.joinpath(kind).glob("**/*"))
        yield from found[:MAX_WATCHED]


def _stat(path: Path) -> tuple[str, int, int, int]:
    try:
        stat = path.stat()
    except OSError:
        return str(path), 0, 0, 0
    return str(path), stat.st_mtime_ns, stat.st_size, stat.st_ino
