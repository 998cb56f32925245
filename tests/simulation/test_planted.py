"""Ways in which such an engine is built wrong: each is planted, and found by what a run leaves behind.

The laws over single commits would find most of them at once; here they are not asked. Found means: a crash, a retry or
a restart made the fault do harm, and the rows or the outside show it.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from procession.testing.simulation.runs import Simulation
from tests.simulation import planted, planted_in_decisions, planted_in_lives
from tests.simulation.planted import Plant
from tests.simulation.systems import banked, ordered
from tests.simulation.torture import tortured

Case = tuple[Plant, Callable[[], Simulation], str]

SEEDS_MAX = 1000
FAULTS_MIN = 20
TAKE_LONG = (
    planted.stale_snapshot_used,
    planted.order_lost_at_restart,
    planted.quarantine_drops_later_events,
    planted_in_lives.given_up_without_a_word,
    planted_in_lives.waiting_comes_last,
    planted_in_decisions.decided_and_left_open,
)
FOUND: list[Case] = [
    (planted.outbox_in_a_second_commit, ordered, "commands_are_what_steps_asked_for"),
    (planted.command_before_its_commit, tortured, "attempts_follow_their_commit"),
    (planted.timer_row_missing, tortured, "timers_are_what_steps_left"),
    (planted.timer_twice_after_restart, tortured, "each_deadline_fires_once"),
    (planted.dedupe_in_memory_only, tortured, "each_event_is_accepted_once"),
    (planted.delivery_row_dropped, tortured, "each_event_is_answered_once"),
    (planted.stale_snapshot_used, tortured, "each_turn_is_the_same_again"),
    (planted.new_command_id_at_retry, ordered, "attempts_follow_their_commit"),
    (planted.order_lost_at_restart, tortured, "each_flow_keeps_its_order"),
    (planted.quarantine_drops_later_events, tortured, "each_event_is_answered_once"),
    (planted.cancel_outside_the_commit, ordered, "timers_are_what_steps_left"),
    (planted.answer_without_completing_its_command, tortured, "each_command_ends_once"),
    (planted_in_lives.acknowledged_before_its_commit, tortured, "nothing_accepted_is_lost"),
    (planted_in_lives.failed_commit_taken_for_done, tortured, "nothing_accepted_is_lost"),
    (planted_in_lives.answer_lost_with_its_commit, ordered, "attempts_follow_their_commit"),
    (planted_in_lives.command_ids_by_chance, ordered, "commands_are_what_steps_asked_for"),
    (planted_in_lives.unhandled_not_recorded, tortured, "each_event_is_answered_once"),
    (planted_in_lives.waiting_not_stored, tortured, "each_event_is_answered_once"),
    (planted_in_lives.commands_lost_at_restart, ordered, "all_comes_to_rest"),
    (planted_in_lives.timers_outlive_their_flow, tortured, "timers_are_what_steps_left"),
    (planted_in_lives.waiting_comes_last, tortured, "each_flow_keeps_its_order"),
    (planted_in_lives.full_mailbox_drops, tortured, "each_flow_keeps_its_order"),
    (planted_in_lives.nothing_taken_up_at_a_start, tortured, "all_comes_to_rest"),
    (planted_in_lives.last_come_first_served, tortured, "each_flow_keeps_its_order"),
    (planted_in_lives.given_up_without_a_word, ordered, "each_command_ends_once"),
    (planted_in_lives.snapshot_one_version_ahead, ordered, "the_engine_never_fails"),
    (planted_in_decisions.decided_and_left_open, banked, "each_event_is_accepted_once"),
    (planted_in_decisions.refusal_kept_from_its_flow, banked, "each_command_ends_once"),
    (planted_in_decisions.loaded_without_its_past, banked, "each_decision_is_the_same_again"),
    (planted.dedupe_in_memory_only, banked, "each_command_is_answered_the_same"),
    (planted.stale_snapshot_used, banked, "each_decision_is_the_same_again"),
    (planted_in_lives.snapshot_a_turn_behind, tortured, "a_snapshot_holds_what_is_folded"),
]


def first_found(simulation: Simulation, rule: str, *, commits: bool = False) -> int:
    """The first seed that breaks the rule."""
    for seed in range(SEEDS_MAX):
        breaches = simulation.judge(simulation.run(simulation.plan(seed)), commits=commits)
        if rule in {broken for broken, _ in breaches}:
            return seed
    raise AssertionError(f"{SEEDS_MAX} seeds did not find it")


def named(cases: list[Case]) -> list[object]:
    """Each case by the name of its plant; what takes seconds of processor time is slow."""
    return [
        pytest.param(
            *case, id=f"{case[0].__name__}-{case[1].__name__}", marks=[pytest.mark.slow] if case[0] in TAKE_LONG else []
        )
        for case in cases
    ]


@pytest.mark.parametrize(("plant", "system", "rule"), named(FOUND))
def test_a_planted_fault_is_found(
    monkeypatch: pytest.MonkeyPatch, plant: Plant, system: Callable[[], Simulation], rule: str
) -> None:
    plant(monkeypatch)
    assert first_found(system(), rule) < SEEDS_MAX


IN_COMMITS: list[Case] = [
    (planted.outbox_in_a_second_commit, ordered, "commands_join_their_step"),
    (planted.timer_row_missing, ordered, "timers_move_with_their_step"),
    (planted.timer_twice_after_restart, tortured, "timers_move_with_their_step"),
    (planted.delivery_row_dropped, ordered, "events_come_with_their_answer"),
    (planted.quarantine_drops_later_events, tortured, "events_come_with_their_answer"),
    (planted.cancel_outside_the_commit, ordered, "timers_move_with_their_step"),
    (planted.answer_without_completing_its_command, ordered, "answers_complete_their_command"),
]


@pytest.mark.parametrize(("plant", "system", "rule"), named(IN_COMMITS))
def test_what_belongs_in_one_commit_is_seen_in_the_commits_too(
    monkeypatch: pytest.MonkeyPatch, plant: Plant, system: Callable[[], Simulation], rule: str
) -> None:
    plant(monkeypatch)
    assert first_found(system(), rule, commits=True) < SEEDS_MAX


def test_all_are_planted_and_enough() -> None:
    assert {plant for plant, _, _ in FOUND} == {
        *planted.PLANTS,
        *planted_in_lives.PLANTS,
        *planted_in_decisions.PLANTS,
    }
    assert len({plant for plant, _, _ in FOUND}) >= FAULTS_MIN
