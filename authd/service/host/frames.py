"""What core and its children say to each other: length-prefixed msgpack over an inherited socketpair.

A frame is a u32 (big-endian) length of at most 65,536, then a msgpack array `[op, kind, fields]`. `op` is the operation
it belongs to (0: the child itself), `kind` the name of one of the dataclasses below, `fields` its map. Each direction
has its closed table; whatever is not in it, or not exactly of its shape, is a `FrameError`, and nothing else is raised.
"""

from __future__ import annotations

import dataclasses
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from authd.core.model import Denial, Fault, PromptId
from authd.driver import (
    MAX_PROBE_BYTES,
    Capture,
    Claimed,
    Confirm,
    Delete,
    Denied,
    Enroll,
    Enrolled,
    Feedback,
    Identifier,
    NoMatch,
    Probe,
    Progress,
    Proof,
    Roster,
    StateChange,
    Verify,
    Watch,
)
from authd.service.host.grants import Grants
from authd.service.seal import SealedTemplate, WrappedKey

MAX_FRAME = 65_536
MAX_TEXT = 4_096
MAX_INSERTION = 64
MAX_TYPED = 64
MAX_TRIES_LEFT = 255
MAX_COUNTER = 2**32 - 1
MAX_OP = 2**53
_HEADER = struct.Struct(">I")


class FrameError(Exception):
    """A peer sent what no peer should: it is counted, and the child that sent it is replaced."""


# The child itself (op 0).


@dataclass(frozen=True, slots=True)
class Start:
    """First frame to a child; applied before any driver code is imported.

    target: the driver's module, `settings` its reader's strings. strict: refuse to run where any part of the sandbox
    cannot be set up (a third party's driver). parent: core's process id, with which the child dies. comparators:
    modality -> `module:attribute`, for the verifier child; shared: modality -> texts for its comparator; store: id of
    the store that its templates are sealed for.
    """

    parent: int
    grants: Grants
    strict: bool = True
    target: str = ""
    settings: dict[str, str] = dataclasses.field(default_factory=dict[str, str])
    comparators: dict[str, str] = dataclasses.field(default_factory=dict[str, str])
    shared: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict[str, tuple[str, ...]])
    store: str = ""


@dataclass(frozen=True, slots=True)
class Hello:
    """The sandbox stands: what is in force, and what this kernel could not give."""

    in_force: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Opened:
    """The device is claimed (or the comparators are loaded): operations are welcome, beats follow."""


@dataclass(frozen=True, slots=True)
class Beat:
    """Alive. Both sides send it; the event loop of the child must not be blocked between two."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The device's trouble (op 0: the child ends after it), or why an operation has no answer."""

    fault: Fault
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Close:
    """Release the device and end."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The device is released."""


# Operations of a reader: those of `authd.driver` and their events, and:


@dataclass(frozen=True, slots=True)
class Cancel:
    """End the operation in flight."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The operation is over; nothing more of it follows."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The operation waits for something typed (`model.Prompt`); the answer is `Typed` under the same operation."""

    id: PromptId
    left: int | None = None
    again: bool = False


@dataclass(frozen=True, slots=True)
class Unasked:
    """What was asked for is not wanted any more, though the operation goes on: the key was pulled out instead."""


@dataclass(frozen=True, slots=True)
class Typed:
    """What the person typed: a secret, which no log, error or repr ever shows."""

    text: str = dataclasses.field(repr=False)


# Operations of the verifier, with the `WrappedKey`s and `SealedTemplate`s of the store, and:


@dataclass(frozen=True, slots=True)
class Counted:
    """Signature counters as last kept, by reference, in parts; `Load` with the same op closes the list."""

    counters: dict[str, int]


@dataclass(frozen=True, slots=True)
class Revoked:
    """References that were revoked and must be known as such, in parts; `Load` with the same op closes the list."""

    references: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Load:
    """Open the keys and templates sent under this op; `replace` forgets the gallery that was there."""

    replace: bool


