"""Work in parallel: processes at low priority, a bounded number of tasks under way, and a clean end on Ctrl-C."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

_Result = TypeVar("_Result")

Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done and how much there is."""
NICE = 10
_SURROUNDINGS = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENCV_IO_MAX_IMAGE_PIXELS": str(1 << 27),
    "OPENCV_LOG_LEVEL": "SILENT",  # what is wrong with a picture is said by name, not by its decoder
}


def silent(what: str, done: int, total: int) -> None:
    """Show no progress."""


def cores() -> int:
    """Processors that this process may use."""
    return max(1, len(os.sched_getaffinity(0)))


def in_order(work: Callable[..., _Result], tasks: Iterable[tuple[Any, ...]], jobs: int) -> Iterator[_Result]:
    """Yield `work(*task)` for each task, in order; `jobs` of 1 or fewer works in this process.

    `work` is a function of a module, and what it takes and gives can be pickled. At most four tasks a process are under
    way, so that neither they nor their results pile up.
    """
    if jobs <= 1:
        for task in tasks:
            yield work(*task)
        return
    with workers(jobs) as pool:
        yield from _flow(pool, work, iter(tasks), 4 * jobs)


@contextmanager
def workers(jobs: int) -> Generator[ProcessPoolExecutor, None, None]:
    """Processes for several rounds of work; each is born by the time the pool is given."""
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=_lower)
    try:
        with _surroundings():
            for birth in [pool.submit(int) for _ in range(jobs)]:
                birth.result()
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _flow(
    pool: ProcessPoolExecutor, work: Callable[..., _Result], tasks: Iterator[tuple[Any, ...]], window: int
) -> Iterator[_Result]:
    under_way: deque[Future[_Result]] = deque()
    with _surroundings():
        for task in islice(tasks, window):
            under_way.append(pool.submit(work, *task))
    while under_way:
        yield under_way.popleft().result()
        for task in islice(tasks, 1):
            under_way.append(pool.submit(work, *task))


@contextmanager
def _surroundings() -> Generator[None, None, None]:
    """What the processes inherit at birth: one thread each, and Ctrl-C left to this process, which ends them."""
    before: Mapping[str, str | None] = {name: os.environ.get(name) for name in _SURROUNDINGS}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.environ.update(_SURROUNDINGS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _lower() -> None:
    os.nice(NICE)
