"""`procession dashboard JOURNAL`: a file in a browser, with its flows' classes and without, and nothing that writes."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.conftest import Watched
from tests.browser.shop import open_shop
from tests.browser.test_pages import violations
from tests.daemon.command import arguments_of, environment

pytestmark = [pytest.mark.slow, pytest.mark.needs("chromium", "apt-get install chromium")]
PAGES = ("overview", "flows", "flow/order/ill", "processes", "gateways", "quarantine", "tasks", "projections", "tree")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a journal that no daemon owns any more."""
    found = tmp_path_factory.mktemp("left")
    with open_shop(found) as shop:
        shop.poisoned("ill")
    return found


@contextlib.contextmanager
def shown(journal: Path, cwd: Path) -> Iterator[str]:
    """The address at which the verb shows a journal."""
    arguments = arguments_of("dashboard", journal)
    with subprocess.Popen(arguments, cwd=cwd, env=environment(), stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().decode().strip().rstrip("/")
        finally:
            process.terminate()
            assert process.wait(60) == 0


def test_beside_its_flows_a_file_shows_states_and_what_ifs(context: BrowserContext, folder: Path) -> None:
    with shown(folder / "procession.db", folder) as address:
        watched = Watched(context.new_page(), address)
        page = watched.open("flow/order/ill?tab=states&at=1")
        expect(page.get_by_text("A file is open, read-only")).to_be_visible()
        expect(page.get_by_text("slow ann").first).to_be_visible()
        watched.open("flow/order/ill?tab=whatif")
        page.get_by_label("Data, as JSON").fill('{"order_id": "ill", "customer": "bob"}')
        page.get_by_role("button", name="Add this edit").click()
        page.get_by_role("button", name="See what would differ").click()
        expect(page.get_by_text("would be sent besides").first).to_be_visible()
        watched.check()


def test_without_its_flows_all_else_is_shown_and_said_why(
    context: BrowserContext, folder: Path, tmp_path: Path
) -> None:
    with shown(folder / "procession.db", tmp_path) as address:
        watched = Watched(context.new_page(), address)
        for view in PAGES:
            page = watched.open(view)
            expect(page.get_by_text("no configuration names the modules of the flows").first).to_be_visible()
            assert violations(page) == []
        watched.open("flow/order/ill")
        expect(page.get_by_text("the note POISON can't be read").first).to_be_visible()
        expect(page.get_by_role("button", name="Retry", exact=True)).to_be_disabled()
        for tab in ("States", "What if"):
            page.get_by_role("link", name=tab, exact=True).click()
            expect(page.locator(".unavailable")).to_contain_text("can't be shown here")
        watched.check()
