"""Loan pipeline: where the applications stand, how many came through each stage, and how long they stayed there.

    stages = await runtime.query(LoanPipeline, LoanPipeline.stages)
    print(stages["declined"].entered, stages["submitted"].mean_s)

Times are those of the journal: when we heard of it, not when the bank's log says that it happened.
"""

from __future__ import annotations

from typing import NamedTuple

from flows.loan_application import (
    AAccepted,
    AActivated,
    AApproved,
    ACancelled,
    ADeclined,
    AFinalized,
    APartlySubmitted,
    APreaccepted,
    ARegistered,
    ASubmitted,
)
from procession import Projector, Reading, Rows, Settings, Store, Wiring, projects_columns

_US = 1_000_000


class Stage(NamedTuple):
    """What is known of one stage."""

    now: int
    """Applications that stand there."""
    entered: int
    """How often one came there."""
    mean_s: float | None
    """How long those stayed there that left it; None where none did."""


class LoanPipeline(Projector, name="loan_pipeline", version=1):
    """One row for each application, and one for each stage, kept by triggers. Asks for columns only."""

    tables = (
        """create table applications (
            case_id text primary key,
            stage text not null,
            since_us integer not null
        ) strict, without rowid""",
        """create table stages (
            stage text primary key,
            entered integer not null,
            left_behind integer not null default 0,
            stayed_us integer not null default 0
        ) strict, without rowid""",
        """create trigger came after insert on applications begin
            insert into stages (stage, entered) values (new.stage, 1)
                on conflict (stage) do update set entered = entered + 1;
        end""",
        """create trigger went after update on applications begin
            update stages set left_behind = left_behind + 1, stayed_us = stayed_us + new.since_us - old.since_us
                where stage = old.stage;
            insert into stages (stage, entered) values (new.stage, 1)
                on conflict (stage) do update set entered = entered + 1;
        end""",
    )

    @projects_columns(
        ASubmitted,
        APartlySubmitted,
        APreaccepted,
        AAccepted,
        AFinalized,
        AApproved,
        ADeclined,
        ACancelled,
        ARegistered,
        AActivated,
        columns=("data.case_id", "type", "recorded_us"),
    )
    def moved_on(self, rows: Rows, store: Store) -> None:
        """An application stands at another stage: `bpic2012.A_SUBMITTED` is called submitted."""
        store.executemany(
            "insert into applications (case_id, stage, since_us) values (?, lower(substr(?, 12)), ?)"
            " on conflict (case_id) do update set stage = excluded.stage, since_us = excluded.since_us",
            rows,
        )

    def stages(self, reading: Reading) -> dict[str, Stage]:
        """Every stage that an application ever came to."""
        rows = reading.execute("select stage, entered, left_behind, stayed_us from stages order by stage")
        return {
            stage: Stage(entered - left, entered, stayed_us / left / _US if left else None)
            for stage, entered, left, stayed_us in rows
        }


def wire_production(settings: Settings) -> Wiring:
    """The projection alone: the applications themselves are wired by `flows.loan_application`."""
    return Wiring(processes=(), gateways=(), projectors=(LoanPipeline,))


def wire_testing(settings: Settings) -> Wiring:
    """The same: a projection has nothing outside."""
    return wire_production(settings)
