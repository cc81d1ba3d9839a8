"""The vein engine's figures, all of them: `python -m tests.bench.vein [PART ...]`.

Parts, each a module of its own that can be run alone (`python -m tests.bench.vein_search`):

    touch      extraction and a search among 120 people, template sizes
    search     1:N up to 100,000 templates
    sim        the simulated reader beside the recorded scores of the real one
    pad        attacks on the simulated reader
    peer       the open peer on the same pictures, where `make peer-vein` was run
    accuracy   error rates on living fingers, and what a roster costs, where AUTHD_SDUMLA is set
    two_fingers  on them too: what passes for two fingers, and what moves a template

On one core: the libraries' own threads are switched off before they are loaded.
"""

from __future__ import annotations

import argparse
import os
from importlib import import_module

from tests.bench.report import Report

PARTS = ("touch", "search", "sim", "pad", "peer", "accuracy", "two_fingers")
LIVING = ("accuracy", "two_fingers")
"""Parts that need pictures of real people."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    chosen = parser.parse_args().parts or PARTS
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"{min(unknown)}: one of {', '.join(PARTS)} is expected")
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ[f"{library}_NUM_THREADS"] = "1"
    report = Report()
    for part in chosen:
        if part in LIVING and "AUTHD_SDUMLA" not in os.environ:
            continue
        import_module(f"tests.bench.vein_{part}").run(report)
    report.exit()


if __name__ == "__main__":
    main()
