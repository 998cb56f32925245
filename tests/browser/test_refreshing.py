"""Pages renew themselves every second: what somebody does meanwhile outlives it, and what was lost comes back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.conftest import Watched
from tests.browser.shop import Shop, open_shop

pytestmark = [pytest.mark.slow, pytest.mark.needs("chromium", "apt-get install chromium")]
_REFRESHES_MS = 4_000
_SLOWLY = """
const quick = window.fetch;
window.fetch = async (address, options) => {
  if (String(address).includes("/history")) await new Promise((done) => setTimeout(done, 5000));
  return quick(address, options);
};
"""
_HIDDEN = """
(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}
"""


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop in which nothing happens but what the tests do."""
    with open_shop(tmp_path_factory.mktemp("works")) as found:
        yield found


@pytest.fixture
def still(context: BrowserContext, works: Shop) -> Iterator[Watched]:
    """A page of it."""
    found = Watched(context.new_page(), works.address)
    yield found
    found.check()


@pytest.mark.parametrize(
    ("view", "label", "sent"),
    [
        ("quarantine", "Reason holds", "quarantine?reason=ann"),
        ("quarantine", "Key begins with", "quarantine?prefix=ann"),
        ("tasks", "For this person", "tasks?person=ann"),
        ("log", "Flow", "log?flow=ann"),
        ("log", "Words in it", "log?text=ann"),
        ("flows", "Search flows", "flows?q=ann"),
    ],
)
def test_what_is_typed_stays_until_it_is_sent(watched: Watched, view: str, label: str, sent: str) -> None:
    page = watched.open(view)
    field = page.get_by_label(label, exact=True)
    field.fill("ann")
    page.wait_for_timeout(_REFRESHES_MS)
    expect(field).to_have_value("ann")
    field.press("Enter")
    expect(page).to_have_url(f"{watched.address}/#/{sent}")
    expect(field).to_have_value("ann")


def test_a_field_shows_what_the_address_says(watched: Watched) -> None:
    page = watched.open("quarantine?reason=ann")
    field = page.get_by_label("Reason holds")
    expect(field).to_have_value("ann")
    page.goto(f"{watched.address}/#/quarantine?reason=bob")
    expect(field).to_have_value("bob")
    page.go_back()
    expect(field).to_have_value("ann")


def test_a_series_that_was_hidden_stays_so(watched: Watched) -> None:
    page = watched.open("overview")
    series = page.locator(".u-legend .u-series").nth(1)
    series.locator(".u-marker").click()
    off = page.locator(".u-legend .u-series.u-off")
    expect(off).to_have_count(1)
    page.wait_for_timeout(_REFRESHES_MS)
    expect(off).to_have_count(1)


