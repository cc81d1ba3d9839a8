"""`python -m authd_simulators.leak FOLDER`."""

from __future__ import annotations

import argparse
from pathlib import Path

from authd_simulators.leak import make


def main() -> None:
    """Make a leak."""
    parser = argparse.ArgumentParser(prog="authd_simulators.leak", description="Make a leak like Sakai's, invented.")
    parser.add_argument("folder", type=Path, help="an empty folder, or one that is not there")
    parser.add_argument("--seed", type=int, default=2015)
    parser.add_argument("--people", type=int, default=680_000)
    parser.add_argument("--files", type=int, default=14_000)
    args = parser.parse_args()
    made = make(args.folder, args.seed, args.people, args.files)
    print(f"{made.files} files, {len(made.leaked)} of them with residents' data: {args.folder}")


if __name__ == "__main__":
    main()
