"""What operators do by hand, done in a browser: gateways, many flows in quarantine, a projection, a task for people."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.conftest import Watched
from tests.browser.shop import Shop, open_shop

pytestmark = [pytest.mark.slow, pytest.mark.needs("chromium", "apt-get install chromium")]
_ORDERS = 200
"""Folded again in a second at least, each by a statement that counts for a while."""

_WATCH = """
() => {
  window.seen = [];
  new MutationObserver(() => {
    const value = document.querySelector("progress")?.value;
    if (value !== undefined && value !== window.seen.at(-1)) window.seen.push(value);
  }).observe(document.querySelector("main"), { subtree: true, childList: true, attributes: true });
}
"""
"""Keeps what a progress bar showed, one value after another."""


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop with a projection, and with no other load than what the tests make."""
    settings = "[projectors]\nbatch_rows_max = 20"
    with open_shop(tmp_path_factory.mktemp("works"), settings, more_modules=["customers"]) as found:
        yield found


@pytest.fixture
def watched(context: BrowserContext, works: Shop) -> Iterator[Watched]:
    """A page of it."""
    found = Watched(context.new_page(), works.address)
    yield found
    found.check()


def section(page: Page, title: str) -> Locator:
    return page.locator("section", has=page.get_by_role("heading", name=title, exact=True))


def act(page: Page, says: str, why: str) -> None:
    """Give name and reason in the dialog that is open, and do it."""
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Who").fill("ann")
    dialog.get_by_label("Reason").fill(why)
    dialog.get_by_role("button", name=says, exact=True).click()
    expect(dialog).to_be_hidden()


def recorded(shop: Shop, kind: str) -> list[tuple[str, str]]:
    """Who did something of this kind, and why."""
    found = shop.client.get("/v1/events", params={"type": kind}).json()["events"]
    return [(event["data"]["by"], event["data"]["why"]) for event in found]


def test_a_gateway_is_paused_and_resumed_with_a_reason(watched: Watched, works: Shop) -> None:
    page = watched.open("gateways/packers")
    packers = section(page, "packers")
    packers.get_by_role("button", name="Pause", exact=True).click()
    act(page, "Pause", "the belt is torn")
    expect(packers.locator(".badge")).to_have_text("paused")
    works.publish("order.placed", "held/placed", order_id="held", customer="ann")
    expect(packers.get_by_role("definition").nth(1)).to_have_text("1")
    assert works.flow("held")["status"] == "active"
    packers.get_by_role("button", name="Resume", exact=True).click()
    act(page, "Resume", "the belt is mended")
    assert works.wait_until("held", "ended")["outcome"] == "sent"
    expect(packers.locator(".badge")).to_have_text("open for work")
    assert recorded(works, "procession.gateway_paused")[-1] == ("ann", "the belt is torn")
    assert recorded(works, "procession.gateway_resumed")[-1] == ("ann", "the belt is mended")


def test_a_gateway_is_limited_at_once_with_a_reason(watched: Watched, works: Shop) -> None:
    page = watched.open("gateways/packers")
    packers = section(page, "packers")
    expect(packers.get_by_role("definition").first).to_contain_text("of 8")
    packers.get_by_role("button", name="Limits", exact=True).click()
    expect(page.get_by_label("Attempts at one time")).to_have_attribute("placeholder", "now 8")
    page.get_by_label("Attempts at one time").fill("1")
    act(page, "Set limits", "one packer is left")
    expect(packers.get_by_role("definition").first).to_contain_text("of 1")
    for number in range(3):
        works.publish("order.placed", f"slow{number}/placed", order_id=f"slow{number}", customer="slower ann")
    expect(packers.get_by_role("definition").first).to_have_text("1 of 1")
    expect(packers.get_by_role("definition").nth(1)).to_have_text("2")
    limits = works.client.get("/v1/gateways/packers/limits").json()["limits"]
    assert limits["concurrency"] == 1
    assert recorded(works, "procession.gateway_limited")[-1] == ("ann", "one packer is left")


