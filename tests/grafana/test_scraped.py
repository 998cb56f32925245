"""Prometheus itself reads what we give it: rules, configuration, and a daemon under load, without an empty panel."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.daemon.serving import serving
from tests.grafana.dashboards import DASHBOARDS
from tests.grafana.scraped import Prometheus, in_the_end_nothing, loaded, scraping, shop
from tests.grafana.test_dashboards import ALERTS, ALERTS_TEST, rules

needs_prometheus = pytest.mark.needs("prometheus", "apt-get install prometheus")
needs_promtool = pytest.mark.needs("promtool", "apt-get install prometheus")
CHOSEN = {"$instance": ".+", "$process": ".+", "$gateway": ".+", "$__rate_interval": "20s", "$__range": "60s"}


def promtool(*arguments: str | Path, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("promtool")
    assert program is not None
    return subprocess.run([program, *map(str, arguments)], input=given, capture_output=True, check=False)


def filled(expression: str) -> str:
    for name, value in CHOSEN.items():
        expression = expression.replace(name, value)
    assert "$" not in expression
    return expression


def empty_panels(prometheus: Prometheus) -> Iterator[str]:
    for build in DASHBOARDS.values():
        found = build()
        for panel in found["panels"]:
            for target in panel["targets"]:
                values = [sample["value"][1] for sample in prometheus.query(filled(target["expr"]))]
                if all(value == "NaN" for value in values):
                    yield f"{found['title']}: {panel['title']}: {filled(target['expr'])} gives {values}"


def unevaluated(prometheus: Prometheus) -> list[str]:
    (group,) = prometheus.ask("rules")["groups"]
    return [rule["name"] for rule in group["rules"] if rule["health"] != "ok"]


def variables() -> Iterator[dict[str, Any]]:
    for build in DASHBOARDS.values():
        yield from (found for found in build()["templating"]["list"] if found["type"] == "query")


@pytest.mark.slow
@needs_promtool
@pytest.mark.timeout(60)
def test_promtool_has_no_finding_in_rules_and_configuration() -> None:
    for arguments in (
        ("check", "config", ALERTS.parent / "prometheus.yml"),
        ("check", "rules", "--lint-fatal", ALERTS),
        ("test", "rules", ALERTS_TEST),
    ):
        done = promtool(*arguments)
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()


@pytest.mark.slow
@needs_prometheus
@needs_promtool
@pytest.mark.timeout(300)
def test_no_panel_is_empty_and_every_alert_evaluates_over_a_daemon_under_load(tmp_path: Path) -> None:
    port, registry = shop(tmp_path)
    (tmp_path / "prometheus").mkdir()
    with (
        serving(tmp_path) as daemon,
        scraping(tmp_path / "prometheus", port, ALERTS) as prometheus,
        loaded(port, registry) as load,
    ):
        assert in_the_end_nothing(lambda: empty_panels(prometheus)) == []
        for variable in variables():
            metric, _, label = variable["definition"].removeprefix("label_values(").removesuffix(")").partition(", ")
            assert all(sample["metric"][label] for sample in prometheus.query(metric)), variable["definition"]
        assert in_the_end_nothing(lambda: unevaluated(prometheus)) == []
        (group,) = prometheus.ask("rules")["groups"]
        assert {rule["name"]: rule["health"] for rule in group["rules"]} == {rule["alert"]: "ok" for rule in rules()}
        series = prometheus.ask("series", **{"match[]": '{job="procession"}'})
        values = {value for labels in series for value in labels.values()}
        assert len(load.keys) > 100
        assert not [value for value in values if any(key in value for key in load.keys.copy())]
        scraped = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False, timeout=30)
        checked = promtool("check", "metrics", given=scraped.content)
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
        load.end()
        assert daemon.stop() == 0
