"""The four dashboards of config/grafana, as code. Writes them: python -m tests.grafana.dashboards."""

from __future__ import annotations

import json
from pathlib import Path

from tests.grafana.flows import flows
from tests.grafana.gateways import gateways
from tests.grafana.journal_and_process import journal_and_process
from tests.grafana.overview import overview

FOLDER = Path(__file__).parent.parent.parent / "config" / "grafana"
DASHBOARDS = {
    "overview": overview,
    "flows": flows,
    "gateways": gateways,
    "journal_and_process": journal_and_process,
}


def written(name: str) -> str:
    """A dashboard as its file holds it."""
    return json.dumps(DASHBOARDS[name](), indent=1) + "\n"


if __name__ == "__main__":
    for name in DASHBOARDS:
        (FOLDER / f"{name}.json").write_text(written(name), "utf-8")
