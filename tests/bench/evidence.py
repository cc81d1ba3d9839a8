"""Figures of the evidence: the ledger's tree, views, flags, leak trace, bundle.

    python -m tests.bench.evidence [PART ...] [--full]

Each part is a module of its own beside this one, with `run(report, *, full)`; without names, all of them in turn.
`--full` has the sizes of a city (20 M and 50 M events), on ledgers that `python -m tests.bench.evidence_ledgers` made.
"""

from __future__ import annotations

from tests.bench.parts import front

PARTS = {
    "tree": "tests.bench.evidence_tree",
    "views": "tests.bench.evidence_views",
    "flags": "tests.bench.evidence_flags",
    "trace": "tests.bench.evidence_trace",
    "bundle": "tests.bench.evidence_bundle",
}
"""Part -> its module."""

if __name__ == "__main__":
    front("tests.bench.evidence", __doc__ or "", PARTS)
