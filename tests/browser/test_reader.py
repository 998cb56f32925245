"""Who comes with the token of a reader sees everything, and can do nothing that writes; in a browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import Watched
from tests.browser.shop import Shop, open_shop
from tests.browser.test_pages import VIEWS, violations
from tests.daemon.http.guarded import tokens_in

pytestmark = [pytest.mark.slow, pytest.mark.needs("chromium", "apt-get install chromium")]
READS_BY_POST = ("/v1/session", "/what-if")


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The tokens, by role, of the file `tokens`."""
    folder = tmp_path_factory.mktemp("tokens")
    path, found = tokens_in(folder)
    return {**found, "path": str(path)}


@pytest.fixture(scope="module")
def guarded_shop(tmp_path_factory: pytest.TempPathFactory, texts: dict[str, str]) -> Iterator[Shop]:
    """A shop that wants tokens, with an order in quarantine."""
    http = f'tokens = "{texts["path"]}"\nfailures_per_min = 1000'
    with open_shop(tmp_path_factory.mktemp("guarded"), http, texts["admin"]) as shop:
        shop.poisoned("ill")
        yield shop


@pytest.fixture
def guarded(context: BrowserContext, guarded_shop: Shop) -> Iterator[Watched]:
    """A page of it, at which nobody logged in yet."""
    found = Watched(context.new_page(), guarded_shop.address)
    yield found
    found.check()


def log_in(guarded: Watched, token: str) -> Page:
    page = guarded.open("overview")
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Log in").click()
    return page


def test_a_token_is_asked_for_and_a_wrong_one_is_told(guarded: Watched, texts: dict[str, str]) -> None:
    page = log_in(guarded, texts["reader"][:-2] + "xx")
    expect(page.get_by_role("alert")).to_contain_text("token")
    assert violations(page) == []
    page.get_by_label("Token").fill(texts["reader"])
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("Flows by process")).to_be_visible()
    expect(page.get_by_text("You may read.")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Token")).to_be_visible()


def test_a_reader_sees_all_and_no_click_writes(guarded: Watched, guarded_shop: Shop, texts: dict[str, str]) -> None:
    page = log_in(guarded, texts["reader"])
    expect(page.get_by_text("You may read.")).to_be_visible()
    written: list[str] = []
    page.on("request", lambda asked: written.extend([asked.url] * (asked.method != "GET")))
    for view, says in VIEWS.items():
        guarded.open(view)
        expect(page.get_by_text(says.replace("Expense of", "No flow asks people")).first).to_be_visible()
        for button in page.locator("main button:enabled").all():
            button.click(no_wait_after=True)
            page.keyboard.press("Escape")
    assert [url for url in written if not url.endswith(READS_BY_POST)] == []
    assert guarded_shop.flow("ill")["status"] == "quarantined"


def test_an_operator_acts_in_the_name_of_the_token(guarded: Watched, guarded_shop: Shop, texts: dict[str, str]) -> None:
    guarded_shop.poisoned("mended")
    page = log_in(guarded, texts["operator"])
    expect(page.get_by_text("Flows by process")).to_be_visible()
    guarded.open("flow/order/mended")
    page.get_by_role("button", name="Skip", exact=True).click()
    expect(page.get_by_label("Who")).to_have_value("operator")
    page.get_by_label("Reason").fill("it is not needed")
    page.get_by_role("dialog").get_by_role("button", name="Skip").click()
    expect(page.get_by_text("later events wait: release it").first).to_be_visible()
    history = guarded_shop.client.get("/v1/flows/order/mended/history").json()
    assert [entry["data"]["by"] for entry in history["timeline"] if entry["type"] == "procession.event_skipped"] == [
        "operator"
    ]
