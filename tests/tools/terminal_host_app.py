"""Run by `terminal_host`: mainframe-mocker's demonstration host, with a field for a new password on its sign-on screen.

As old hosts have it: whoever signs on with the right password and a new one has the new one from then on. `REFUSED` is
refused by a rule of the host's own.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

NEW = (
    "{{ row(14) }}{{ prompt(col=20) }}NEW PASSW . : "
    "{{ input('new', 8, hidden=True, upper=True, label='NEW PASSWORD') }}\n{{ row(16) }}"
)


def main() -> int:
    """Serve, as `python -m mfmock demo` does."""
    demo: Any = import_module("mfmock.demo")
    screen, entered = demo.SignOn, demo.SignOn.enter
    loader: Any = import_module("jinja2").PackageLoader("mfmock.demo")
    source: str = loader.get_source(None, screen.template)[0]
    assert "{{ row(16) }}" in source
    screen.template_source = source.replace("{{ row(16) }}", NEW)

    def enter(self: Any) -> Any:
        new = self.values.pop("new", "").upper()
        went = entered(self)
        if new == "REFUSED":
            raise demo.ScreenError("BAD_SIGNON", cursor="password")
        if new:
            self.app.users[self.state.user] = new
            self.session.log.info("event=changed user=%s", self.state.user)
        return went

    screen.enter = enter
    return int(import_module("mfmock.__main__").main(["demo", *sys.argv[1:]]))


if __name__ == "__main__":
    sys.exit(main())