@dataclass(frozen=True, slots=True)
class Spoiled:
    """A template that does not open in its slot (swapped, renamed, rolled back, damaged): not in the gallery."""

    template: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the gallery holds now, by modality: templates, and what the comparator has measured.

    That is its false match rate of one comparison, and what whole searches cost.
    """

    templates: dict[str, int]
    fmr: dict[str, float]
    rosters: dict[str, tuple[Roster, ...]] = dataclasses.field(default_factory=dict[str, tuple[Roster, ...]])
    checkers: tuple[str, ...] = ()
    """Modalities where nothing is compared: signatures are verified."""


@dataclass(frozen=True, slots=True)
class Remove:
    """Forget a person; or the one credential of theirs that was revoked, and be able to say so."""

    subject: str
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Scope:
    """Subjects to compare with, in parts; `Search` with the same op closes the list."""

    subjects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Search:
    """Compare one probe with the scope; with a `Presentation` of the same op, that one too: the first of two fingers.

    fingers: how many different ones an answer must rest on; of the person `alone` one is enough.
    """

    modality: str
    probe: bytes
    fingers: int = 1
    alone: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """Look for the first `new` of the `Presentation`s sent under this op in the whole gallery and among the others.

    Those are of other fingers of the same sitting.
    """

    modality: str
    new: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Who the probe looks like; subject "": nobody, or nobody clearly enough (`another`: another finger would tell).

    fingers: codes of those that matched, two of them if it took both probes.
    """

    subject: str = ""
    reference: str = ""
    score: float = 0.0
    margin: float = 0.0
    replayed: bool = False
    fingers: tuple[int, ...] = ()
    another: bool = False
    again: bool = False
    """To `Known`: it is one of the other fingers of the sitting."""


@dataclass(frozen=True, slots=True)
class Check:
    """Check what a key or card signed, or a service said, under this nonce; people who may be named: the `Scope`."""

    modality: str
    given: bytes
    nonce: str
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What it is worth (`authd.driver.Checked`); credential: what finds it again without a person's act."""

    subject: str = ""
    reference: str = ""
    factors: tuple[str, ...] = ()
    grade: str = ""
    counter: int | None = None
    denial: Denial | None = None
    credential: bytes = b""


@dataclass(frozen=True, slots=True)
class Admit:
    """Seal the credential of the `Presentation`, which a reader made. Answered as `Enrol` is, or `NotAdmitted`."""

    subject: str
    modality: str
    label: str
    nonce: str


@dataclass(frozen=True, slots=True)
class NotAdmitted:
    """Why what was made is not good enough."""

    why: Denial


@dataclass(frozen=True, slots=True)
class Describe:
    """Ask how a reader finds this credential."""

    modality: str
    reference: str


@dataclass(frozen=True, slots=True)
class Described:
    """What a reader needs to find it, and the name under which a device itself keeps it."""

    credential: bytes
    name: str


@dataclass(frozen=True, slots=True)
class Presentation:
    """One probe of a finger; `Enrol`, `Known` or `Search` with the same op closes the list."""

    probe: bytes


@dataclass(frozen=True, slots=True)
class Enrol:
    """Make and seal the templates of one finger. Answered by `WrappedKey`, `SealedTemplate`s and `Ended`, or `Refused`.

    A `WrappedKey` sent before under this op is the person's own; without one, a new key is made.
    """

    subject: str
    modality: str
    finger: str


@dataclass(frozen=True, slots=True)
class Renew:
    """Seal a probe as the next version of a template of the reference's finger, under the `WrappedKey` sent before.

    Answered by the `SealedTemplate`, if the probe is clear enough, and `Ended`.
    """

    subject: str
    modality: str
    reference: str
    probe: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """The presentations do not make a template: a `Hint`, for the person."""

    hint: str


Message = (
    Start
    | Hello
    | Opened
    | Beat
    | Failed
    | Close
    | Closed
    | Capture
    | Watch
    | Verify
    | Confirm
    | Enroll
    | Delete
    | Cancel
    | Ended
    | Asked
    | Unasked
    | Typed
    | StateChange
    | Feedback
    | Progress
    | Probe
    | NoMatch
    | Proof
    | Claimed
    | Identifier
    | Denied
    | Enrolled
    | WrappedKey
    | SealedTemplate
    | Counted
    | Revoked
    | Load
    | Spoiled
    | Loaded
    | Remove
    | Scope
    | Search
    | Known
    | Answer
    | Check
    | Verdict
    | Admit
    | NotAdmitted
    | Describe
    | Described
    | Presentation
    | Enrol
    | Renew
    | Refused
)


@dataclass(frozen=True, slots=True)
class Frame:
    """One message and the operation it belongs to."""

    op: int
    message: Message


@dataclass(slots=True)
class _Shape:
    kind: type[Message]
    fields: frozenset[str]
    made: msgspec.msgpack.Decoder[Any] | None = None

    def decoder(self) -> msgspec.msgpack.Decoder[Any]:
        """Made when it is first needed: a child reads few of the kinds, and each costs memory."""
        if self.made is None:
            self.made = msgspec.msgpack.Decoder(self.kind, strict=True)
        return self.made


Table = Mapping[str, _Shape]


