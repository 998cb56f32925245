"""Each law finds its breach: the rows of a clean run are broken in one place, and one law says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import attrs
import pytest

from procession.journal.rows import Commit, DeliveryRow, TimerRow, UnhandledRow
from procession.laws.commits import broken_commits
from procession.laws.histories import LAWS, Begun, Past, effects_of
from procession.testing.simulation.machine import Run
from tests.laws.test_decision_laws import BREAKS as BREAKS_OF_DECISIONS
from tests.simulation.torture import tortured

Break = Callable[[Past], Past]


@cache
def clean() -> Run:
    """A run in which a deadline was handled, a command was given up, another was answered, and something waited."""
    system = tortured()
    for seed in range(1000):
        run = system.run(system.plan(seed))
        handled = {run.past.events[step.position].type for step in run.past.contents.steps}
        given_up = {"procession.command_given_up"} & {row.type for row in run.past.contents.events}
        waited = any(commit.deliveries for commit in run.commits)
        if {"tally.rang", "work.done"} <= handled and given_up and waited and run.past.contents.commands:
            return run
    raise AssertionError("no seed of a thousand has it all")


def broken(past: Past) -> set[str]:
    return {law.__name__ for law in LAWS for _ in law(past)}


def with_rows(past: Past, **changes: Any) -> Past:  # noqa: ANN401 - each field has a type of its own
    return attrs.evolve(past, contents=attrs.evolve(past.contents, **changes))


def test_a_clean_run_breaks_no_law() -> None:
    assert broken(clean().past) == set()
    assert list(broken_commits(clean().commits)) == []


def lose_an_event(past: Past) -> Past:
    source, id_, _ = past.acknowledged[0]
    return attrs.evolve(past, acknowledged=((source, id_, 999_999),))


def accept_twice(past: Past) -> Past:
    first = past.contents.events[0]
    again = first._replace(position=999_999, id=b"another id here!", keys="{}")
    return with_rows(past, events=(*past.contents.events, again))


def forget_an_answer(past: Past) -> Past:
    event = past.contents.events[-1]
    return with_rows(past, events=(*past.contents.events, event._replace(position=999_999, id=b"another id here!")))


def handle_and_deliver(past: Past) -> Past:
    step = past.contents.steps[0]
    row = DeliveryRow(step.flow, step.position, "pending", None, 0)
    return with_rows(past, deliveries=(*past.contents.deliveries, row))


def record_what_does_not_concern(past: Past) -> Past:
    row = UnhandledRow(past.contents.events[0].position, "tally", "nobody", "late")
    return with_rows(past, unhandled=(*past.contents.unhandled, row))


def skip_a_version(past: Past) -> Past:
    first, *rest = past.contents.steps
    return with_rows(past, steps=(first._replace(version=7), *rest))


def swap_two_steps(past: Past) -> Past:
    """Of an audit, which records no facts and takes no acts."""
    flow = next(row.id for row in past.contents.flows if row.process == "audit" and row.version >= 3)
    versions = {2: 3, 3: 2}
    changed = [
        step._replace(version=versions.get(step.version, step.version)) if step.flow == flow else step
        for step in past.contents.steps
    ]
    return with_rows(past, steps=tuple(sorted(changed, key=lambda step: (step.flow, step.version))))


def lose_a_command(past: Past) -> Past:
    return with_rows(past, commands=past.contents.commands[1:])


def derive_another_id(past: Past) -> Past:
    return attrs.evolve(past, command_id=lambda *_: bytes(16))


def answer_an_open_command(past: Past) -> Past:
    first, *rest = past.contents.commands
    return with_rows(past, commands=(first._replace(state="open"), *rest))


def give_up_in_silence(past: Past) -> Past:
    told = {row.caused_by for row in past.contents.events if row.type == "procession.command_given_up"}
    commands = tuple(
        row if row.id in told else row._replace(state="given_up", attempts=10) for row in past.contents.commands
    )
    return with_rows(past, commands=commands)


def arm_what_nobody_set(past: Past) -> Past:
    row = TimerRow(past.contents.flows[0].id, "tea", bytes(16), 0, "tally.rang", 1, "{}", None)
    return with_rows(past, timers=(row,))


def fire_again(past: Past) -> Past:
    fired = next(row for row in past.contents.events if row.type == "tally.rang")
    return with_rows(
        past, events=(*past.contents.events, fired._replace(position=999_999, id=b"another id here!", keys="{}"))
    )


def fire_too_early(past: Past) -> Past:
    events = tuple(row._replace(recorded_us=0) if row.type == "tally.rang" else row for row in past.contents.events)
    return with_rows(past, events=events)


def handle_what_was_withdrawn(past: Past) -> Past:
    taken = {step.position for step in past.contents.steps}
    fired = next(row for row in past.contents.events if row.type == "tally.rang" and row.position in taken)
    handled = next(step for step in past.contents.steps if step.position == fired.position)
    armed = [effect for step in past.contents.steps for effect in effects_of(step) if "timer" in effect]
    name = next(effect["timer"] for effect in armed if effect["id"] == (fired.caused_by or b"").hex())
    before = next(s for s in past.contents.steps if (s.flow, s.version) == (handled.flow, handled.version - 1))
    effects = json.dumps([*effects_of(before), {"cancel": name}])
    steps = tuple(step._replace(effects=effects) if step is before else step for step in past.contents.steps)
    return with_rows(past, steps=steps)


def begin_under_another_id(past: Past) -> Past:
    return attrs.evolve(past, begun=(*past.begun, Begun("00" * 16, past.begun[0].flow, "work.do")))


def begin_before_the_commit(past: Past) -> Past:
    return attrs.evolve(past, begun=(attrs.evolve(past.begun[0], state=""),))


def begin_for_another_flow(past: Past) -> Past:
    return attrs.evolve(past, begun=(attrs.evolve(past.begun[0], flow="tally/nobody"),))


def begin_twice_at_a_time(past: Past) -> Past:
    return attrs.evolve(past, begun=(attrs.evolve(past.begun[0], beside=True),))


BREAKS: list[tuple[Break, str]] = [
    (lose_an_event, "nothing_accepted_is_lost"),
    (accept_twice, "each_event_is_accepted_once"),
    (forget_an_answer, "each_event_is_answered_once"),
    (handle_and_deliver, "each_event_is_answered_once"),
    (record_what_does_not_concern, "each_event_is_answered_once"),
    (skip_a_version, "versions_have_no_gap"),
    (swap_two_steps, "each_flow_keeps_its_order"),
    (lose_a_command, "commands_are_what_steps_asked_for"),
    (derive_another_id, "commands_are_what_steps_asked_for"),
    (answer_an_open_command, "each_command_ends_once"),
    (give_up_in_silence, "each_command_ends_once"),
    (arm_what_nobody_set, "timers_are_what_steps_left"),
    (fire_again, "each_deadline_fires_once"),
    (fire_too_early, "each_deadline_fires_once"),
    (handle_what_was_withdrawn, "a_deadline_is_handled_only_while_it_stands"),
    (begin_under_another_id, "attempts_follow_their_commit"),
    (begin_before_the_commit, "attempts_follow_their_commit"),
    (begin_for_another_flow, "attempts_follow_their_commit"),
    (begin_twice_at_a_time, "attempts_follow_their_commit"),
]


@pytest.mark.parametrize(("change", "law"), BREAKS, ids=[change.__name__ for change, _ in BREAKS])
def test_a_law_finds_its_breach(change: Break, law: str) -> None:
    assert law in broken(change(clean().past))


def test_every_law_has_a_breach_that_it_finds() -> None:
    assert {law for _, law in (*BREAKS, *BREAKS_OF_DECISIONS)} == {law.__name__ for law in LAWS}


def rules_broken(change: Callable[[Commit], Commit]) -> set[str]:
    return {rule for rule, _ in broken_commits([change(commit) for commit in clean().commits])}


COMMIT_BREAKS: list[tuple[Callable[[Commit], Commit], str]] = [
    (lambda commit: attrs.evolve(commit, steps=[], commands=[]), "events_come_with_their_answer"),
    (lambda commit: attrs.evolve(commit, steps=[], commands=[], events=[]), "deliveries_leave_with_their_answer"),
    (lambda commit: attrs.evolve(commit, commands=[]), "commands_join_their_step"),
    (lambda commit: attrs.evolve(commit, timers={}), "timers_move_with_their_step"),
    (lambda commit: attrs.evolve(commit, timers_ended=set(), timers={}), "timers_move_with_their_step"),
    (lambda commit: attrs.evolve(commit, command_changes=[]), "answers_complete_their_command"),
]


@pytest.mark.parametrize(
    ("change", "rule"), COMMIT_BREAKS, ids=[f"{rule}-{n}" for n, (_, rule) in enumerate(COMMIT_BREAKS)]
)
def test_a_rule_of_commits_finds_its_breach(change: Callable[[Commit], Commit], rule: str) -> None:
    assert rule in rules_broken(change)
