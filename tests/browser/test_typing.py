"""What somebody types outlives the refreshes of the page, which come every second, and goes where it is sent."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Watched

pytestmark = [pytest.mark.slow, pytest.mark.needs("chromium", "apt-get install chromium")]
_REFRESHES_MS = 4_000


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
