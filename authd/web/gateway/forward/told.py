"""What the application is told of a person: the headers that its proxy sets in place of the browser's own.

Every header is there every time and never empty: what the proxy would find missing it might take from the browser
(caddyserver/caddy#7545). Values are one line of bounded length whatever a roster holds.
"""

from __future__ import annotations

from urllib.parse import quote

from authd.client import Person

LONGEST = 256
NOTHING = b"-"

USER, NAME, GROUPS, ASSERTION = b"remote-user", b"remote-name", b"remote-groups", b"x-authd-assertion"


def headers(person: Person, names: str, assertion: str) -> tuple[tuple[bytes, bytes], ...]:
    """Return the four of them; `names` is how Japanese is written (`settings.Forward`)."""
    return (
        (USER, person.account.encode("ascii")),
        (NAME, _written(person.name, names)),
        (GROUPS, _written(person.section, names)),
        (ASSERTION, assertion.encode("ascii")),
    )


def _written(text: str, names: str) -> bytes:
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())[:LONGEST]
    if names == "percent":
        return quote(line, safe=" ").encode("ascii") or NOTHING
    return line.encode(names, "replace") or NOTHING
