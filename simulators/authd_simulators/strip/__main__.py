"""Runs the strip: `python -m authd_simulators.strip --control RUN/control.sock --web ORIGIN --seat ...`."""

from __future__ import annotations

import argparse
from pathlib import Path

import uvicorn

from authd_simulators.strip.app import StripSeat, make_app


def seat(web: str, word: str) -> StripSeat:
    """Read `id,vein,presence,name_ja,name_en`. Raises `ValueError`."""
    id_, vein, presence, name_ja, name_en = word.split(",")
    return StripSeat(id_, name_ja, name_en, f"{web}/seat/{id_}", vein, presence)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="authd_simulators.strip", description="The demo's page.")
    parser.add_argument("--listen", default="127.0.0.1:8791", metavar="HOST:PORT")
    parser.add_argument("--control", type=Path, required=True, help="the bench's control.sock")
    parser.add_argument("--web", default="http://127.0.0.1:8780", metavar="ORIGIN", help="the seat screens")
    parser.add_argument("--seat", action="append", required=True, metavar="ID,VEIN,PRESENCE,JA,EN")
    parser.add_argument("--note", default="")
    return parser.parse_args()


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    args = arguments()
    host, _, port = args.listen.rpartition(":")
    seats = [seat(args.web, word) for word in args.seat]
    app = make_app(args.control, seats, frozenset({args.listen, f"localhost:{port}"}), [args.web], args.note)
    uvicorn.run(
        app,
        host=host,
        port=int(port),
        http="h11",
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=64,
        timeout_graceful_shutdown=1,
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
