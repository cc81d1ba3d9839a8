"""One side of the yardstick as a process: JSON lines in, JSON lines out, each with the CPU time of the work alone.

`python -m tests.bench.vein_peer_worker peer|own`. CPU time counts every thread and nothing of other processes, so that
a ratio of two is one of single cores on a busy machine too. Frames come with the request: no reading is measured.
The own side names no module of the engine before it is chosen: the peer's environment has none of it, and the reverse.
"""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
_Result = TypeVar("_Result")


def measured(work: Callable[[], _Result]) -> tuple[float, _Result]:
    """Milliseconds on a processor, and the result."""
    begun = time.process_time_ns()
    result = work()
    return (time.process_time_ns() - begun) / 1e6, result


class Side(Protocol):
    """Frames are numbered from 0 as they come."""

    def extract(self, frame: Image) -> dict[str, Any]: ...

    def compare(self, probe: int, others: list[int], displacement: str) -> dict[str, Any]: ...


class PeerSide:
    """The peer's pipeline as it is shipped; a pair at a time, as it knows no other way."""

    def __init__(self) -> None:
        from tests.bench.vein_peer_pipeline import Peer, displacements

        self._peer, self._displacements = Peer("finger"), displacements
        self._maps: list[npt.NDArray[Any]] = []

    def extract(self, frame: Image) -> dict[str, Any]:
        ms, veins = measured(lambda: self._peer.extract(frame))
        self._maps.append(veins)
        return {"ms": ms, "found": True}

    def compare(self, probe: int, others: list[int], displacement: str) -> dict[str, Any]:
        """One after the other; the name of a displacement that is tried."""
        one, maps = self._maps[probe], [self._maps[other] for other in others]
        chosen = self._displacements(*one.shape)[displacement]
        ms, scores = measured(lambda: [self._peer.compare(each, one, chosen) for each in maps])
        return {"ms": ms / len(others), "scores": scores}


class OwnSide:
    """The vein engine: one process of the reader's half and the verifier's."""

    def __init__(self, profile: str) -> None:
        from authd_drivers.vein.comparator import VeinComparator
        from authd_drivers.vein.engine.compare import lattices
        from authd_drivers.vein.engine.extract import extract
        from authd_drivers.vein.engine.profile import load_profile

        self._profile = load_profile(profile)
        self._find, self._comparator = extract, VeinComparator(profiles=[self._profile])
        self._scores = lattices(self._profile.search)[0].scores
        self._records: list[bytes | None] = []
        self._scope: list[str] = []

    def extract(self, frame: Image) -> dict[str, Any]:
        ms, found = measured(lambda: self._find(frame, self._profile))
        self._records.append(found.template)
        return {"ms": ms, "found": found.template is not None}

    def compare(self, probe: int, others: list[int], displacement: str) -> dict[str, Any]:
        """Exact comparison of one probe with all others at once, as a search does it, at all shifts of the profile."""
        one, rows = self._words([probe])[0], self._words(others)
        ms, scores = measured(lambda: self._scores(one, rows))
        return {"ms": ms / len(others), "scores": scores.tolist()}

    def fill(self, templates: int) -> dict[str, Any]:
        """A gallery of that many people: the templates at hand with their rows shuffled, as dense and nobody's."""
        from authd.driver import Reference
        from authd_drivers.vein.engine.template import TEMPLATE_BYTES, Template, pack

        rng, stock = np.random.default_rng(1), [record for record in self._records if record is not None]
        self._scope = [f"sub_{number}" for number in range(templates)]
        references: list[Reference] = []
        for number, subject in enumerate(self._scope):
            rows = rng.permutation(np.frombuffer(_bits(stock[number % len(stock)]), "<u8"))
            assert rows.nbytes == TEMPLATE_BYTES
            record = pack(Template(self._profile.id, 0.5, rows.tobytes()))
            references.append(Reference(subject, f"tpl_{number}@1", record))
        self._comparator.load(references)
        return {"templates": len(self._comparator)}

    def search(self, probe: int) -> dict[str, Any]:
        record = self._records[probe]
        assert record is not None
        ms, _ = measured(lambda: self._comparator.search(record, self._scope))
        return {"ms": ms / len(self._scope)}

    def _words(self, numbers: list[int]) -> npt.NDArray[np.uint64]:
        records = [self._records[number] for number in numbers]
        return np.stack([np.frombuffer(_bits(record), "<u8") for record in records if record is not None])


def _bits(record: bytes) -> bytes:
    from authd_drivers.vein.engine.template import parse

    return parse(record).bits


def answer(side: Side, asked: dict[str, Any]) -> dict[str, Any]:
    work = asked.pop("do")
    if work == "extract":
        pixels = base64.b64decode(asked["frame"])
        return side.extract(np.frombuffer(pixels, np.uint8).reshape(asked["rows"], -1))
    reply: dict[str, Any] = getattr(side, work)(**asked)
    return reply


def main() -> None:
    side: Side = PeerSide() if sys.argv[1] == "peer" else OwnSide(sys.argv[2])
    for line in sys.stdin:
        print(json.dumps(answer(side, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
