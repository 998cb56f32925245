"""A poisoned order is found by search, understood on its page, repaired, released, and ends; in a browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Watched
from tests.browser.shop import Shop

pytestmark = [pytest.mark.slow, pytest.mark.needs("chromium", "apt-get install chromium")]


def test_a_poisoned_order_is_found_understood_repaired_and_ends(watched: Watched, shop: Shop) -> None:
    shop.poisoned("421")
    page = watched.open("flows")

    # Found by a search that the box helped to write.
    box = page.get_by_role("combobox", name="Search flows")
    box.fill("process:order status:quar")
    page.get_by_role("option", name="quarantined").click()
    box.press("Enter")
    expect(page).to_have_url(f"{shop.address}/#/flows?q=process%3Aorder+status%3Aquarantined")
    page.get_by_role("link", name="order/421").click()

    # Understood: where it failed, why, what waits behind it.
    expect(page.get_by_text("the note POISON can't be read").first).to_be_visible()
    waits = page.get_by_role("region", name="What it waits for").or_(
        page.locator("section", has_text="What it waits for")
    )
    expect(waits.first).to_contain_text("order.note_added")
    page.get_by_role("link", name="States").click()
    expect(page.get_by_text("order.note_added").first).to_be_visible()

    # Repaired: the note is skipped, with a name and a reason.
    page.get_by_role("button", name="Skip", exact=True).click()
    page.get_by_label("Who").fill("ann")
    page.get_by_label("Reason").fill("the note is not needed")
    page.get_by_role("dialog").get_by_role("button", name="Skip").click()
    expect(page.get_by_text("its head is done; later events wait: release it").first).to_be_visible()

    # Released: what waited is handled, and the order ends.
    page.get_by_role("button", name="Release", exact=True).click()
    page.get_by_label("Reason").fill("go on")
    page.get_by_role("dialog").get_by_role("button", name="Release").click()
    found = shop.wait_until("421", "ended")
    assert found["outcome"] == "sent"
    expect(page.locator(".facts").first).to_contain_text("sent")
    watched.check()
