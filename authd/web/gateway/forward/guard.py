"""The browser guard's files, read once: the script that covers open pages, and the frame for pages without it."""

from __future__ import annotations

import html
import json
from string import Template

from authd.locale import LANGUAGES, text
from authd.web.gateway.page import STATIC
from authd.web.gateway.settings import Forward

SCRIPT = b"text/javascript; charset=utf-8"
SAID = ("covered", "covered_text", "silent_title", "silent_text")
FRAME = "/.authd/frame"


class Guard:
    """What an application's pages are guarded with."""

    def __init__(self, forward: Forward) -> None:
        words = {key: [text(f"gateway.{key}", language) for language in LANGUAGES] for key in SAID}
        guard = (STATIC / "guard.js").read_text(encoding="utf-8").replace('"$words"', json.dumps(words))
        self.files = {"guard.js": (SCRIPT, guard.encode("ascii"))}
        page = Template((STATIC / "frame.html").read_text(encoding="utf-8"))
        self.frame = page.substitute(start=html.escape(forward.start)).encode("ascii")
        self.start = FRAME if forward.guard == "frame" else forward.start
        """Where a browser that was let in begins."""
        ancestors = forward.framed_by or "'self'"
        policy = (
            "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; frame-src 'self'; "
            f"style-src 'unsafe-inline'; frame-ancestors {ancestors}; base-uri 'none'; form-action 'none'"
        )
        self.frame_policy = ((b"content-security-policy", policy.encode("ascii")),)
