"""The dashboard's files as they are served: small, kept by the browser, with headers that hold it in bounds."""

from __future__ import annotations

import gzip
import re
from collections import Counter

import httpx
import pytest

from procession.daemon.http.app import ROUTES
from procession.daemon.http.page import assets
from tests.daemon.http.served import raw, served

WEIGHT_BYTES_MAX = 200_000
OURS = {
    name: asset
    for name, asset in assets().items()
    if name not in ("preact.js", "preact-hooks.js", "htm.js", "uplot.js")
}
NAMESPACES = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml", "http://www.w3.org/1998/Math/MathML"}


def directives(response: httpx.Response) -> dict[str, str]:
    """The content security policy, by directive."""
    policy = response.headers["content-security-policy"]
    return {name: value for name, _, value in (part.strip().partition(" ") for part in policy.split(";"))}


def test_all_files_together_weigh_less_than_allowed() -> None:
    assert {"index.html", "app.js", "style.css", "THIRD_PARTY.txt"} <= set(assets())
    assert sum(len(asset.zipped) for asset in assets().values()) < WEIGHT_BYTES_MAX


async def test_the_page_names_no_file_that_is_not_there() -> None:
    async with served() as http:
        page = await http.client.get("/")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        named = re.findall(r'(?:href|src)="(/dashboard/[^"]+)"', page.text)
        assert len(named) > 5
        for path in named:
            assert (await http.client.get(path)).status_code == 200, path


def test_every_module_that_a_file_imports_is_there() -> None:
    imported = {
        name for asset in assets().values() for name in re.findall(rb'(?:from|import)\s*\(?"\./([^"]+)"', asset.whole)
    }
    assert len(imported) > 30
    assert {name.decode() for name in imported} <= set(assets())


def test_the_page_asks_at_once_for_all_modules_that_it_begins_with() -> None:
    needed, left = set[str](), ["app.js"]
    while left:
        name = left.pop()
        needed.add(name)
        found = re.findall(rb'from\s*"\./([^"]+)"', assets()[name].whole)
        left += [one.decode() for one in found if one.decode() not in needed]
    asked = re.findall(rb'(?:modulepreload" href|src)="/dashboard/([^"]+\.js)"', assets()["index.html"].whole)
    assert {name.decode() for name in asked} == needed


@pytest.mark.parametrize("name", sorted(assets()))
def test_no_file_names_another_address(name: str) -> None:
    found = set(re.findall(r"https?://[^\s\"'`)]+", assets()[name].whole.decode()))
    allowed = {url for url in found if name in ("THIRD_PARTY.txt", "uplot.js") or url in NAMESPACES}
    assert found == allowed


@pytest.mark.parametrize("name", sorted(name for name in OURS if name.endswith((".js", ".html"))))
def test_no_file_of_ours_makes_markup_of_text(name: str) -> None:
    text = OURS[name].whole.decode()
    forbidden = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "dangerouslySetInnerHTML", "eval(")
    assert [word for word in (*forbidden, "new Function", "javascript:") if word in text] == []
    assert re.findall(r"<script(?![^>]* src=)|<style|\son\w+=\"|\sstyle=\"", text) == []


@pytest.mark.parametrize("path", ["/", "/dashboard/app.js", "/dashboard/none.js", "/v1/overview", "/nowhere"])
async def test_every_answer_has_the_headers_that_scanners_want(path: str) -> None:
    async with served() as http:
        headers = (await http.client.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "geolocation=()" in headers["permissions-policy"]
    assert "server" not in headers
    doubled = [name for name, count in Counter(name for name, _ in headers.multi_items()).items() if count > 1]
    assert doubled == []


async def test_the_page_may_run_its_own_files_and_nothing_else() -> None:
    async with served() as http:
        found = directives(await http.client.get("/"))
    assert found["default-src"] == "'none'"
    assert {found[name] for name in ("script-src", "style-src", "img-src", "connect-src")} == {"'self'"}
    assert {found[name] for name in ("base-uri", "form-action", "frame-ancestors", "trusted-types")} == {"'none'"}
    assert "unsafe" not in str(found)


async def test_data_is_neither_kept_nor_shown_as_a_page() -> None:
    async with served() as http:
        answer = await http.client.get("/v1/flows")
    assert answer.headers["cache-control"] == "no-store"
    assert directives(answer)["frame-ancestors"] == "'none'"


async def test_a_file_that_the_browser_has_is_not_sent_again() -> None:
    async with served() as http:
        first = await http.client.get("/dashboard/app.js")
        known = {"If-None-Match": f'"other", W/{first.headers["etag"]}'}
        again = await http.client.get("/dashboard/app.js", headers=known)
        other = await http.client.get("/dashboard/app.js", headers={"If-None-Match": '"other"'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert other.status_code == 200


@pytest.mark.parametrize(
    ("accepted", "zipped"),
    [("gzip", True), ("br, GZIP;q=0.5", True), ("*", True), ("gzip;q=0", False), ("br", False), ("", False)],
)
async def test_a_file_is_compressed_for_who_takes_it(accepted: str, zipped: bool) -> None:
    async with served() as http:
        request = f"GET /dashboard/app.js HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: {accepted}\r\n\r\n"
        found = await raw(http, request.encode())
    assert (b"content-encoding: gzip" in found) == zipped


def test_what_is_compressed_is_the_file() -> None:
    assert [name for name, asset in assets().items() if gzip.decompress(asset.zipped) != asset.whole] == []


@pytest.mark.parametrize(
    "path", ["/dashboard/", "/dashboard/../app.py", "/dashboard/%2e%2e%2fapp.py", "/dashboard/a/b"]
)
async def test_nothing_but_the_dashboards_files_is_served(path: str) -> None:
    async with served() as http:
        found = await raw(http, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert found.startswith(b"HTTP/1.1 404")


def test_no_route_hides_behind_the_dashboard() -> None:
    assert [route.path for route in ROUTES if route.path.startswith("/dashboard") or route.path == "/"] == []
