"""What is looked at in a browser: a span of time brushed out of a chart, durations by gateway, a page by its name."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Watched
from tests.browser.shop import Shop

pytestmark = [pytest.mark.slow, pytest.mark.needs("chromium", "apt-get install chromium")]
_PATIENCE_S = 45


def overview_once(shop: Shop, holds: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """The overview, once something holds of it."""
    give_up_at = time.monotonic() + _PATIENCE_S
    found: dict[str, Any] = shop.client.get("/v1/overview").json()
    while not holds(found):
        assert time.monotonic() < give_up_at, found
        time.sleep(0.2)
        found = shop.client.get("/v1/overview").json()
    return found


def brush(page: Page, share_from: float, share_until: float) -> None:
    """Drag over the first chart."""
    box = page.locator(".u-over").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * share_from, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * share_until, box["y"] + 60, steps=5)
    page.mouse.up()


def test_a_span_that_is_brushed_on_a_chart_leads_to_the_flows_that_began_in_it(watched: Watched, shop: Shop) -> None:
    shop.publish("order.placed", "before/placed", order_id="before")
    began_ms = overview_once(shop, lambda found: found["history"])["history"][-1][0]
    # As long before the span begins as after it: a busy browser draws and asks some seconds late.
    overview_once(shop, lambda found: found["history"][-1][0] > began_ms + 12_000)
    shop.publish("order.placed", "within/placed", order_id="within")
    overview_once(shop, lambda found: found["history"][-1][0] > began_ms + 16_000)
    page = watched.open("overview")
    expect(page.locator(".u-over").first).to_be_visible()
    page.get_by_role("button", name="Pause", exact=True).click()  # so that the chart stands still
    times = [point[0] for point in shop.client.get("/v1/overview").json()["history"]]
    brush(page, (began_ms + 6_000 - times[0]) / (times[-1] - times[0]), 0.999)
    expect(page.get_by_role("button", name="show all")).to_be_visible()
    page.get_by_role("link", name="flows that began in this span").click()
    expect(page).to_have_url(re.compile(r"flows\?q=age%3C\d+s\+age%3E\d+s"))
    expect(page.get_by_role("link", name="order/within")).to_be_visible()
    expect(page.get_by_role("link", name="order/before")).to_have_count(0)


def test_a_span_is_shown_alone_until_all_is_shown_again(watched: Watched, shop: Shop) -> None:
    overview_once(shop, lambda found: len(found["history"]) > 8)
    page = watched.open("overview")
    expect(page.locator(".u-over").first).to_be_visible()
    brush(page, 0.3, 0.5)
    page.get_by_role("button", name="show all").click()
    expect(page.get_by_text("drag over a chart to look at a span of time")).to_be_visible()


def test_the_heat_map_shows_how_long_attempts_took(watched: Watched, shop: Shop) -> None:
    shop.publish("order.placed", "warm/placed", order_id="warm", customer="slow ann")
    shop.wait_until("warm", "ended")
    overview_once(shop, lambda found: any("packers" in counts for _, counts in (found["heat"] or {})["columns"]))
    page = watched.open("gateways/packers")
    heat = page.get_by_role("group", name="Durations of attempts at packers")
    expect(heat.get_by_role("img", name=re.compile("most attempts took between"))).to_be_visible()
    expect(heat.locator(".heat-cell").first).to_be_visible()
    assert "attempts took ≤" in (heat.locator(".heat-cell title").first.text_content() or "")


@pytest.mark.parametrize(
    ("typed", "view", "says"),
    [("quaran", "quarantine", "Quarantine"), ("gateway packers", "gateways/packers", "Gateways")],
)
def test_the_palette_opens_what_is_typed(watched: Watched, shop: Shop, typed: str, view: str, says: str) -> None:
    page = watched.open("overview")
    expect(page.get_by_text("Flows by process")).to_be_visible()
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox", name="Go to a page, process, gateway or flow")).to_be_focused()
    page.keyboard.type(typed)
    expect(page.get_by_role("option").first).to_be_visible()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{shop.address}/#/{view}")
    expect(page.get_by_role("heading", level=1, name=says)).to_be_visible()
