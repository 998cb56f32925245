"""What a journal answers: in which order, in which pages, and after which changes."""

from __future__ import annotations

import json

from procession.journal.rows import (
    Commit,
    ConcernRow,
    Delivered,
    DeliveryState,
    FlowQuery,
    LoadedFlow,
    OpenCommand,
    PastStep,
    ShortFlow,
    SnapshotRow,
    Standing,
    TypeInUse,
    TypeRow,
)
from procession.testing.journal_rows import (
    NOW_US,
    PROCESS,
    JournalCase,
    change,
    command,
    command_effect,
    delivery,
    event,
    flow,
    id_of,
    rejected,
    started,
    step,
    timer,
    timer_effect,
    unhandled,
)


class ReadingContract(JournalCase):
    """Every question that the engine and an operator ask."""

    async def test_load_begins_after_the_snapshot(self) -> None:
        async with self.opened() as journal:
            await journal.commit(started(1, 1))
            more = Commit(events=[event(2), event(3)], steps=[step(1, 2, 2), step(1, 3, 3)], flows={1: flow(1, 3)})
            more.snapshots = [SnapshotRow(1, 1, "f", "{}")]
            await journal.commit(more)
            first = await journal.load(PROCESS, "k1", 1)
            assert first.snapshot == SnapshotRow(1, 1, "f", "{}")
            assert [found.step.version for found in first.steps] == [2]
            await journal.commit(Commit(snapshots=[SnapshotRow(1, 3, "g", "{}")]))
            assert await journal.load(PROCESS, "k1", 9) == LoadedFlow(flow(1, 3), SnapshotRow(1, 3, "g", "{}"), [])

    async def test_the_steps_of_several_flows_come_flow_by_flow(self) -> None:
        async with self.opened() as journal:
            commit = Commit(events=[event(n, f"k{n % 3 + 1}") for n in range(1, 7)])
            # The first event of flow 2 waited for the second: versions do not follow positions.
            places = [(2, 1, 4), (3, 1, 2), (1, 1, 3), (2, 2, 1), (3, 2, 5), (1, 2, 6)]
            commit.steps = [step(*place) for place in places]
            commit.flows = {n: flow(n, 2) for n in (1, 2, 3)}
            await journal.commit(commit)

            async def read(flows: list[int], after_version: int, limit: int) -> list[tuple[int, int, int]]:
                found = await journal.steps_of(flows, after_version, limit)
                assert [each.event for each in found] == [commit.events[each.step.position - 1] for each in found]
                return [(each.step.flow, each.step.version, each.step.position) for each in found]

            assert await read([1, 2, 3], 0, 9) == [(1, 1, 3), (1, 2, 6), (2, 1, 4), (2, 2, 1), (3, 1, 2), (3, 2, 5)]
            assert await read([1, 2, 3], 1, 9) == [(1, 2, 6), (2, 1, 4), (2, 2, 1), (3, 1, 2), (3, 2, 5)]
            assert await read([2, 3], 0, 3) == [(2, 1, 4), (2, 2, 1), (3, 1, 2)]
            assert await read([3, 1], 2, 9) == [(1, 1, 3), (1, 2, 6)]
            assert await read([4, 3], 0, 1) == [(3, 1, 2)]
            assert await read([], 0, 9) == []

    async def test_many_flows_are_loaded_at_once_those_that_are_short_whole(self) -> None:
        async with self.opened() as journal:
            commit = Commit(events=[event(n, "k1") for n in (1, 2, 3, 4, 5, 6)])
            commit.steps = [step(1, 1, 3), step(1, 2, 1), step(2, 1, 2), step(2, 2, 4), step(2, 3, 5), step(3, 1, 6)]
            ended = flow(3, 1, status="ended")
            commit.flows = {1: flow(1, 2), 2: flow(2, 3), 3: ended, 4: flow(4, 0, status="unstarted")}
            commit.deliveries = {(4, 1): delivery(4, 1, "waiting"), (1, 2): delivery(1, 2)}
            await journal.commit(commit)
            asked = [("other", "k1"), *((PROCESS, key) for key in ("k4", "k3", "k9", "k1", "k2", "k1"))]
            found = await journal.load_many(asked, 2)
            of_event = {row.position: (row.type, row.version, row.payload) for row in commit.events}
            past = [PastStep(n, "handled", *of_event[at]) for n, at in ((1, 3), (2, 1))]
            assert found == {
                (PROCESS, "k1"): ShortFlow(commit.flows[1], past, held=True),
                (PROCESS, "k2"): ShortFlow(commit.flows[2], None, held=False),
                (PROCESS, "k3"): ShortFlow(ended, [], held=False),
                (PROCESS, "k4"): ShortFlow(commit.flows[4], [], held=True),
            }
            assert await journal.load_many([], 2) == {}

    async def test_deliveries_are_set_replaced_and_deleted(self) -> None:
        async with self.opened() as journal:
            commit = Commit(events=[event(1), event(2), event(3)], flows={1: flow(1, 0, status="unstarted")})
            commit.deliveries = {(1, n): delivery(1, n) for n in (3, 1, 2)}
            await journal.commit(commit)
            moved = delivery(1, 2, "quarantined")._replace(marked=1)
            await journal.commit(Commit(deliveries={(1, 2): moved, (1, 1): None}, unhandled=[unhandled(1)]))
            states: tuple[DeliveryState, ...] = ("pending", "quarantined")
            assert [found.row for found in await journal.deliveries(1, 0, 9, states)] == [moved, delivery(1, 3)]
            assert [found.event for found in await journal.deliveries(1, 2, 9, ["pending"])] == [event(3)]
            assert [found.row.position for found in await journal.deliveries(1, 0, 1, states)] == [2]
            assert await journal.verify() == []

    async def test_flows_with_deliveries_come_once_and_in_order(self) -> None:
        async with self.opened() as journal:
            rows = {n: flow(n, 0, status="unstarted") for n in (3, 1, 2)}
            commit = Commit(events=[event(n, f"k{(n + 1) // 2}") for n in range(1, 7)], flows=rows)
            commit.deliveries = {((n + 1) // 2, n): delivery((n + 1) // 2, n) for n in range(1, 7)}
            commit.deliveries[2, 3] = delivery(2, 3, "waiting")
            await journal.commit(commit)
            assert await journal.flows_with_deliveries("pending", 0, 2) == [rows[1], rows[2]]
            assert await journal.flows_with_deliveries("pending", 2, 2) == [rows[3]]
            assert await journal.flows_with_deliveries("waiting", 0, 2) == [rows[2]]
            assert await journal.flows_with_deliveries("quarantined", 0, 2) == []

    async def test_a_resumed_flow_has_all_its_deliveries_pending(self) -> None:
        async with self.opened() as journal:
            rows = {n: flow(n, 0, status="unstarted") for n in (1, 2)}
            commit = Commit(events=[event(1), event(2), event(3), event(4, "k2")], flows=rows)
            states: tuple[DeliveryState, ...] = ("waiting", "quarantined", "pending")
            commit.deliveries = {(1, n): delivery(1, n, state) for n, state in enumerate(states, 1)}
            commit.deliveries[2, 4] = delivery(2, 4, "waiting")
            await journal.commit(commit)
            await journal.commit(Commit(resumed={1}, deliveries={(1, 2): delivery(1, 2, "waiting")}))
            found = [(each.row.position, each.row.state) for each in await journal.deliveries(1, 0, 9, states)]
            assert found == [(1, "pending"), (2, "waiting"), (3, "pending")]
            assert await journal.flows_with_deliveries("quarantined", 0, 9) == []
            assert await journal.flows_with_deliveries("waiting", 0, 9) == [rows[1], rows[2]]

    async def test_a_withdrawn_deadline_is_recorded_as_unhandled(self) -> None:
        async with self.opened() as journal:
            commit = Commit(events=[event(1), event(2), event(3)], flows={1: flow(1, 0, status="unstarted")})
            commit.deliveries = {
                (1, 1): delivery(1, 1, timer="overdue"),
                (1, 2): delivery(1, 2),
                (1, 3): delivery(1, 3, timer="other"),
            }
            await journal.commit(commit)
            await journal.commit(Commit(withdrawn=[(1, "overdue"), (1, "never")]))
            assert await journal.unhandled(None, None, 0, 9) == [unhandled(1, reason="withdrawn")]
            assert [found.row.position for found in await journal.deliveries(1, 0, 9, ["pending"])] == [2, 3]
            assert await journal.verify() == []

    async def test_open_commands_come_by_gateway_when_they_are_due(self) -> None:
        async with self.opened() as journal:
            commit = started(1, 1, *(command_effect(1, 1, idx) for idx in range(4)))
            dues = ((1, 30, "bank"), (2, 10, "bank"), (3, 10, "bank"), (4, 10, "mail"))
            commit.commands = [command(seq, 1, 1, seq - 1, gateway=gate, due_us=due) for seq, due, gate in dues]
            await journal.commit(commit)
            assert [found.row.seq for found in await journal.open_commands("bank", 30, 9)] == [2, 3, 1]
            assert [found.row.seq for found in await journal.open_commands("bank", 29, 9)] == [2, 3]
            assert [found.row.seq for found in await journal.open_commands("bank", 30, 1)] == [2]
            assert [found.row.seq for found in await journal.open_commands("bank", 30, 1, {2, 4, 9})] == [3]
            assert await journal.open_commands("bank", 30, 9, [1, 2, 3]) == []
            effects = step(1, 1, 1, *(command_effect(1, 1, idx) for idx in range(4))).effects
            assert effects is not None
            sent = OpenCommand(commit.commands[3], PROCESS, "k1", effects, id_of("e", 1), None)
            assert await journal.open_commands("mail", 10, 9) == [sent]
            assert await journal.verify() == []

    async def test_commands_timers_and_flows_tell_the_trace_of_the_event_that_the_flow_handled_first(self) -> None:
        async with self.opened() as journal:
            # The first event waited for the second.
            second = event(2)._replace(correlation=id_of("first"), trace="00-aa-bb-01")
            commit = Commit(events=[event(1)._replace(trace="00-cc-dd-01"), second])
            commit.steps = [step(1, 1, 2, command_effect(1, 2)), step(1, 2, 1, command_effect(1, 1))]
            commit.flows = {1: flow(1, 2), 2: flow(2, 0, status="unstarted")}
            commit.commands = [command(1, 1, 2), command(2, 1, 1)]
            commit.timers = {(1, "overdue"): timer(1, "overdue", 5)}
            await journal.commit(commit)
            of_second, of_first = await journal.commands(1, 0, 9)
            assert (of_second.correlation, of_second.trace) == (id_of("first"), "00-aa-bb-01")
            assert of_first.trace == "00-aa-bb-01"
            assert [armed.trace for armed in await journal.timers((0, 0, ""), 9)] == ["00-aa-bb-01"]
            assert (await journal.load(PROCESS, "k1", 9)).trace == "00-aa-bb-01"
            short = await journal.load_many([(PROCESS, "k1"), (PROCESS, "k2")], 9)
            assert [short[PROCESS, key].trace for key in ("k1", "k2")] == ["00-aa-bb-01", None]
            assert await journal.command(id_of("nobody")) is None

    async def test_a_command_changes_only_from_the_state_it_is_in(self) -> None:
        async with self.opened() as journal:
            commit = started(1, 1, command_effect(1, 1))
            commit.commands = [command(1, 1, 1)]
            await journal.commit(commit)
            await journal.commit(Commit(command_changes=[change(command(1, 1, 1), "open", 1, due_us=50)]))
            assert await journal.open_commands("bank", 49, 9) == []
            assert len(await journal.open_commands("bank", 50, 9)) == 1
            await journal.commit(Commit(command_changes=[change(command(1, 1, 1), "answered", 2)]))
            await rejected(journal, Commit(command_changes=[change(command(1, 1, 1), "given_up")]))
            assert await journal.open_commands("bank", 99, 9) == []
            assert [(found.row.state, found.row.attempts) for found in await journal.commands(1, 0, 9)] == [
                ("answered", 2)
            ]

    async def test_a_command_may_be_answered_in_the_commit_that_holds_it(self) -> None:
        async with self.opened() as journal:
            commit = started(1, 1, command_effect(1, 1))
            commit.commands = [command(1, 1, 1)]
            commit.command_changes = [change(command(1, 1, 1), "open"), change(command(1, 1, 1), "cancelled")]
            await journal.commit(commit)
            assert (await journal.counts()).commands == {"cancelled": 1}

    async def test_an_effect_is_one_command(self) -> None:
        async with self.opened() as journal:
            commit = started(1, 1, command_effect(1, 1))
            commit.commands = [command(1, 1, 1)]
            await journal.commit(commit)
            await rejected(journal, Commit(commands=[command(2, 1, 1)]))
            await rejected(journal, Commit(commands=[command(1, 1, 1, 1)]))
            assert [found.row.seq for found in await journal.commands(1, 0, 9)] == [1]

    async def test_the_commands_of_a_flow_come_in_pages(self) -> None:
        async with self.opened() as journal:
            commit = started(1, 1, *(command_effect(1, 1, idx) for idx in range(3)))
            commit.commands = [command(seq, 1, 1, 3 - seq) for seq in (1, 2, 3)]
            await journal.commit(commit)
            assert [found.row.seq for found in await journal.commands(1, 0, 2)] == [1, 2]
            assert [found.row.seq for found in await journal.commands(1, 2, 2)] == [3]
            assert await journal.commands(2, 0, 2) == []

    async def test_timers_come_by_due_time_flow_and_name(self) -> None:
        async with self.opened() as journal:
            for number in (1, 2):
                commit = started(number, number, timer_effect(number, "b", 10), timer_effect(number, "a", 10))
                commit.timers = {(number, name): timer(number, name, 10) for name in "ba"}
                await journal.commit(commit)
            every = [(10, 1, "a"), (10, 1, "b"), (10, 2, "a"), (10, 2, "b")]
            for count, place in enumerate([(0, 0, ""), *every]):
                found = await journal.timers(place, 9)
                assert [(armed.row.due_us, armed.row.flow, armed.row.name) for armed in found] == every[count:]
            assert (await journal.timers((0, 0, ""), 1))[0].key == "k1"
            assert await journal.verify() == []

    async def test_a_timer_is_replaced_deleted_and_ends_with_its_flow(self) -> None:
        async with self.opened() as journal:
            commit = started(1, 1, *(timer_effect(1, name, 10) for name in "abc"))
            commit.timers = {(1, name): timer(1, name, 10) for name in "abc"}
            await journal.commit(commit)
            await journal.commit(Commit(timers={(1, "a"): timer(1, "a", 5), (1, "b"): None, (1, "z"): None}))
            assert [(row.due_us, row.name) for row in await journal.timers_of(1)] == [(5, "a"), (10, "c")]
            await journal.commit(Commit(timers_ended={1}, timers={(1, "c"): timer(1, "c", 7)}))
            assert await journal.timers_of(1) == [timer(1, "c", 7)]
            assert [armed.row for armed in await journal.timers((0, 0, ""), 9)] == [timer(1, "c", 7)]

    async def test_events_come_by_position_type_and_end(self) -> None:
        async with self.opened() as journal:
            rows = [event(n, type="even" if n % 2 == 0 else "odd") for n in range(1, 7)]
            await journal.commit(Commit(events=rows, unhandled=[unhandled(n) for n in range(1, 7)]))
            assert await journal.events(0, 99) == rows
            assert [row.position for row in await journal.events(1, 2)] == [2, 3]
            assert [row.position for row in await journal.events(0, 99, ["even"], 5)] == [2, 4]
            assert [row.position for row in await journal.events(0, 1, ["even", "odd"])] == [1]

    async def test_chosen_columns_of_events_come_by_position_and_type(self) -> None:
        async with self.opened() as journal:
            rows = [event(n, type="even" if n % 2 == 0 else "odd") for n in range(1, 7)]
            await journal.commit(Commit(events=rows, unhandled=[unhandled(n) for n in range(1, 7)]))
            found = await journal.columns(("position", "type"), 1, 3)
            assert found == [(2, "even"), (3, "odd"), (4, "even")]
            assert await journal.columns(("payload", "position"), 4, 9, ["even"]) == [(rows[5].payload, 6)]

    async def test_where_several_flows_stand_is_told_at_once(self) -> None:
        async with self.opened() as journal:
            commit = started(1, 1, *(timer_effect(1, name, 10) for name in "ba"), timer_effect(1, "c", 5))
            commit.timers = {(1, name): timer(1, name, due_us) for name, due_us in (("b", 10), ("a", 10), ("c", 5))}
            commit.events += [event(2, "k2"), event(3, "k2")]
            commit.flows[2] = flow(2, 0, status="unstarted")
            commit.deliveries = {(2, 3): delivery(2, 3), (2, 2): delivery(2, 2, "quarantined")}
            await journal.commit(commit)
            two, one, nobody = await journal.standing_of([2, 1, 7], 2)
            assert two == Standing([], Delivered(delivery(2, 2, "quarantined"), commit.events[1]))
            assert ([row.name for row in one.timers], one.head) == (["c", "a"], None)
            assert nobody == Standing([], None)
            assert await journal.verify() == []

    async def test_flows_are_found_by_all_that_a_query_names(self) -> None:
        async with self.opened() as journal:
            await journal.commit(started(1, 1))
            ended = Commit(events=[event(2, "x2")], steps=[step(2, 1, 2)], flows={2: flow(2, 1, "x2", "ended")})
            await journal.commit(ended)
            queries = {
                FlowQuery(): [1, 2],
                FlowQuery(process="other"): [],
                FlowQuery(process=PROCESS, status=("ended", "cancelled")): [2],
                FlowQuery(outcome="done"): [2],
                FlowQuery(key="k1"): [1],
                FlowQuery(key_prefix="x"): [2],
                FlowQuery(key_prefix="%"): [],
                FlowQuery(started_before_us=NOW_US): [],
                FlowQuery(started_after_us=NOW_US - 1): [1, 2],
                FlowQuery(updated_before_us=NOW_US + 2): [1, 2],
                FlowQuery(updated_after_us=NOW_US + 2): [],
            }
            for query, expected in queries.items():
                assert [row.id for row in await journal.flows(query, 0, 9)] == expected, query
            assert [row.id for row in await journal.flows(FlowQuery(), 0, 1)] == [1]
            assert [row.id for row in await journal.flows(FlowQuery(), 1, 1)] == [2]

    async def test_unhandled_events_come_by_position_and_a_page_tears_none(self) -> None:
        async with self.opened() as journal:
            both = json.dumps({PROCESS: ["k1", "k2"]})
            rows = [unhandled(1, "k1"), unhandled(1, "k2"), unhandled(2, "k1", "missing")]
            await journal.commit(Commit(events=[event(1)._replace(keys=both), event(2)], unhandled=rows))
            assert await journal.unhandled(None, None, 0, 9) == rows
            assert await journal.unhandled(None, None, 0, 1) == rows[:2]
            assert await journal.unhandled(None, None, 1, 1) == rows[2:]
            assert await journal.unhandled(PROCESS, "k1", 0, 9) == [rows[0], rows[2]]
            assert await journal.unhandled("other", None, 0, 9) == []
            await rejected(journal, Commit(unhandled=[rows[0]]))

    async def test_counts_count_everything(self) -> None:
        async with self.opened() as journal:
            commit = started(1, 1, command_effect(1, 1))
            commit.commands = [command(1, 1, 1)]
            commit.timers = {(1, "overdue"): timer(1, "overdue", 5)}
            commit.events += [event(2, "k2"), event(3)]
            commit.flows[2] = flow(2, 0, status="unstarted")
            commit.deliveries = {(2, 2): delivery(2, 2)}
            commit.unhandled = [unhandled(3)]
            await journal.commit(commit)
            found = await journal.counts()
            assert (found.events, found.events_by_type, found.steps) == (3, {"order.paid": 3}, 1)
            assert found.flows == {PROCESS: {"active": 1, "unstarted": 1}}
            assert (found.commands, found.timers, found.deliveries) == ({"open": 1}, 1, {"pending": 1})
            assert (found.outcomes, found.unhandled) == ({}, {PROCESS: {"late": 1}})

    async def test_what_is_undone_is_counted_with_its_age(self) -> None:
        async with self.opened() as journal:
            commit = started(1, 1, command_effect(1, 1))
            commit.commands = [command(1, 1, 1)]
            commit.timers = {(1, "overdue"): timer(1, "overdue", 5)}
            commit.events += [event(2, "k2"), event(3, "k2")]
            commit.flows[2] = flow(2, 0, status="unstarted")
            commit.deliveries = {(2, 2): delivery(2, 2), (2, 3): delivery(2, 3)}
            await journal.commit(commit)
            found = await journal.undone()
            assert found.flows == {PROCESS: {"active": 1, "unstarted": 1}}
            assert (found.deliveries, found.oldest_us) == ({"pending": 2}, {"pending": event(2).recorded_us})
            assert (list(found.commands.values()), found.timers) == ([1], 1)
            await journal.commit(
                Commit(command_changes=[change(command(1, 1, 1), "answered")], deliveries={(2, 2): None})
            )
            found = await journal.undone()
            assert (found.commands, found.deliveries, found.oldest_us) == (
                {},
                {"pending": 1},
                {"pending": event(3).recorded_us},
            )

    async def test_a_type_is_stored_once(self) -> None:
        async with self.opened() as journal:
            rows = [TypeRow("a", 1, "event", "{}"), TypeRow("a", 2, "event", "{}"), TypeRow("b", 1, "command", "{}")]
            await journal.commit(Commit(types=rows))
            await rejected(journal, Commit(types=[rows[0]._replace(shape="[]")]))
            assert set(await journal.types()) == set(rows)

    async def test_a_concern_may_be_replaced(self) -> None:
        async with self.opened() as journal:
            await journal.commit(Commit(concerns=[ConcernRow("p", "a", 0), ConcernRow("p", "b", 7)]))
            await journal.commit(Commit(concerns=[ConcernRow("p", "a", 9)]))
            assert await journal.concerns() == [ConcernRow("p", "a", 9), ConcernRow("p", "b", 7)]

    async def test_types_in_use_are_those_that_something_open_needs(self) -> None:
        async with self.opened() as journal:
            commit = started(1, 1, command_effect(1, 1), timer_effect(1, "overdue", 5))
            commit.commands = [command(1, 1, 1)]
            commit.timers = {(1, "overdue"): timer(1, "overdue", 5)}
            commit.events.append(event(2, type="order.sent"))
            commit.deliveries = {(1, 2): delivery(1, 2)}
            await journal.commit(commit)
            assert set(await journal.types_in_use()) == {
                TypeInUse("command", "payment.charge", 2, 1),
                TypeInUse("timer", "order.overdue", 3, 1),
                TypeInUse("delivery", "order.sent", 1, 1),
                TypeInUse("flow", PROCESS, 0, 1),
                TypeInUse("step", "order.paid", 1, 1),
            }

    async def test_what_has_ended_needs_no_type(self) -> None:
        async with self.opened() as journal:
            commit = started(1, 1, command_effect(1, 1))
            commit.commands = [command(1, 1, 1)]
            commit.command_changes = [change(command(1, 1, 1), "answered")]
            commit.flows = {1: flow(1, 1, status="ended")}
            await journal.commit(commit)
            assert await journal.types_in_use() == []
