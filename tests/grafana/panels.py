"""What dashboards are built from: panels with their queries, and the dashboard around them, as Grafana has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import attrs

Json = dict[str, Any]
Kind = Literal["timeseries", "stat", "heatmap"]

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH, HEIGHT = 24, 8


@attrs.frozen
class Query:
    """One expression, and what its lines are called."""

    expr: str
    legend: str = ""


@attrs.frozen
class Panel:
    """One picture."""

    title: str
    about: str
    queries: tuple[Query, ...]
    unit: str = "short"
    """As Grafana calls it."""
    kind: Kind = "timeseries"
    width: int = 8
    at_stake: tuple[tuple[float, str], ...] = ()
    """From which value on it is shown in which colour; in green below."""

    def json(self, number: int, x: int, y: int) -> Json:
        """As Grafana has it."""
        steps: list[Json] = [{"color": "green", "value": None}]
        steps += [{"color": color, "value": value} for value, color in self.at_stake]
        height = HEIGHT if self.kind != "stat" else HEIGHT // 2
        shown: Json = {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.about,
            "datasource": SOURCE,
            "gridPos": {"x": x, "y": y, "w": self.width, "h": height},
            "fieldConfig": {
                "defaults": {"unit": self.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}},
                "overrides": [],
            },
            "options": _options(self.kind, self.unit),
            "targets": [self._target(index, query) for index, query in enumerate(self.queries)],
        }
        return shown

    def _target(self, index: int, query: Query) -> Json:
        return {
            "refId": chr(ord("A") + index),
            "datasource": SOURCE,
            "expr": query.expr,
            "legendFormat": query.legend or "__auto",
            "range": True,
            "instant": False,
            "format": "heatmap" if self.kind == "heatmap" else "time_series",
        }


def _options(kind: Kind, unit: str) -> Json:
    if kind == "timeseries":
        return {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    if kind == "stat":
        return {
            "colorMode": "value",
            "graphMode": "area",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        }
    color = {"mode": "scheme", "scheme": "Oranges", "steps": 64}
    return {"calculate": False, "color": color, "yAxis": {"unit": unit}, "cellGap": 1}


@attrs.frozen
class Variable:
    """What the reader of a dashboard may choose: the values of one label."""

    name: str
    metric: str

    def json(self) -> Json:
        """As Grafana has it."""
        asked = f"label_values({self.metric}, {self.name})"
        return {
            "name": self.name,
            "type": "query",
            "datasource": SOURCE,
            "query": {"query": asked, "refId": self.name},
            "definition": asked,
            "refresh": 2,
            "includeAll": True,
            "allValue": ".+",
            "multi": True,
            "current": {"text": ["All"], "value": ["$__all"]},
            "sort": 1,
        }


def dashboard(uid: str, title: str, about: str, variables: Sequence[Variable], panels: Sequence[Panel]) -> Json:
    """A dashboard with its panels from left to right, row after row."""
    placed, x, y, tall = [], 0, 0, 0
    for number, panel in enumerate(panels, 1):
        if x + panel.width > WIDTH:
            x, y, tall = 0, y + tall, 0
        shown = panel.json(number, x, y)
        placed.append(shown)
        x, tall = x + panel.width, max(tall, shown["gridPos"]["h"])
    return {
        "uid": uid,
        "title": title,
        "description": about,
        "tags": ["procession"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "timezone": "browser",
        "time": {"from": "now-1h", "to": "now"},
        "links": [
            {"type": "dashboards", "title": "procession", "tags": ["procession"], "asDropdown": False, "keepTime": True}
        ],
        "annotations": {
            "list": [
                {
                    "name": "started",
                    "enable": True,
                    "iconColor": "blue",
                    "datasource": SOURCE,
                    "expr": 'changes(process_start_time_seconds{job="procession", instance=~"$instance"}[1m]) > 0',
                    "titleFormat": "{{instance}} was started",
                }
            ]
        },
        "templating": {
            "list": [
                {"name": "datasource", "label": "source", "type": "datasource", "query": "prometheus", "current": {}},
                *(variable.json() for variable in variables),
            ]
        },
        "panels": placed,
    }
