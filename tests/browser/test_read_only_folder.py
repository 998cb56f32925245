"""A journal in a folder that nobody can write: it is read as it stands, and the page says so."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.conftest import Watched
from tests.browser.shop import open_shop
from tests.browser.test_file import shown
from tests.browser.test_pages import violations
from tests.small_disk import mounted

_SIZE_BYTES = 8_000_000
pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("chromium", "apt-get install chromium"),
    pytest.mark.needs("mount", "install mount, on Debian: apt-get install mount"),
]


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A journal on a disk that is mounted read-only: not even root may write there."""
    written, disk = tmp_path / "written", tmp_path / "disk"
    for folder in (written, disk):
        folder.mkdir()
    with open_shop(written) as shop:
        shop.poisoned("ill")
    with contextlib.closing(sqlite3.connect(written / "procession.db")) as journal:
        journal.execute("pragma wal_checkpoint(truncate)")  # its daemon was killed: all it wrote goes to the one file
    with mounted(disk, _SIZE_BYTES):
        shutil.copy(written / "procession.db", disk / "procession.db")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        yield disk / "procession.db"


def test_a_journal_in_a_read_only_folder_is_shown_and_the_page_says_how(
    context: BrowserContext, read_only: Path, tmp_path: Path
) -> None:
    with shown(read_only, tmp_path) as address:
        watched = Watched(context.new_page(), address)
        page = watched.open("flows")
        notice = page.get_by_role("note").first
        expect(notice).to_contain_text("A file is open, read-only")
        expect(notice).to_contain_text("immutable=1: as it stood when it was opened")
        expect(page.get_by_role("link", name="order/ill")).to_be_visible()
        watched.open("flow/order/ill?tab=states")
        expect(page.locator(".unavailable")).to_contain_text("no configuration names the modules of the flows")
        for act in ("Retry", "Skip", "Release"):
            expect(page.get_by_role("button", name=act, exact=True)).to_be_disabled()
        assert violations(page) == []
        watched.check()
    assert [file.name for file in read_only.parent.iterdir()] == ["procession.db"]
