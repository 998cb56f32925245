"""The loan pipeline gives the figures of the log, of the made one and of the real one."""

from __future__ import annotations

import gzip
import json
import os
from datetime import timedelta
from pathlib import Path

import pytest

from flows import loan_application, loan_pipeline
from flows.loan_application import AAccepted, AApproved, ADeclined, ASubmitted
from flows.loan_pipeline import LoanPipeline, Stage
from procession import Outside, Settings
from procession.testing import project
from procession.wiring import combine, open_wired, registry_of
from tests.flows.loan_log import loan_log

SETTINGS = Settings()
LOG = os.environ.get("LOAN_LOG", "")
"""The log of the BPI Challenge 2012 as CloudEvents, one JSON object a line, gzip; named by who has it."""
REAL = {"approved": 2_246, "declined": 7_635, "cancelled": 2_807}


def test_stages_are_counted_and_timed() -> None:
    seen = project(
        LoanPipeline,
        ASubmitted("1", "2026-01-01", "5000"),
        AAccepted("1"),
        ASubmitted("2", "2026-01-01", "900"),
        ADeclined("2"),
        AApproved("1"),
        step=timedelta(seconds=10),
    )
    assert seen.query(LoanPipeline.stages) == {
        "accepted": Stage(now=0, entered=1, mean_s=30.0),
        "approved": Stage(now=1, entered=1, mean_s=None),
        "declined": Stage(now=1, entered=1, mean_s=None),
        "submitted": Stage(now=0, entered=2, mean_s=10.0),
    }


async def test_a_published_log_gives_the_figures_that_it_promises(tmp_path: Path) -> None:
    log = loan_log(applications=60)
    found = await entered(tmp_path, list(log.events))
    assert {name: found.get(name, 0) for name in log.outcomes} == log.outcomes
    assert found["submitted"] == log.flows


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.skipif(not LOG, reason="LOAN_LOG names no log")
async def test_the_real_log_gives_its_figures(tmp_path: Path) -> None:
    with gzip.open(LOG) as lines:
        found = await entered(tmp_path, [json.loads(line) for line in lines])
    assert {name: found[name] for name in REAL} == REAL
    assert found["submitted"] == 13_087


async def entered(folder: Path, log: list[dict[str, object]]) -> dict[str, int]:
    """How many applications came to each stage, when the flows run beside it."""
    wired = combine([loan_application.wire_testing(SETTINGS), loan_pipeline.wire_testing(SETTINGS)])
    registry, batch = registry_of(wired), SETTINGS.intake.publish_batch_max
    async with open_wired(wired, SETTINGS, journal=folder / "loans.db") as runtime:
        for at in range(0, len(log), batch):
            await runtime.publish(
                [
                    Outside(
                        registry.codec.structure(registry.event_class(str(event["type"])), event["data"]),
                        str(event["id"]),
                        str(event["source"]),
                    )
                    for event in log[at : at + batch]
                ]
            )
        head = (await runtime.journal.heads()).position
        stages = await runtime.query(LoanPipeline, LoanPipeline.stages, at_least=head, timeout_s=60)
    return {name: stage.entered for name, stage in stages.items()}
