"""Everything by the keyboard alone: each control is reached, and an order is repaired without a mouse."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Watched
from tests.browser.shop import Shop
from tests.browser.test_pages import VIEWS

pytestmark = [pytest.mark.slow, pytest.mark.needs("chromium", "apt-get install chromium")]
_TABS_MAX = 400
_ROUNDS_MAX = 5
_FIND = """
() => {
  const wanted = "a[href], button:enabled, input:enabled, select:enabled, textarea:enabled, summary, [tabindex='0']";
  window.shown = () => [...document.querySelectorAll(wanted)].filter((one) => one.checkVisibility());
  window.controls = window.shown();
  window.reached = new Set();
  document.addEventListener("focusin", (event) => window.reached.add(event.target));
  document.activeElement?.blur();
  return window.controls.length;
}
"""
_CAME = "() => window.shown().some((one) => !window.controls.includes(one))"
_LEFT = """
() => window.controls.filter((one) => one.isConnected && one.checkVisibility() && !window.reached.has(one))
  .map((one) => one.outerHTML.slice(0, 150))
"""
_IS = "(name) => document.activeElement.textContent.trim() === name"


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the control of this name has the focus."""
    for _ in range(_TABS_MAX):
        page.keyboard.press("Tab")
        if page.evaluate(_IS, name):
            return
    raise AssertionError(f"{name} is not reached")


def _left_by_tab(page: Page) -> list[str]:
    """The controls that Tab does not reach in one round; what came before the page stood still makes it another one."""
    for _ in range(_ROUNDS_MAX):
        controls = page.evaluate(_FIND)
        assert controls > 10
        for _ in range(controls + 20):
            page.keyboard.press("Tab")
        if not page.evaluate(_CAME):
            break
    left: list[str] = page.evaluate(_LEFT)
    return left


@pytest.mark.parametrize("view", VIEWS)
def test_every_control_is_reached_by_tab(watched: Watched, shop: Shop, view: str) -> None:
    shop.poisoned_once("ill")
    page = watched.open(view)
    expect(page.get_by_text(VIEWS[view]).first).to_be_visible()
    page.get_by_role("button", name="Pause", exact=True).first.click()  # what comes and goes could not be counted
    assert _left_by_tab(page) == []


def test_an_order_is_found_and_repaired_without_a_mouse(watched: Watched, shop: Shop) -> None:
    shop.poisoned("keys")
    page = watched.open("overview")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox", name="Go to a page, process, gateway or flow")).to_be_focused()
    page.keyboard.type("order/keys")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="order/keys")).to_be_visible()
    for act in ("Skip", "Release"):
        expect(page.get_by_role("button", name=act, exact=True)).to_be_enabled()
        tab_to(page, act)
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_label("Who")).to_be_focused()
        page.keyboard.press("Control+a")
        page.keyboard.type("ann")
        page.keyboard.press("Tab")
        page.keyboard.type("without a mouse")
        tab_to(page, act)
        page.keyboard.press("Enter")
        expect(dialog).to_be_hidden()
    assert shop.wait_until("keys", "ended")["outcome"] == "sent"


def test_a_dialog_is_left_by_escape_and_gives_the_focus_back(watched: Watched, shop: Shop) -> None:
    shop.poisoned_once("ill")
    page = watched.open("flow/order/ill")
    expect(page.get_by_role("button", name="Retry", exact=True)).to_be_enabled()
    tab_to(page, "Retry")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert page.evaluate(_IS, "Retry")
    assert shop.flow("ill")["status"] == "quarantined"