def _table(*kinds: type[Message]) -> Table:
    return {kind.__name__: _Shape(kind, frozenset(each.name for each in dataclasses.fields(kind))) for kind in kinds}


_UP = (Hello, Opened, Beat, Failed, Closed, Ended)
FROM_READER = _table(
    *_UP, Asked, Unasked, StateChange, Feedback, Progress, Probe, NoMatch, Proof, Claimed, Identifier, Denied, Enrolled
)
FROM_VERIFIER = _table(
    *_UP, Spoiled, Loaded, Answer, Verdict, WrappedKey, SealedTemplate, Refused, NotAdmitted, Described
)
TO_READER = _table(Start, Beat, Close, Cancel, Capture, Watch, Verify, Confirm, Enroll, Delete, Typed)
TO_VERIFIER = _table(
    Start,
    Beat,
    Close,
    WrappedKey,
    SealedTemplate,
    Counted,
    Revoked,
    Load,
    Remove,
    Scope,
    Search,
    Check,
    Presentation,
    Enrol,
    Admit,
    Describe,
    Known,
    Renew,
)

_ENCODER = msgspec.msgpack.Encoder()
_ENVELOPE = msgspec.msgpack.Decoder(tuple[int, str, msgspec.Raw], strict=True)
_FIELDS = msgspec.msgpack.Decoder(dict[str, msgspec.Raw], strict=True)


def encode(frame: Frame) -> bytes:
    """Return the frame with its length before it. Raises `FrameError` where it would be too long."""
    body = _ENCODER.encode((frame.op, type(frame.message).__name__, frame.message))
    if len(body) > MAX_FRAME:
        raise FrameError(f"{type(frame.message).__name__}: {len(body)} bytes")
    return _HEADER.pack(len(body)) + body


def parse(body: bytes, table: Table) -> Frame:
    """Read one frame's body (without its length) of one direction. Raises `FrameError` and nothing else."""
    if len(body) > MAX_FRAME:
        raise FrameError("too long")
    try:
        op, kind, raw = _ENVELOPE.decode(body)
        shape = table.get(kind)
        if shape is None or not 0 <= op < MAX_OP:
            raise FrameError("unknown kind or operation")
        if not _FIELDS.decode(raw).keys() <= shape.fields:
            raise FrameError(f"{kind}: unknown field")
        message = shape.decoder().decode(raw)
    except (ValueError, RecursionError, OverflowError) as error:  # msgspec's and the codec's errors are ValueErrors
        raise FrameError(f"malformed: {str(error)[:200]}") from None
    _check(message)
    return Frame(op, message)


def _check(message: Any) -> None:
    """Refuse what the types allow and nobody means: endless text, not-a-number, a probe out of its range."""
    for each in dataclasses.fields(message):
        value = getattr(message, each.name)
        if (isinstance(value, str) and len(value) > _LONGEST.get(each.name, MAX_TEXT)) or (
            isinstance(value, float) and not math.isfinite(value)
        ):
            raise FrameError(f"{type(message).__name__}: {each.name} out of range")
    if not _in_range(message):
        raise FrameError(f"{type(message).__name__}: out of range")


_LONGEST = {"insertion": MAX_INSERTION}


def _in_range(message: Any) -> bool:
    match message:
        case Probe(data, quality, _, pad):
            numbers = [quality, 0.0 if pad is None else pad]
            return len(data) <= MAX_PROBE_BYTES and all(0.0 <= number <= 1.0 for number in numbers)
        case Proof() | Claimed() | Identifier() | Enrolled():
            return len(message.data) <= MAX_PROBE_BYTES
        case Asked(_, left):
            return left is None or 0 <= left <= MAX_TRIES_LEFT
        case Typed(text):
            return len(text) <= MAX_TYPED
        case Verdict(counter=counter):
            return len(message.credential) <= MAX_PROBE_BYTES and (counter is None or 0 <= counter <= MAX_COUNTER)
        case _:
            return True


class Splitter:
    """Cuts a stream of bytes into bodies of frames; holds at most one frame and one chunk."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield each complete body. The length is checked before anything of the body is kept. Raises `FrameError`."""
        self._buffer += chunk
        start = 0
        try:
            while len(self._buffer) - start >= _HEADER.size:
                (length,) = _HEADER.unpack_from(self._buffer, start)
                if not 0 < length <= MAX_FRAME:
                    raise FrameError(f"length {length}")
                end = start + _HEADER.size + length
                if len(self._buffer) < end:
                    return
                yield bytes(self._buffer[start + _HEADER.size : end])
                start = end
        finally:
            del self._buffer[:start]
