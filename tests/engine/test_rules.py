"""Which tests hold which rule of the engine. The numbers are those that the docstrings of the tests name."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
RULES = range(1, 36)

HOLDS: dict[int, tuple[str, ...]] = {
    1: (
        "tests/engine/test_turns.py::test_the_quick_way_leaves_a_step_and_no_delivery",
        "tests/engine/test_turns.py::test_every_commit_of_an_event_holds_its_step_or_its_delivery",
        "tests/engine/test_recovery.py::test_deliveries_that_a_crash_left_are_handled_before_anything_newer",
        "tests/engine/test_histories.py::test_every_accepted_event_is_answered_once_in_each_flow_with_tiny_bounds",
    ),
    2: (
        "tests/engine/test_intake.py::test_a_key_that_can_not_be_computed_is_refused",
        "tests/engine/test_intake.py::test_a_key_out_of_bounds_is_refused",
        "tests/engine/test_intake.py::test_more_keys_than_the_bound_are_refused",
        "tests/engine/test_turns.py::test_an_answer_without_a_key_in_another_process_is_unroutable_there",
    ),
    3: (
        "tests/engine/test_intake.py::test_the_same_id_with_the_same_content_is_accepted_once",
        "tests/engine/test_intake.py::test_the_same_id_with_other_content_is_refused",
        "tests/engine/test_intake.py::test_many_are_accepted_together_or_not_at_all",
        "tests/engine/test_intake.py::test_more_than_the_batch_bound_is_refused_at_once",
        "tests/engine/test_intake.py::test_duplicates_that_come_at_the_same_time_are_accepted_once",
    ),
    4: (
        "tests/engine/test_intake.py::test_a_sender_that_may_wait_waits_and_is_accepted",
        "tests/engine/test_intake.py::test_a_sender_that_may_not_wait_is_refused_when_the_intake_is_full",
        "tests/engine/test_turns.py::test_a_flow_follows_the_order_of_the_journal_through_a_mailbox_of_one",
        "tests/engine/test_delivery.py::test_all_commands_are_sent_through_a_window_of_one",
        "tests/engine/test_timers.py::test_one_timer_in_memory_is_enough",
    ),
    5: (
        "tests/engine/test_turns.py::test_an_answer_goes_to_the_flow_that_asked_and_by_key_to_other_processes",
        "tests/engine/test_turns.py::test_a_deadline_goes_to_the_flow_that_armed_it",
        "tests/engine/test_delivery.py::test_an_answer_for_another_flow_is_a_wrong_return",
    ),
    6: (
        "tests/engine/test_recovery.py::test_deliveries_that_a_crash_left_are_handled_before_anything_newer",
        "tests/engine/test_ledger.py::test_whichever_commit_fails_everything_happens_once",
    ),
    7: (
        "tests/engine/test_engine.py::test_a_cache_of_one_and_a_mailbox_of_one_hold_many_flows",
        "tests/engine/test_turns.py::test_a_flow_that_waits_costs_no_memory",
        "tests/engine/test_watch.py::test_the_end_is_told_when_it_is_durable_and_not_before",
        "tests/engine/test_watch.py::test_a_follower_sees_nothing_that_is_not_durable",
    ),
    8: (
        "tests/engine/test_turns.py::test_events_that_waited_follow_the_start_before_anything_newer",
        "tests/engine/test_turns.py::test_events_that_wait_survive_a_restart",
        "tests/engine/test_histories.py::test_every_accepted_event_is_answered_once_in_each_flow_with_tiny_bounds",
    ),
    9: (
        "tests/journal/test_sqlite.py::test_events_and_steps_are_never_changed_nor_deleted",
        "tests/journal/test_sqlite_verify.py::test_what_can_be_rebuilt_is_compared",
        "tests/engine/test_recovery.py::test_a_real_file_holds_after_many_runs_what_it_promised",
    ),
    10: (
        "tests/engine/test_turns.py::test_a_turn_that_raises_is_tried_once_more",
        "tests/engine/test_turns.py::test_a_bad_deployment_pauses_its_process_and_not_the_others",
        "tests/engine/test_turns.py::test_a_paused_process_goes_on_in_order_when_it_is_resumed",
        "tests/engine/test_turns.py::test_a_flow_that_misbehaves_hurts_nobody_else",
    ),
    11: (
        "tests/engine/test_turns.py::test_a_flow_that_can_not_be_folded_is_set_aside_at_its_version",
        "tests/engine/test_turns.py::test_effects_of_a_turn_are_bounded",
        "tests/engine/test_recovery.py::test_a_start_is_ready_before_its_flows_are_loaded",
    ),
    12: (
        "tests/engine/test_turns.py::test_snapshots_change_nothing",
        "tests/engine/test_turns.py::test_a_snapshot_of_other_code_is_thrown_away",
        "tests/primitives/test_fingerprint.py::test_what_folding_depends_on_changes_it",
    ),
    13: ("tests/engine/test_turns.py::test_a_turn_sees_an_envelope_without_a_position",),
    14: (
        "tests/engine/test_turns.py::test_command_ids_are_derived_from_the_event_and_the_place_of_the_effect",
        "tests/engine/test_delivery.py::test_an_attempt_after_a_crash_has_the_same_command_id",
        "tests/engine/test_recovery.py::test_a_crash_at_any_commit_changes_nothing_about_the_outcome",
    ),
    15: (
        "tests/engine/test_turns.py::test_an_answer_and_the_end_of_its_command_and_its_turn_are_one_commit",
        "tests/engine/test_ledger.py::test_a_cancellation_stands_whole_or_not_at_all",
    ),
    16: (
        "tests/engine/test_delivery.py::test_giving_up_is_dispatched_by_the_type_of_the_command",
        "tests/engine/test_delivery.py::test_a_time_out_is_given_up_as_unknown",
        "tests/engine/test_delivery.py::test_an_answer_to_a_command_that_was_cancelled_is_recorded_as_late",
    ),
    17: (
        "tests/engine/test_delivery.py::test_an_open_breaker_uses_no_attempts",
        "tests/engine/test_delivery.py::test_a_paused_gateway_begins_nothing_and_gives_nothing_up",
    ),
    18: (
        "tests/engine/test_delivery.py::test_no_attempt_begins_beside_a_thread_that_has_not_returned",
        "tests/engine/test_delivery.py::test_no_attempt_begins_beside_one_that_runs_across_a_restart_of_the_engine",
        "tests/engine/test_delivery.py::test_flows_are_served_in_turn",
    ),
    19: ("tests/engine/test_delivery.py::test_commands_of_a_flow_that_has_ended_are_delivered",),
    20: (
        "tests/engine/test_timers.py::test_arming_a_timer_again_replaces_it",
        "tests/engine/test_timers.py::test_cancelling_what_is_not_armed_does_nothing",
        "tests/engine/test_timers.py::test_a_deadline_that_is_stored_and_loaded_is_withdrawn_once",
        "tests/engine/test_timers.py::test_the_end_of_a_flow_cancels_its_timers",
    ),
    21: (
        "tests/engine/test_timers.py::test_the_wall_clock_is_looked_at_every_second",
        "tests/engine/test_timers.py::test_a_clock_that_goes_back_fires_nothing_twice",
        "tests/engine/test_timers.py::test_overdue_deadlines_come_before_anything_newer",
    ),
    22: (
        "tests/engine/test_ledger.py::test_whichever_commit_fails_everything_happens_once",
        "tests/engine/test_ledger.py::test_a_sender_hears_a_success_where_the_failed_commit_came_back",
        "tests/engine/test_ledger.py::test_while_the_outcome_can_not_be_known_a_sender_hears_so_with_its_id",
    ),
    23: (
        "tests/engine/test_ledger.py::test_no_attempt_begins_while_the_engine_is_held",
        "tests/engine/test_ledger.py::test_the_intake_is_refused_while_the_engine_is_held",
        "tests/engine/test_ledger.py::test_a_probe_write_ends_the_hold_and_nothing_restarts_in_a_loop",
    ),
    24: (
        "tests/engine/test_ledger.py::test_a_rejected_commit_stops_nobody_else",
        "tests/engine/test_ledger.py::test_only_the_guilty_flow_is_set_aside",
        "tests/engine/test_ledger.py::test_an_event_that_can_not_be_written_is_refused_alone",
        "tests/engine/test_delivery.py::test_an_answer_over_the_bound_is_a_wrong_return",
    ),
    25: (
        "tests/engine/test_recovery.py::test_a_process_that_dies_of_an_event_twice_sets_its_flow_aside",
        "tests/engine/test_recovery.py::test_a_careful_start_goes_on_at_full_speed_when_all_rests",
    ),
    26: (
        "tests/engine/test_opening.py::test_a_process_that_is_new_to_history_must_say_since_when",
        "tests/engine/test_opening.py::test_a_type_that_newly_concerns_a_process_must_say_since_when",
        "tests/engine/test_opening.py::test_since_a_position_takes_up_what_came_after_it",
    ),
    27: (
        "tests/engine/test_opening.py::test_a_live_flow_of_a_process_that_is_gone_is_refused",
        "tests/engine/test_opening.py::test_an_open_command_of_an_older_version_is_refused",
        "tests/engine/test_opening.py::test_a_deadline_whose_type_is_gone_is_refused",
        "tests/engine/test_opening.py::test_a_class_whose_shape_changed_is_refused_with_the_field",
    ),
    28: (
        "tests/engine/test_turns.py::test_a_start_never_starts_a_flow_again",
        "tests/engine/test_turns.py::test_what_an_event_finds_before_the_start_is_as_declared",
        "tests/engine/test_turns.py::test_what_an_event_finds_after_the_end_is_as_declared",
        "tests/engine/test_turns.py::test_waiting_has_a_bound_and_beyond_it_is_shown",
    ),
    29: (
        "tests/engine/test_operator.py::test_skip_leaves_a_step_that_is_never_folded",
        "tests/engine/test_operator.py::test_retry_runs_the_head_alone",
        "tests/engine/test_operator.py::test_release_runs_all_in_order_through_a_mailbox_of_one",
        "tests/engine/test_operator.py::test_acts_and_events_that_race_are_applied_one_after_another",
        "tests/engine/test_delivery.py::test_a_command_can_be_sent_again_before_its_giving_up_is_handled",
    ),
    30: (
        "tests/engine/test_operator.py::test_a_flow_that_handles_it_compensates_when_it_is_cancelled",
        "tests/engine/test_operator.py::test_cancelling_takes_timers_and_waiting_commands",
        "tests/engine/test_operator.py::test_a_cancelled_command_never_begins_through_a_window_of_one",
    ),
    31: (
        "tests/engine/test_shutdown.py::test_answers_and_their_turns_are_written_within_the_grace",
        "tests/engine/test_shutdown.py::test_no_deadline_fires_within_the_grace",
        "tests/engine/test_shutdown.py::test_the_cancellation_of_the_host_skips_the_grace",
        "tests/engine/test_shutdown.py::test_a_last_commit_that_hangs_is_bounded",
    ),
    32: (
        "tests/engine/test_watch.py::test_a_flow_that_nobody_has_heard_of_is_waited_for",
        "tests/engine/test_watch.py::test_waiting_for_a_flow_that_is_set_aside_raises",
        "tests/engine/test_watch.py::test_waiting_obeys_its_time_limit",
        "tests/engine/test_ledger.py::test_who_waits_for_a_flow_survives_a_failed_commit",
        "tests/engine/test_shutdown.py::test_who_waits_for_a_flow_hears_that_the_runtime_closed",
    ),
    33: (
        "tests/engine/test_engine.py::test_a_fenced_runtime_stops_at_once",
        "tests/journal/test_sqlite.py::test_a_second_process_is_refused_until_the_first_is_gone",
        "tests/journal/test_sqlite.py::test_a_forked_child_is_refused",
        "tests/journal/test_sqlite.py::test_readers_in_the_process_of_the_owner_do_not_cost_it_its_locks",
    ),
    34: (
        "tests/journal/test_sqlite.py::test_a_reader_sees_what_a_running_owner_commits",
        "tests/journal/test_sqlite.py::test_a_reader_can_not_write",
    ),
    35: (
        "tests/engine/test_opening.py::test_two_classes_with_one_stored_name_are_refused",
        "tests/engine/test_opening.py::test_two_runtimes_live_in_one_process",
    ),
}


@cache
def names_in(path: str) -> frozenset[str]:
    """The names of the tests in a file."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


def test_no_rule_is_without_a_test() -> None:
    assert [rule for rule in RULES if not HOLDS.get(rule)] == []
    assert set(HOLDS) == set(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_each_test_that_is_named_exists(rule: int) -> None:
    missing = [name for name in HOLDS[rule] if name.partition("::")[2] not in names_in(name.partition("::")[0])]
    assert missing == [], "rename it here as well, or write it"
