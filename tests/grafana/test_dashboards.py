"""What is kept in config/ for Prometheus and Grafana: as its code makes it, over names that are there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it has no types, and its stubs are a package of their own

from procession.telemetry.names import METRICS
from tests.grafana.dashboards import DASHBOARDS, FOLDER, written

ROOT = Path(__file__).parent.parent.parent
ALERTS = ROOT / "config" / "prometheus" / "alerts.yml"
ALERTS_TEST = ROOT / "config" / "prometheus" / "alerts_test.yml"
OF_EVERY_PROCESS = {
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "up",
}
LABELS = {metric.in_prometheus: {*metric.labels, "instance", "job", "le"} for metric in METRICS}
SELECTOR = re.compile(r"(?P<name>(?:procession|process)_\w+|\bup\b)(?:\{(?P<labels>[^}]*)\})?")


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def expressions() -> Iterator[str]:
    for build in DASHBOARDS.values():
        for panel in build()["panels"]:
            yield from (target["expr"] for target in panel["targets"])
    yield from (rule["expr"] for rule in rules())


def family(name: str) -> str:
    """A series of a histogram belongs to its family."""
    return name if name in LABELS else re.sub(r"_(bucket|count|sum)$", "", name)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_is_kept_as_its_code_makes_it(name: str) -> None:
    kept = (FOLDER / f"{name}.json").read_text("utf-8")
    assert kept == written(name), "python -m tests.grafana.dashboards writes it"


def test_every_expression_asks_for_names_and_labels_that_are_there() -> None:
    asked = [found for expression in expressions() for found in SELECTOR.finditer(expression)]
    assert len(asked) > 100
    ours = [found for found in asked if found["name"] not in OF_EVERY_PROCESS]
    assert {family(found["name"]) for found in ours} <= LABELS.keys()
    unknown = [
        (found["name"], label)
        for found in ours
        for label in re.findall(r"(\w+)=", found["labels"] or "")
        if label not in LABELS[family(found["name"])]
    ]
    assert unknown == []


def test_every_metric_is_in_some_picture() -> None:
    shown = {family(found["name"]) for expression in expressions() for found in SELECTOR.finditer(expression)}
    assert LABELS.keys() - shown == set()


def test_every_alert_has_a_runbook_and_a_test_of_where_it_fires_and_where_it_keeps_still() -> None:
    runbook = (ROOT / "docs" / "operating.md").read_text("utf-8")
    tested = {test["name"] for test in yaml.safe_load(ALERTS_TEST.read_text())["tests"]}
    assert len(rules()) >= 10
    for rule in rules():
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert page == "docs/operating.md"
        assert f"\n### {anchor.replace('-', ' ').capitalize()}\n" in runbook, rule["alert"]
        assert {f"{rule['alert']} fires", f"{rule['alert']} keeps still"} <= tested
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