def repaired(page: Page, verb: str) -> None:
    """Repair all that are shown: first they are counted."""
    page.get_by_role("button", name=f"{verb} all", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Who").fill("ann")
    dialog.get_by_label("Reason").fill(f"{verb} them")
    dialog.get_by_role("button", name="Count them first").click()


def test_flows_in_quarantine_are_repaired_one_then_those_of_a_filter_then_all(watched: Watched, works: Shop) -> None:
    said = {"by": "ann", "why": "so that nothing waits behind what is skipped"}
    works.client.post("/v1/gateways/packers/pause", json=said)
    for number in range(2):
        works.poisoned(f"q{number}", f"POISON of kind A{number}")
        works.poisoned(f"r{number}", f"POISON of kind B{number}")
    page = watched.open("quarantine")
    rows = page.get_by_role("group", name="Flows in quarantine").locator("tbody tr")
    expect(rows).to_have_count(4)

    # One.
    rows.filter(has_text="order/q0").get_by_role("button", name="Skip", exact=True).click()
    act(page, "Skip", "just this one")
    expect(rows).to_have_count(3)

    # Those of a filter, which the server applies, as it does to the act.
    page.get_by_label("Reason holds").fill("of kind b")
    with page.expect_response(lambda answer: "reason=of+kind+b" in answer.url) as asked:
        page.get_by_role("button", name="Filter").click()
    assert [flow["key"] for flow in asked.value.json()["flows"]] == ["r0", "r1"]
    expect(rows).to_have_count(2)
    repaired(page, "Skip")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("status")).to_contain_text("2 flows would be acted on. Nothing was done yet.")
    expect(dialog.get_by_role("listitem")).to_have_text(["order/r0", "order/r1"])
    assert {works.flow(key)["status"] for key in ("r0", "r1", "q1")} == {"quarantined"}
    dialog.get_by_role("button", name="Skip 2 flows").click()
    expect(page.get_by_text("2 flows done.")).to_be_visible()
    expect(page.get_by_text("No flow in quarantine matches.")).to_be_visible()
    assert works.flow("q1")["status"] == "quarantined"

    # All.
    watched.open("quarantine")
    expect(rows).to_have_count(1)
    repaired(page, "Skip")
    dialog.get_by_role("button", name="Skip 1 flow", exact=True).click()
    expect(page.get_by_text("No flow is in quarantine.")).to_be_visible()
    works.client.post("/v1/gateways/packers/resume", json=said)
    assert [works.wait_until(key, "ended")["outcome"] for key in ("q0", "r1", "q1")] == ["sent"] * 3
    assert ("ann", "Skip them") in recorded(works, "procession.event_skipped")


def test_a_projection_is_rebuilt_with_progress(watched: Watched, works: Shop) -> None:
    works.place(f"p{number}" for number in range(_ORDERS))
    page = watched.open("projections")
    row = page.get_by_role("group", name="Projections").locator("tr", has_text="customers")
    expect(row.locator(".badge")).to_have_text("live")
    page.evaluate(_WATCH)
    row.get_by_role("button", name="Rebuild").click()
    act(page, "Rebuild", "a column is missing")
    expect(page.get_by_text("customers is being rebuilt.")).to_be_visible()
    expect(row.get_by_role("progressbar", name="Rebuild of customers")).to_be_visible()
    expect(row.get_by_role("button", name="Rebuild")).to_be_visible()
    seen = page.evaluate("window.seen")
    assert seen == sorted(seen)
    assert len(seen) > 1
    assert recorded(works, "procession.projection_rebuild_requested") == [("ann", "a column is missing")]


def test_a_task_is_answered_through_its_form(watched: Watched, works: Shop) -> None:
    filed = {"expense_id": "e1", "employee": "bob", "amount_cents": 4200, "purpose": "a lamp"}
    works.publish("expense.filed", "e1/filed", **filed)
    page = watched.open("tasks")
    page.get_by_role("link", name="Expense of bob: 42.00").click()
    expect(page.get_by_text("a lamp")).to_be_visible()
    page.get_by_label("Who answers").fill("eve")
    page.get_by_label("approved").check()
    page.get_by_label("comment").fill("it was dark")
    page.get_by_role("button", name="Answer", exact=True).click()
    expect(page.get_by_text("Answered.")).to_be_visible()
    expect(section(page, "Expense of bob: 42.00").get_by_text("it was dark")).to_be_visible()
    history = works.client.get("/v1/flows/expense/e1/history").json()
    (decided,) = [entry["data"] for entry in history["timeline"] if entry["type"] == "expense.decided"]
    assert (decided["approved"], decided["comment"], decided["by"]) == (True, "it was dark", "eve")
