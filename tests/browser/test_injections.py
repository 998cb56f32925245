"""Whatever keys, names, data, errors and reasons hold is shown as text: nothing of it runs."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from procession.errors import one_line
from tests.browser.conftest import Watched
from tests.browser.shop import Shop

pytestmark = [pytest.mark.slow, pytest.mark.needs("chromium", "apt-get install chromium")]
CORPUS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    '"><script>alert(1)</script>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "</title><script>alert(1)</script>",
    "</pre></textarea></style><iframe src=javascript:alert(1)>",
    "{{constructor.constructor('alert(1)')()}}",
    "${alert(1)}",
    "<math><mtext></mtext><mglyph><style></math><img src onerror=alert(1)>",
    '<a href="data:text/html,<script>alert(1)</script>">x</a>',
    "<base href=//shop.example/>",
    "<meta http-equiv=refresh content=0;url=//shop.example>",
    "<link rel=stylesheet href=//shop.example/x.css>",
    "<form action=//shop.example><button>x",
    "__proto__",
    "constructor",
    "%3Cscript%3Ealert(1)%3C/script%3E",
    "a/b?c=d#e&f=<g>",
    "\u202egnp.exe <b>",
    "👩‍👩‍👧 \ufeffǅ",
)
_LISTEN = "window.alert = () => { window.ran = true; }; window.prompt = window.confirm = window.alert;"
_UNFOLD = "() => document.querySelectorAll('details').forEach((one) => { one.open = true; })"
_AT_ONCE = 6


def keyed(index: int) -> str:
    return f"x{index} {CORPUS[index]}"


@pytest.fixture
def poisoned(watched: Watched, shop: Shop) -> Watched:
    """The page of a shop with an order for each text: in its key, its data, and the reason why it is set aside."""
    shop.given_up({keyed(index): text for index, text in enumerate(CORPUS)})
    watched.page.add_init_script(_LISTEN)
    return watched


def check(watched: Watched) -> None:
    assert not watched.page.evaluate("() => window.ran")
    watched.check()


def test_lists_show_texts_as_they_are(poisoned: Watched) -> None:
    page = poisoned.open("quarantine")
    for index, text in enumerate(CORPUS):
        link = page.get_by_role("link", name=f"order/{keyed(index)}", exact=True)
        expect(page.locator("tr", has=link)).to_contain_text(f"refused {one_line(text)}".strip())
    check(poisoned)
    for view in ("overview", "flows", "gateways", "tree"):
        poisoned.open(view)
        page.wait_for_timeout(300)
        check(poisoned)
    page.keyboard.press("Control+k")
    for text in CORPUS:
        page.get_by_role("combobox", name="Go to a page, process, gateway or flow").fill(f"order/{text}")
    check(poisoned)


def test_the_log_shows_texts_as_they_are(poisoned: Watched) -> None:
    page = poisoned.open("log?level=WARNING")
    for index, text in enumerate(CORPUS):
        line = page.locator("tr", has=page.get_by_role("link", name=f"order/{keyed(index)}", exact=True))
        expect(line.first).to_contain_text(f"refused {one_line(text)}".strip())
    page.get_by_label("Words in it").fill(CORPUS[0])
    page.get_by_label("Flow").fill(CORPUS[0])
    check(poisoned)


def test_a_search_for_a_text_shows_it_as_it_is(poisoned: Watched) -> None:
    page = poisoned.open("flows")
    box = page.get_by_role("combobox", name="Search flows")
    for text in CORPUS:
        box.fill(text)
        box.press("Enter")
        page.get_by_role("button", name="Keep this search").or_(page.get_by_role("alert")).first.wait_for()
        check(poisoned)


@pytest.mark.parametrize("first", range(0, len(CORPUS), _AT_ONCE))
def test_a_flow_shows_a_text_as_it_is(poisoned: Watched, first: int) -> None:
    page = poisoned.page
    for index in range(first, min(first + _AT_ONCE, len(CORPUS))):
        at = f"flow/order/{quote(keyed(index), safe='')}"
        poisoned.open(at)
        expect(page.get_by_role("heading", name=f"order/{keyed(index)}", exact=True)).to_be_visible()
        expect(page.get_by_role("note").last).to_contain_text(one_line(CORPUS[index]).strip())
        page.get_by_role("button", name="Why?").first.click()
        page.locator(".causes li").first.wait_for()
        for tab, says in (("sequence", "Copy as Mermaid"), ("states", "What it changes"), ("raw", "Commands")):
            poisoned.open(f"{at}?tab={tab}")
            page.get_by_text(says).first.wait_for()
            page.evaluate(_UNFOLD)
        check(poisoned)


def test_a_name_and_a_reason_are_shown_as_they_are(poisoned: Watched, shop: Shop) -> None:
    page = poisoned.page
    shop.given_up({f"y{index}": text for index, text in enumerate(CORPUS[:_AT_ONCE])})
    for index, text in enumerate(CORPUS[:_AT_ONCE]):
        poisoned.open(f"flow/order/y{index}")
        page.get_by_role("button", name="Cancel the flow").click()
        page.get_by_label("Who").fill(text)
        page.get_by_label("Reason").fill(text)
        page.get_by_role("dialog").get_by_role("button", name="Cancel the flow").click()
        expect(page.get_by_text("How it ended")).to_be_visible()
        expect(page.locator("section").first).to_contain_text(f"asked by {text}")
        check(poisoned)
