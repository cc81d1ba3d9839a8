"""What a child says to core, and core to a child: `authd.service.host.frames`."""

from __future__ import annotations

from collections.abc import Iterator

from authd.core.model import Denial, Fault, Hint
from authd.driver import (
    Capture,
    Claimed,
    Denied,
    Feedback,
    Identifier,
    NoMatch,
    Probe,
    Proof,
    State,
    StateChange,
    Watch,
)
from authd.service.host import frames
from authd.service.host.frames import Frame, FrameError

TABLES = (frames.FROM_READER, frames.FROM_VERIFIER, frames.TO_READER, frames.TO_VERIFIER)
NONCE = "0123456789abcdef" * 2


def one(data: bytes) -> None:
    """Read a stream of frames of one direction; whatever is read says the same when it is said again."""
    table = TABLES[data[0] % len(TABLES)] if data else TABLES[0]
    splitter = frames.Splitter()
    for body in splitter.feed(data[1:]):
        frame = frames.parse(body, table)
        again = frames.encode(frame)
        assert frames.encode(frames.parse(again[4:], table)) == again
    frames.parse(data[1:], table)


def declared(error: Exception) -> bool:
    """Whether this is the error that is meant."""
    return isinstance(error, FrameError)


def seeds() -> Iterator[bytes]:
    """Yield a frame of each kind that a reader or the verifier sends, behind the number of its table."""
    messages: list[frames.Message] = [
        StateChange(State.CREDENTIAL_INSERTED, "1"),
        Feedback(Hint.WET),
        Probe(b"probe", 0.5, NONCE, 0.75),
        NoMatch(NONCE),
        Proof(b"{}", NONCE, "1"),
        Claimed("sub_1", NONCE, b"\2"),
        Identifier(b"\4\x11", NONCE),
        Denied(Denial.BLOCKED, NONCE),
        frames.Failed(Fault.REMOVED, "gone"),
        frames.Hello(("seccomp",), ()),
    ]
    for message in messages:
        yield b"\0" + frames.encode(Frame(3, message))
    yield b"\1" + frames.encode(Frame(3, frames.Answer("sub_1", "tpl_1@1", 0.5, 0.25, fingers=(2,))))
    yield b"\1" + frames.encode(Frame(3, frames.Loaded({"vein": 2}, {"vein": 1e-5})))
    yield b"\2" + frames.encode(Frame(3, Capture(NONCE))) + frames.encode(Frame(4, Watch()))
    yield b"\3" + frames.encode(Frame(3, frames.Search("vein", b"probe")))
