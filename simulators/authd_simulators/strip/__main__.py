"""Runs the strip: `python -m authd_simulators.strip --control RUN/control.sock --web ORIGIN --seat ...`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import uvicorn

from authd_simulators.strip.app import FurtherDevice, StripSeat, make_app

KEY = "SEAT,KEY,COMMAND,OWNER,PIN"


def seat(web: str, word: str) -> StripSeat:
    """Read `id,vein,presence,name_ja,name_en`. Raises `ValueError`."""
    id_, vein, presence, name_ja, name_en = word.split(",")
    return StripSeat(id_, name_ja, name_en, f"{web}/seat/{id_}", vein, presence)


def with_key(found: StripSeat, words: Iterable[str]) -> StripSeat:
    """Add the key that one of the words gives this seat: `seat,key,command that touches it,owner,pin`."""
    for word in words:
        id_, key, act, owner, pin = word.split(",")
        if id_ == found.id:
            return replace(found, key=key, act=act, owner=owner, pin=pin)
    return found


def with_further(found: StripSeat, words: Iterable[str]) -> StripSeat:
    """Add the readers that the words give this seat: `seat,name,means,owner,pin`."""
    split = [word.split(",") for word in words]
    return replace(found, further=tuple(FurtherDevice(*rest) for id_, *rest in split if id_ == found.id))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="authd_simulators.strip", description="The demo's page.")
    parser.add_argument("--listen", default="127.0.0.1:8791", metavar="HOST:PORT")
    parser.add_argument("--control", type=Path, required=True, help="the bench's control.sock")
    parser.add_argument("--web", default="http://127.0.0.1:8780", metavar="ORIGIN", help="the seat screens")
    parser.add_argument("--seat", action="append", required=True, metavar="ID,VEIN,PRESENCE,JA,EN")
    parser.add_argument("--key", action="append", default=[], metavar=KEY, help="a seat's FIDO2 key")
    parser.add_argument("--further", action="append", default=[], metavar="SEAT,NAME,MEANS,OWNER,PIN")
    parser.add_argument("--note", default="")
    return parser.parse_args()


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    args = arguments()
    host, _, port = args.listen.rpartition(":")
    seats = [with_further(with_key(seat(args.web, word), args.key), args.further) for word in args.seat]
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
