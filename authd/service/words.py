"""What the words of `authd.toml` must look like: each check says yes or no, and never raises."""

from __future__ import annotations

import re
from typing import Final

LONGEST_SOCKET: Final = 107
"""Bytes of a Unix socket's path (unix(7))."""
LONGEST_LABEL: Final = 100
"""Characters of a name that is shown."""
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,38}[a-z0-9])?")
_ORIGIN: Final = r"https?://(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?P<port>:[0-9]{1,5})?"
# No quote, comma, semicolon, white space or fragment: it goes into a header, and gets a ticket at its end.
_URL: Final = re.compile(_ORIGIN + r"(?P<rest>[/?][A-Za-z0-9._~:/?@!$&()*+=%-]{0,1000})?")
_LISTEN: Final = re.compile(r"(127\.0\.0\.1|\[::1\]|localhost):([0-9]{1,5})")
_ENDPOINT: Final = re.compile(r"ipc:///.+|tcp://(?:\*|[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}")
_Z85: Final = re.compile(r"[0-9A-Za-z.:+=^!/*?&<>()\[\]{}@%$#-]{40}")


def is_name(text: str) -> bool:
    """Names become file names and socket names: nothing that a path or a log line could misread."""
    return _NAME.fullmatch(text) is not None


def is_label(text: str) -> bool:
    """Something to show on one line, or nothing."""
    return len(text) <= LONGEST_LABEL and text.isprintable()


def is_setting(text: str) -> bool:
    """A value for a driver: one line."""
    return len(text) <= 1_000 and text.isprintable()


def is_url(text: str) -> bool:
    """Where a browser is sent."""
    found = _URL.fullmatch(text)
    return found is not None and _is_port(found["port"])


def is_origin(text: str) -> bool:
    """Scheme, host and port, and nothing behind them."""
    found = _URL.fullmatch(text)
    return found is not None and _is_port(found["port"]) and not found["rest"]


def is_endpoint(text: str) -> bool:
    """Where a ZeroMQ socket listens."""
    if not (_ENDPOINT.fullmatch(text) and text.isprintable()):
        return False
    return is_socket(text.removeprefix("ipc://")) if text.startswith("ipc") else _is_port(text[text.rindex(":") :])


def is_socket(path: str) -> bool:
    """Whether the kernel takes a Unix socket of this path."""
    return len(path.encode()) <= LONGEST_SOCKET


def is_path(text: str) -> bool:
    """Something that can be a file's name."""
    return bool(text) and len(text) <= 1_000 and text.isprintable()


def is_key(text: str) -> bool:
    """A CURVE key as z85 writes it."""
    return _Z85.fullmatch(text) is not None


def listens(text: str) -> tuple[str, int] | None:
    """Host and port of this machine's own: the seat screen is for nobody else's browser."""
    found = _LISTEN.fullmatch(text)
    return (found[1], int(found[2])) if found is not None and _is_port(f":{found[2]}") else None


def _is_port(text: str | None) -> bool:
    """`:1` to `:65535`, or none given."""
    return text is None or 0 < int(text[1:]) < 65_536