def test_a_dialog_stays_though_its_flow_has_left_the_page(still: Watched, works: Shop) -> None:
    works.poisoned("left")
    page = still.open("quarantine")
    row = page.get_by_role("group", name="Flows in quarantine").locator("tbody tr", has_text="order/left")
    row.get_by_role("button", name="Retry", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("the note was mended")
    for act in ("skip", "release"):
        works.client.post(f"/v1/flows/order/left/{act}", json={"by": "bob", "why": "he was quicker"})
    works.wait_until("left", "ended")
    page.wait_for_timeout(_REFRESHES_MS)
    expect(dialog.get_by_label("Reason")).to_have_value("the note was mended")
    dialog.get_by_role("button", name="Do nothing").click()
    expect(row).to_have_count(0)


def test_no_more_flows_are_acted_on_than_were_counted(still: Watched, works: Shop) -> None:
    for key in ("c1", "c2"):
        works.poisoned(key, "POISON counted")
    page = still.open("quarantine?reason=counted")
    page.get_by_role("button", name="Skip all").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Who").fill("ann")
    dialog.get_by_label("Reason").fill("they say nothing")
    dialog.get_by_role("button", name="Count them first").click()
    expect(dialog.get_by_role("button", name="Skip 2 flows")).to_be_visible()
    works.poisoned("c3", "POISON counted")
    dialog.get_by_role("button", name="Skip 2 flows").click()
    expect(page.get_by_text("2 flows done.")).to_be_visible()
    assert works.flow("c3")["status"] == "quarantined"


def test_an_answer_that_takes_longer_than_the_page_waits_to_ask_again_is_shown(still: Watched, works: Shop) -> None:
    works.place(["slowly"])
    still.page.add_init_script(_SLOWLY)
    page = still.open("flow/order/slowly")
    expect(page.get_by_role("heading", name="How it ended")).to_be_visible()


def test_a_stream_that_was_refused_is_asked_for_again(still: Watched) -> None:
    refused: list[str] = []

    def refuse_once(route: Route) -> None:
        if refused:
            route.continue_()
        else:
            refused.append(route.request.url)
            route.fulfill(status=503, body="come later")

    still.page.route("**/v1/overview/stream", refuse_once)
    page = still.open("overview")
    expect(page.locator(".liveness .badge")).to_have_text("live")
    assert refused


def test_a_tab_that_nobody_sees_holds_no_connection(still: Watched) -> None:
    page = still.open("overview")
    page.get_by_label("also in the background").check()
    state = page.locator(".liveness .badge")
    expect(state).to_have_text("live")
    page.evaluate(_HIDDEN, True)
    expect(state).to_have_text("paused")
    page.evaluate(_HIDDEN, False)
    expect(state).to_have_text("live")


def test_a_state_is_read_again_when_its_flow_was_repaired(still: Watched, works: Shop) -> None:
    works.poisoned("mended", customer="slower ann")
    page = still.open("flow/order/mended?tab=states&at=3")
    fate = page.locator("section p .badge")
    expect(fate).to_have_text("quarantined")
    works.client.post("/v1/flows/order/mended/skip", json={"by": "ann", "why": "it says nothing"})
    works.wait_until("mended", "active")
    expect(fate).to_have_text("act")


def test_the_way_back_is_that_of_the_search_that_is_shown(still: Watched, works: Shop) -> None:
    works.place(f"w{number}" for number in range(120))
    page = still.open("flows")
    for _ in range(2):
        page.get_by_role("button", name="Next page").click()
        expect(page.get_by_role("button", name="Page before")).to_be_visible()
    page.get_by_role("link", name="oldest first").click()
    expect(page.get_by_role("link", name="newest first")).to_be_visible()
    expect(page.get_by_role("button", name="Page before")).to_have_count(0)
    page.get_by_role("button", name="Next page").click()
    page.get_by_role("button", name="Page before").click()
    expect(page).to_have_url(f"{still.address}/#/flows?order=oldest")


@pytest.mark.parametrize(
    ("schema", "text", "means"),
    [
        ({"anyOf": [{"enum": ["low", "high"]}, {"type": "null"}]}, "high", '"high"'),
        ({"enum": [1, 2]}, "2", "2"),
        ({"enum": [" a  b "]}, " a  b ", '" a  b "'),
        ({"type": "integer"}, "1234567890123456789", "1234567890123456789"),
        ({"type": "number"}, ".5", "0.5"),
        ({"type": "object"}, '{"id": 1234567890123456789}', '{"id":1234567890123456789}'),
    ],
)
def test_what_is_answered_is_what_was_typed(still: Watched, schema: dict[str, Any], text: str, means: str) -> None:
    page: Page = still.open("tasks")
    found = page.evaluate(
        "async ([schema, text]) => JSON.stringify((await import('/dashboard/tasks.js')).meant(schema, text))",
        [schema, text],
    )
    assert found == means


def test_a_deadline_in_the_year_9999_is_one_to_count_with(still: Watched) -> None:
    page = still.open("overview")
    found = page.evaluate(
        """async () => {
          const { plain, readJson } = await import("/dashboard/api.js");
          const effect = readJson('{"due_us": 253370764800000000}');
          return [JSON.stringify(effect), new Date(plain(effect.due_us) / 1000).toISOString(), plain(7)];
        }"""
    )
    assert found == ['{"due_us":253370764800000000}', "9999-01-01T00:00:00.000Z", 7]
