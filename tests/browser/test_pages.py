"""Every page in a browser: nothing that a person with a screen reader stumbles over, light and dark, with pictures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Watched
from tests.browser.shop import Shop

pytestmark = [pytest.mark.slow, pytest.mark.needs("chromium", "apt-get install chromium")]
AXE = (Path(__file__).parent / "axe.min.js").read_text("utf-8")
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
VIEWS = {
    "overview": "Flows by process",
    "flows": "Flows",
    "flow/order/ill?": "What it waits for",
    "flow/order/ill?tab=sequence": "Copy as Mermaid",
    "flow/order/ill?tab=states": "What it changes",
    "flow/order/ill?tab=whatif": "See what would differ",
    "flow/order/ill?tab=raw": "Download as JSON lines",
    "processes": "provisioning",
    "processes/order": "What leads where",
    "gateways": "packers",
    "quarantine": "All of these",
    "tasks": "Expense of",
    "projections": "This runtime has no projectors",
    "tree": "journal writer",
    "tree?tasks=open": "tasks run",
    "laws": "What the check says",
    "log": "Words in it",
    "flow/order/ill?tab=log": "Log",
}


def artefacts(tmp_path: Path) -> Path:
    """Where pictures go: they are kept where the variable names a folder."""
    folder = Path(os.environ.get("ARTEFACTS_DIR", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def violations(page: Page) -> list[str]:
    """What axe finds, each with its place."""
    page.evaluate(AXE)
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{rule['id']}: {node['target']} {node['html'][:120]} {node['failureSummary'][:200]}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing_on_any_page(watched: Watched, shop: Shop, tmp_path: Path, view: str) -> None:
    shop.poisoned_once("ill")
    page = watched.open(view)
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        expect(page.get_by_text(VIEWS[view]).first).to_be_visible()
        name = f"{view.replace('/', '-').replace('?tab=', '-').replace('?tasks=', '-').rstrip('?')}-{scheme}.png"
        page.screenshot(path=artefacts(tmp_path) / name)
        assert violations(page) == []
