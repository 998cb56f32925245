"""docs/http.md names every route, with its policy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from procession.daemon.http.app import ROUTES
from procession.daemon.http.routes import Route

PAGE = (Path(__file__).parents[3] / "docs" / "http.md").read_text("utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith(("| `GET", "| `POST", "| `DELETE"))]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_a_route_is_documented(route: Route) -> None:
    path = re.sub(r"\{(\w+)\}", lambda part: part[1].upper(), route.path)
    folder, _, last = path.rpartition("/")
    named = re.compile(rf"\| .*`({route.method} )?({re.escape(path)}|…/{re.escape(last)})[?`].*\| {route.policy} \|")
    assert [row for row in ROWS if named.match(row) and (path in row or f"{folder}/" in row)]
