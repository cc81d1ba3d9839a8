"""`[form.NAME]` of broker.toml: an old web application that is signed on to for whoever opened it at their seat.

[form.tax]
application = "tax"                  # of authd.toml; its `url` is this broker's, through the application's own proxy:
                                     #   url = "https://tax.city.example/.authd/form/open"
system = "tax"                       # [system.tax], rotator = "form"; by default the application's name
listen = "127.0.0.1:8786"            # loopback: the proxy sends /.authd/form/ here
start = "/tax/menu.do"               # where the browser goes once it is signed on
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from authd.broker.forms.legacy import FormSystem, Path_
from authd.broker.settings import Settings
from authd.client.tables import BadSettings, convert

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class FormSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One application."""

    application: str
    listen: Annotated[str, msgspec.Meta(pattern=r"^[^:]+:[0-9]{1,5}$|^\[::1\]:[0-9]{1,5}$")]
    start: Path_ = "/"
    system: str = ""
    secure: bool = True
    """Browsers reach it by https: its cookies go no other way."""

    def __post_init__(self) -> None:
        """Raises ValueError for an address that others could reach."""
        host, _, port = self.listen.rpartition(":")
        if host not in LOOPBACK or int(port) > 65_535:
            raise ValueError(f"listen must be {' or '.join(LOOPBACK)} and a port: let the proxy speak TLS")
        if self.start.startswith("//"):
            raise ValueError("start must be a path of the application")

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


def forms(settings: Settings) -> dict[str, tuple[FormSettings, FormSystem]]:
    """Return the applications of a file, each with what its pages are like. Raises `BadSettings`."""
    found: dict[str, tuple[FormSettings, FormSystem]] = {}
    for name, terms in settings.each("form", FormSettings).items():
        system = terms.system or terms.application
        table = settings.file.system.get(system)
        if table is None or table.get("rotator") != "form":
            raise BadSettings(f'form.{name}: [system.{system}] with rotator = "form" is needed; it says the pages')
        found[name] = (terms, convert(table, FormSystem, f"system.{system}"))
    return found
