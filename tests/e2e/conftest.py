"""A real Chromium, a real server over a fake door, and an application that does what a test asks of it."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest
from selenium import webdriver

from tests.e2e.browser import Screen, start
from tests.web.fakes import ALL_WAYS, settings
from tests.web.run import Running

APPLICATION = """<!doctype html><title>legacy</title>
<body style="background:#000;color:#0f0;font-size:60px">RECORD OF SOMEBODY<input id="field">
<script>
addEventListener("message", (event) => {
  if (event.data === "hang") for (;;);
  if (event.data === "escape") {
    try { top.location = "about:blank"; } catch (e) {}
    try { window.open("/window"); } catch (e) {}
    try { alert("over the cover"); } catch (e) {}
    try { document.documentElement.requestFullscreen().catch(() => {}); } catch (e) {}
    parent.postMessage({ unlock: true, state: "active" }, "*");
    document.body.dataset.tried = "yes";
  }
});
</script>"""


class _Application(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = APPLICATION.encode()
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        pass


@pytest.fixture(scope="session")
def application() -> Iterator[str]:
    """URL of the legacy application."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Application)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def chromium() -> Iterator[webdriver.Chrome]:
    driver = start()
    yield driver
    driver.quit()


@pytest.fixture
def screen(chromium: webdriver.Chrome, application: str) -> Iterator[Screen]:
    """A seat with nothing but a reader."""
    with Running(settings(application)) as running:
        yield from _shown(chromium, running, application)


@pytest.fixture
def ways(chromium: webdriver.Chrome, application: str) -> Iterator[Screen]:
    """A seat that offers every other way too."""
    with Running(settings(application, ways=ALL_WAYS)) as running:
        yield from _shown(chromium, running, application)


def _shown(chromium: webdriver.Chrome, running: Running, application: str) -> Iterator[Screen]:
    running.door.url = f"{application}?ticket=t1"
    screen = Screen(chromium, running)
    screen.cdp("Emulation.setScriptExecutionDisabled", value=False)
    screen.size(1024, 768)
    # Forget what earlier tests left in the browser's logs.
    screen.complaints()
    screen.requests()
    screen.go()
    screen.until(lambda: screen.look == "waiting")
    yield screen
    chromium.get("about:blank")
