"""A browser, a daemon under load, and pages on which whatever must not happen is a failure."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import attrs
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, expect, sync_playwright

from tests.browser.shop import Shop, load, open_shop

ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_WAIT_MS = 30_000
"""How long a browser waits for what must come: a machine may be busy."""
_LISTEN = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""

expect.set_options(timeout=_WAIT_MS)


@attrs.define(eq=False)
class Watched:
    """A page, with all that happened on it and must not."""

    page: Page
    address: str
    faults: list[str] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        page = self.page
        page.add_init_script(_LISTEN)
        page.on("dialog", lambda dialog: self._dialog(dialog))  # noqa: PLW0108 - it writes to what it is given
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("console", lambda message: self.said(message))  # noqa: PLW0108 - as above
        page.on("request", lambda asked: self.faults.extend([asked.url] * (not self._is_ours(asked.url))))

    def open(self, view: str) -> Page:
        """Go to a view, and wait until it has something to show."""
        self.page.goto(f"{self.address}/#/{view}")
        self.page.wait_for_selector("main h1")
        return self.page

    def check(self) -> None:
        """Fail where something happened that must not."""
        violations: list[str] = self.page.evaluate("window.violations")
        assert [*self.faults, *violations] == []

    def said(self, message: ConsoleMessage) -> None:
        """Errors are faults; that a request was refused is told on the page itself."""
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.faults.append(f"console: {message.text}")

    def _dialog(self, dialog: Dialog) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _is_ours(self, url: str) -> bool:
        return url.startswith((f"{self.address}/", f"blob:{self.address}/"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for the tests of a file: it takes seconds to start.

    What drives it keeps a loop of asyncio running in this thread, so it ends before tests that run one of their own.
    """
    path = shutil.which("chromium")
    assert path is not None, "the marker `needs` looks for it"
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield found
        found.close()


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One daemon under load for all tests of a process that do not change its settings."""
    with open_shop(tmp_path_factory.mktemp("shop")) as found, load(found):
        yield found


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that nobody used before."""
    with browser.new_context(viewport={"width": 1280, "height": 900}) as found:
        found.set_default_timeout(_WAIT_MS)
        yield found


@pytest.fixture
def watched(context: BrowserContext, shop: Shop) -> Iterator[Watched]:
    """A page of the shop's dashboard."""
    found = Watched(context.new_page(), shop.address)
    yield found
    found.check()
