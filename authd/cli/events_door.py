"""`authd events --door`: the same lines, told by the daemon, signed; from any machine whose key it knows."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from authd.cli import failures
from authd.cli._common import fail
from authd.cli.codes import OK, REFUSED, UNREACHABLE, USAGE, WRONG
from authd.cli.files import plain
from authd.client import ClientError, DoorError, Event, SignatureError, SyncClient, connect_sync
from authd.locale import text

ENDURANCE_S = 5.0
"""Seconds that a daemon may take to answer at first."""


def run(args: argparse.Namespace) -> int:
    """Print what the door tells, until there is no more, or for ever; come back when the daemon does."""
    try:
        with connect_sync(args.door, key=args.key, server_key=args.server_key, timeout=ENDURANCE_S) as client:
            for event in _events(client, args):
                if args.seat in (None, event.seat):
                    print(event.raw.decode() if args.json else line(event, args.lang), flush=True)
    except SignatureError as error:
        return fail(text("events.unsigned", args.lang, why=error), WRONG)
    except DoorError as error:
        return fail(text("events.refused", args.lang, why=failures.words(error, args.lang)), REFUSED)
    except ClientError:
        return fail(text("events.silent", args.lang, door=args.door), UNREACHABLE)
    except (ValueError, OSError, IndexError) as error:
        return fail(plain(failures.words(error, args.lang)), USAGE)
    return OK


def _events(client: SyncClient, args: argparse.Namespace) -> Iterator[Event]:
    """Ask for the end first: so a daemon that is not there is said, and nothing is lost between now and later."""
    head = client.head()
    after: int = args.after if args.after is not None else head if args.follow else 0
    if after > head and not args.follow:  # a follower is told so by the door itself
        raise DoorError("not_found", text("events.beyond", args.lang, after=after, last=head))
    if args.follow or after < head:
        yield from client.follow(after, until=None if args.follow else head)


def line(event: Event, language: str) -> str:
    """Return one event as one line for a person."""
    words = [f"#{event.seq}", event.time, event.seat or "-", event.kind]
    words += [_named(event)] if event.subject else []
    words += [text(event.reason, language)] if event.reason else []
    words += [event.grade.value] if event.grade else []
    return plain("  ".join(words))


def _named(event: Event) -> str:
    """Name somebody, as far as this peer is told."""
    name = event.person.get("name") or event.subject or ""
    beside = [event.person[each] for each in ("staff_number", "account", "section") if event.person.get(each)]
    return f"{name} ({', '.join(beside)})" if beside else name
