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
ISSUER: Final = "https://HOST or https://HOST/PATH, without a slash at its end"
STAFF_NUMBER: Final = "{staff_number}"
"""Where the staff number stands in an application's own name for a person."""
_ACCOUNT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,62}")
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


def is_url_or_none(text: str) -> bool:
    """As `is_url`, or nothing."""
    return not text or is_url(text)


def is_origin(text: str) -> bool:
    """Scheme, host and port, and nothing behind them."""
    found = _URL.fullmatch(text)
    return found is not None and _is_port(found["port"]) and not found["rest"]


def is_issuer(text: str) -> bool:
    """Whom tokens come from: https, or this machine's own http; without query and last slash. Or nothing."""
    if text.startswith("http://") and not text.startswith(("http://127.0.0.1:", "http://localhost:", "http://[::1]:")):
        return False
    return not text or (is_url(text) and not text.endswith("/") and not set(text) & set("?&"))


def is_host(text: str) -> bool:
    """A host, or a host and its port."""
    return is_origin(f"http://{text}")


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


def is_account_name(text: str) -> bool:
    """An account of an operating system, a database or a terminal host: nothing that any of them would misread."""
    return _ACCOUNT.fullmatch(text) is not None


def is_account_or_none(text: str) -> bool:
    """As `is_account_name`, or nothing."""
    return not text or is_account_name(text)


def is_account(text: str) -> bool:
    """What an application calls a person, with a place for the staff number; or nothing."""
    return not text or (
        text.count(STAFF_NUMBER) == 1 and _ACCOUNT.fullmatch(text.replace(STAFF_NUMBER, "a")) is not None
    )


def listens(text: str) -> tuple[str, int] | None:
    """Host and port of this machine's own: the seat screen is for nobody else's browser."""
    found = _LISTEN.fullmatch(text)
    return (found[1], int(found[2])) if found is not None and _is_port(f":{found[2]}") else None


def _is_port(text: str | None) -> bool:
    """`:1` to `:65535`, or none given."""
    return text is None or 0 < int(text[1:]) < 65_536
