"""The crew of a trace: a few workers in their sandboxes, each with a thread that feeds it and buries it."""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from authd.service.evidence.trace.reading import Why
from authd.service.evidence.trace.tally import Outcome, Trouble
from authd.service.evidence.trace.walk import Found
from authd.service.evidence.trace.wire import Begin, Done, Line, Lost, Ready, Task

MOST_WORKERS: Final = 2
"""Unless more are asked for: with `HEAP_MB` each, all of it stays below 500 MB, whatever the files are."""
HEAP_MB: Final = 100
SECONDS: Final = 300.0
_GRACE: Final = 30.0
_START: Final = 60.0
_OUT_OF_MEMORY: Final = 3
_MOST_STARTS: Final = 3
_WAITING: Final = 1_000


class CrewError(Exception):
    """No worker can be started: one line for a person."""


@dataclass(slots=True)
class Crew:
    """Reads files in parallel. workers: 0 means one a processor, at most `MOST_WORKERS`."""

    folder: Path
    prints: Sequence[Path]
    key: bytes = field(repr=False)
    workers: int = 0
    heap_mb: int = HEAP_MB
    seconds: float = SECONDS
    peak_kb: int = 0
    """The most memory that the workers have held, all together."""
    sandbox: Ready | None = None
    _children: set[_Child] = field(default_factory=lambda: set[_Child]())
    _peaks: dict[int, int] = field(default_factory=dict[int, int])

    def read(self, files: Sequence[Found]) -> Iterator[tuple[int, Outcome]]:
        """Yield each file's number and outcome as they come, the largest files first. Raises `CrewError`."""
        order = sorted(range(len(files)), key=lambda number: -files[number].size)
        tasks = iter(
            [Task(number, os.fsencode(self.folder / files[number].name), files[number].label) for number in order]
        )
        outcomes: queue.Queue[Outcome | Exception | None] = queue.Queue(_WAITING)
        feed, halt = _Feed(tasks), threading.Event()
        count = min(self.workers or min(len(os.sched_getaffinity(0)), MOST_WORKERS), max(1, len(order)))
        threads = [threading.Thread(target=self._feed, args=(at, feed, outcomes, halt)) for at in range(count)]
        for thread in threads:
            thread.start()
        try:
            yield from self._drain(outcomes, count)
        finally:
            halt.set()
            for child in list(self._children):  # whoever is interrupted does not wait for what they read
                child.kill()
            while any(thread.is_alive() for thread in threads):
                with contextlib.suppress(queue.Empty):  # whoever waits to tell something is let go
                    outcomes.get(timeout=0.05)
            self.peak_kb = sum(self._peaks.values())

    def _drain(self, outcomes: queue.Queue[Outcome | Exception | None], running: int) -> Iterator[tuple[int, Outcome]]:
        while running:
            outcome = outcomes.get()
            if outcome is None:
                running -= 1
            elif isinstance(outcome, Exception):
                raise outcome
            else:
                yield outcome.number, outcome

    def _feed(
        self,
        at: int,
        feed: _Feed,
        outcomes: queue.Queue[Outcome | Exception | None],
        halt: threading.Event,
    ) -> None:
        """One thread: a worker after another, until nothing is left to read."""
        child: _Child | None = None
        try:
            while not halt.is_set() and (task := feed.next()) is not None:
                child = child or self._start()
                self._children.add(child)
                done = child.read(task, self.seconds + _GRACE)
                if isinstance(done, Done):
                    self._peaks[at] = max(self._peaks.get(at, 0), done.peak_kb)
                    outcomes.put(done.outcome)
                else:
                    self._children.discard(child)
                    child.end()
                    child = None
                    outcomes.put(Outcome(task.number, "", 0, troubles=(Trouble(task.name, done),)))
        except Exception as error:  # whatever ends this thread ends the trace, and says so
            outcomes.put(error)
        finally:
            if child:
                self._children.discard(child)
                child.end()
            outcomes.put(None)

    def _start(self) -> _Child:
        paths = tuple(str(path.absolute()) for path in self.prints)
        begin = Begin(os.fsencode(self.folder), paths, self.key, os.getpid(), self.heap_mb, self.seconds)
        for _ in range(_MOST_STARTS):
            child = _Child()
            try:
                self.sandbox = child.begin(begin)
            except (Lost, TimeoutError):
                child.end()
            else:
                return child
        raise CrewError("no worker starts; is the memory used up?")


class _Feed:
    """Tasks, one at a time, to several threads."""

    def __init__(self, tasks: Iterator[Task]) -> None:
        self._tasks, self._lock = tasks, threading.Lock()

    def next(self) -> Task | None:
        with self._lock:
            return next(self._tasks, None)


class _Child:
    """A worker process."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-I", "-m", "authd.service.evidence.trace.worker", str(theirs.fileno())]
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, a module of authd's, a number
            command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        theirs.close()
        self._socket, self._line = ours, Line(ours)

    def begin(self, begin: Begin) -> Ready:
        self._socket.settimeout(_START)
        self._line.send(begin)
        ready: Ready = self._line.receive(Ready)
        return ready

    def read(self, task: Task, seconds: float) -> Done | Why:
        """Have one file read; or why the worker did not come back."""
        self._socket.settimeout(seconds)
        try:
            self._line.send(task)
            done: Done = self._line.receive(Done)
        except TimeoutError:
            return Why.TOO_LONG
        except Lost:
            return Why.MEMORY if self._code() == _OUT_OF_MEMORY else Why.CRASHED
        return done if done.outcome.number == task.number else Why.CRASHED

    def _code(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(5.0)
        return None

    def kill(self) -> None:
        """End the process; whoever waits for its answer hears of it."""
        self._process.kill()

    def end(self) -> None:
        self._socket.close()
        self._process.kill()
        self._process.wait()
