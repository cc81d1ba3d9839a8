"""Figures of the wiring: how soon a lock ends access, and what each surface costs, against its real counterpart.

    python -m tests.bench.wiring [PART ...] [--full]

Each part is a module of its own beside this one, with `run(report, *, full)`; without names, all of them in turn.
"""

from __future__ import annotations

from tests.bench.parts import front

PARTS = {
    "follow": "tests.bench.wiring_follow",
    "forward": "tests.bench.wiring_forward",
    "desktop": "tests.bench.wiring_desktop",
    "oidc": "tests.bench.wiring_oidc",
    "postgres": "tests.bench.wiring_postgres",
    "terminal": "tests.bench.wiring_terminal",
}
"""Part -> its module."""

if __name__ == "__main__":
    front("tests.bench.wiring", __doc__ or "", PARTS)
