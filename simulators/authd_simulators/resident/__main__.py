"""Runs the sample resident system: `python -m authd_simulators.resident --listen 127.0.0.1:8790 --door ipc://...`."""

from __future__ import annotations

import argparse
import logging
import time
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path

import uvicorn

from authd import client
from authd_simulators.resident.app import Settings, make_app
from authd_simulators.resident.records import invent
from authd_simulators.resident.visits import Door


def local_time() -> datetime:
    """Wall clock, for people."""
    return datetime.fromtimestamp(time.clock_gettime(time.CLOCK_REALTIME), UTC).astimezone()


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="authd_simulators.resident", description="A sample resident system.")
    parser.add_argument("--listen", default="127.0.0.1:8790", metavar="HOST:PORT")
    parser.add_argument("--door", required=True, help="authd's router, ipc://... or tcp://...")
    parser.add_argument("--key", type=Path, required=True, help="file with this application's CURVE keys")
    parser.add_argument("--server-key", type=Path, required=True, help="file with authd's public CURVE key")
    parser.add_argument("--ancestor", action="append", default=[], metavar="ORIGIN", help="may frame it (repeat)")
    parser.add_argument("--seat", action="append", default=[], metavar="ID=NAME", help="a seat's name (repeat)")
    parser.add_argument("--residents", type=int, default=400)
    return parser.parse_args()


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(name)s %(levelname)s %(message)s")
    args = arguments()
    host, _, port = args.listen.rpartition(":")
    settings = Settings(
        residents=invent(args.residents),
        now=local_time,
        seats=dict(each.split("=", 1) for each in args.seat),
        hosts=frozenset({args.listen, f"localhost:{port}"}),
        ancestors=tuple(args.ancestor),
    )

    def door() -> AbstractAsyncContextManager[Door]:
        return client.connect(args.door, key=args.key, server_key=args.server_key)

    uvicorn.run(
        make_app(settings, door),
        host=host,
        port=int(port),
        http="h11",
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=128,
        timeout_graceful_shutdown=1,
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
