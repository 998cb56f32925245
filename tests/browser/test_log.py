"""The log in a browser, of the service and of one flow; where the tasks wait; a flow forked into a sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Watched
from tests.browser.shop import Shop
from tests.browser.test_file import shown

pytestmark = [pytest.mark.slow, pytest.mark.needs("chromium", "apt-get install chromium")]


def test_a_flow_that_fails_is_in_the_log_live_by_filter_and_on_its_own_page(watched: Watched, shop: Shop) -> None:
    page = watched.open("log?level=WARNING&flow=order%2Flogged")
    expect(page.get_by_text("Nothing was logged that matches.")).to_be_visible()
    shop.poisoned("logged")
    expect(page.get_by_text("flow order/logged is in quarantine").first).to_be_visible()
    page.get_by_label("Words in it").fill("no such word")
    expect(page.get_by_text("Nothing was logged that matches.")).to_be_visible()
    page.get_by_label("Words in it").fill("quarantine")
    page.get_by_role("link", name="order/logged").first.click()
    page.get_by_label("Views of this flow").get_by_role("link", name="Log").click()
    expect(page.get_by_text("flow order/logged is in quarantine").first).to_be_visible()
    watched.check()


def test_tasks_are_folded_until_somebody_asks_where_each_waits(watched: Watched) -> None:
    page = watched.open("tree")
    expect(page.get_by_text("journal writer").first).to_be_visible()
    assert page.get_by_text("tasks run").count() == 0
    page.get_by_text("Each task of trio, and where it waits").click()
    expect(page.get_by_text("procession.measuring.Measuring.run").first).to_be_visible()
    expect(page).to_have_url(f"{watched.address}/#/tree?tasks=open")
    page.get_by_text("Each task of trio, and where it waits").click()
    expect(page).to_have_url(f"{watched.address}/#/tree")
    watched.check()


def test_a_flow_is_forked_into_a_sandbox_at_an_address_of_its_own(watched: Watched, shop: Shop) -> None:
    shop.poisoned("tried")
    page = watched.open("flow/order/tried?tab=states&at=1")
    page.get_by_role("button", name="Fork here into a sandbox").click()
    with page.expect_popup() as waiting:
        page.get_by_role("link", name="Open the sandbox").click()
    sandbox = waiting.value
    expect(sandbox.get_by_text("sandbox of order/tried, up to step 1").first).to_be_visible()
    assert not sandbox.url.startswith(watched.address)
    sandbox.get_by_role("link", name="What if").click()
    sandbox.get_by_label("Data, as JSON").fill('{"order_id": "tried", "customer": "bob"}')
    sandbox.get_by_role("button", name="Add this edit").click()
    sandbox.get_by_role("button", name="See what would differ").click()
    expect(sandbox.get_by_text("would be sent besides").first).to_be_visible()
    assert shop.flow("tried")["status"] == "quarantined"


def test_a_sandbox_is_saved_and_opened_by_the_command_on_the_page(watched: Watched, shop: Shop, tmp_path: Path) -> None:
    shop.poisoned("forked")
    page = watched.open("flow/order/forked?tab=states&at=1")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save the sandbox").click()
    name = waiting.value.suggested_filename
    expect(page.get_by_text(f"procession dashboard {name}")).to_be_visible()
    waiting.value.save_as(tmp_path / name)
    with shown(tmp_path / name, tmp_path) as address:
        sandbox = Watched(page.context.new_page(), address)
        page = sandbox.open("flow/order/forked")
        expect(page.get_by_text("A file is open, read-only")).to_be_visible()
        expect(page.get_by_text("order.placed").first).to_be_visible()
        sandbox.check()
