"""What every journal must do, as tests: derive from `JournalContract`, say how to open one, and run it.

    class TestMine(JournalContract):
        async def open(self) -> Journal: ...

Plain `async def` tests that need trio's runner and no fixture. `open` is called again after a close, and then opens
the same journal: a new owner of what the last one left.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio

from procession.errors import CommitRejected, RuntimeClosed
from procession.journal.journal import Journal
from procession.journal.rows import (
    CommandChange,
    CommandRow,
    CommandState,
    Commit,
    ConcernRow,
    DeliveryRow,
    DeliveryState,
    EventRow,
    FlowQuery,
    FlowRow,
    FlowStatus,
    Heads,
    LoadedFlow,
    OpenCommand,
    SnapshotRow,
    StepRow,
    TimerRow,
    TypeInUse,
    TypeRow,
    UnhandledReason,
    UnhandledRow,
)

PROCESS = "order"
NOW_US = 1_700_000_000_000_000


def id_of(*parts: object) -> bytes:
    """16 bytes that tell what they name."""
    return "/".join(map(str, parts)).encode().rjust(16, b".")[-16:]


def event(position: int, key: str = "k1", *, type: str = "order.paid", source_id: str | None = None) -> EventRow:
    """An outside event for one flow of `order`; with a source and digest where it has an id."""
    return EventRow(
        position=position,
        id=id_of("e", position),
        source=None if source_id is None else "shop",
        source_id=source_id,
        digest=None if source_id is None else id_of("digest", source_id),
        type=type,
        version=1,
        payload='{"amount_cents":500}',
        keys=json.dumps({PROCESS: [key]}),
        caused_by=None,
        correlation=None,
        recorded_us=NOW_US + position,
        trace=None,
    )


def step(flow: int, version: int, position: int, *effects: dict[str, object]) -> StepRow:
    """A handled step with these effects."""
    return StepRow(flow, version, position, "handled", "paid", json.dumps(effects) if effects else None)


def flow(number: int, version: int, key: str | None = None, status: FlowStatus = "active") -> FlowRow:
    """A row of an `order`; its key is `k` and its number unless given."""
    outcome = "done" if status == "ended" else None
    return FlowRow(number, PROCESS, key or f"k{number}", version, status, outcome, None, NOW_US, NOW_US + version)


def command(seq: int, flow: int, position: int, idx: int = 0, *, gateway: str = "bank", due_us: int = 0) -> CommandRow:
    """An open command `payment.charge`, as `command_effect` has it."""
    kind = "payment.charge"
    return CommandRow(seq, id_of("c", flow, position, idx), flow, position, idx, kind, gateway, "open", 0, due_us, None)


def command_effect(flow: int, position: int, idx: int = 0) -> dict[str, object]:
    """The effect that a command comes from."""
    return {"command": "payment.charge", "version": 2, "id": id_of("c", flow, position, idx).hex(), "data": {}}


def change(seq: int, was: CommandState, state: CommandState, attempts: int = 1, due_us: int = 0) -> CommandChange:
    """A compare-and-set of a command."""
    return CommandChange(seq, was, state, attempts, due_us, None)


def timer(flow: int, name: str, due_us: int) -> TimerRow:
    """An armed timer, as `timer_effect` has it."""
    return TimerRow(flow, name, id_of("t", flow, name), due_us, "order.overdue", 3, "{}", None)


def timer_effect(flow: int, name: str, due_us: int) -> dict[str, object]:
    """The effect that a timer comes from."""
    timed: dict[str, object] = {"timer": name, "id": id_of("t", flow, name).hex(), "due_us": due_us}
    return {**timed, "event": "order.overdue", "version": 3, "data": {}}


def delivery(flow: int, position: int, state: DeliveryState = "pending", timer: str | None = None) -> DeliveryRow:
    """An event that waits for its flow."""
    return DeliveryRow(flow, position, state, timer, 0)


def unhandled(position: int, key: str = "k1", reason: UnhandledReason = "late") -> UnhandledRow:
    """An event that no turn handled."""
    return UnhandledRow(position, PROCESS, key, reason)


def started(number: int, position: int, *effects: dict[str, object]) -> Commit:
    """A commit of one event that starts one flow."""
    return Commit(
        events=[event(position, f"k{number}", source_id=f"s{position}")],
        steps=[step(number, 1, position, *effects)],
        flows={number: flow(number, 1)},
    )


async def rejected(journal: Journal, commit: Commit) -> str:
    """What a commit was rejected for; fails where it was not."""
    try:
        await journal.commit(commit)
    except CommitRejected as error:
        return error.found
    raise AssertionError("the commit was not rejected")


class JournalContract:
    """The tests. A subclass says how to `open`, and may say where its store lies by pytest's fixtures."""

    async def open(self) -> Journal:
        """Open the journal of this test: empty at first, later as the last owner left it."""
        raise NotImplementedError

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Journal]:
        """A journal that is closed in the end, as a crash would leave it."""
        journal = await self.open()
        try:
            yield journal
        finally:
            await journal.close()

    async def test_an_empty_journal_knows_nothing(self) -> None:
        async with self.opened() as journal:
            assert await journal.heads() == Heads(0, 0, 0)
            assert await journal.load(PROCESS, "k1", 10) == LoadedFlow(None, None, [])
            assert await journal.events(0, 10) == []
            assert await journal.verify() == []

    async def test_an_empty_commit_changes_nothing(self) -> None:
        async with self.opened() as journal:
            await journal.commit(Commit())
            assert await journal.heads() == Heads(0, 0, 0)

    async def test_what_is_committed_is_there_for_the_next_owner(self) -> None:
        async with self.opened() as journal:
            commit = started(1, 1, command_effect(1, 1))
            commit.commands = [command(1, 1, 1)]
            await journal.commit(commit)
            first = journal.id
        async with self.opened() as journal:
            loaded = await journal.load(PROCESS, "k1", 10)
            assert journal.id == first
            assert loaded.row == flow(1, 1)
            assert [found.step for found in loaded.steps] == [step(1, 1, 1, command_effect(1, 1))]
            assert [found.event for found in loaded.steps] == [event(1, source_id="s1")]
            assert await journal.verify() == []

    async def test_heads_are_the_highest_position_flow_and_command(self) -> None:
        async with self.opened() as journal:
            commit = started(7, 4, command_effect(7, 4))
            commit.commands = [command(9, 7, 4)]
            await journal.commit(commit)
            assert await journal.heads() == Heads(4, 7, 9)

    async def test_look_up_knows_ids_and_flows_and_leaves_out_the_rest(self) -> None:
        async with self.opened() as journal:
            await journal.commit(started(1, 1))
            found = await journal.look_up(
                [("shop", "s1"), ("other", "s1"), ("shop", "s2")], [(PROCESS, "k1"), ("x", "k1")]
            )
            assert found.ids == {("shop", "s1"): (1, id_of("digest", "s1"))}
            assert found.flows == {(PROCESS, "k1"): flow(1, 1)}

    async def test_an_id_is_unique_within_its_source(self) -> None:
        async with self.opened() as journal:
            await journal.commit(started(1, 1))
            again = event(2, source_id="s1")
            await rejected(journal, Commit(events=[again]))
            await rejected(journal, Commit(events=[event(2, source_id="s2"), event(3, source_id="s2")]))
            await journal.commit(Commit(events=[again._replace(source="mall")], unhandled=[unhandled(2)]))
            assert (await journal.heads()).position == 2

    async def test_events_without_an_id_are_never_duplicates(self) -> None:
        async with self.opened() as journal:
            anonymous = [event(1)._replace(source="shop"), event(2)._replace(source="shop")]
            await journal.commit(Commit(events=anonymous, unhandled=[unhandled(1), unhandled(2)]))
            assert await journal.events(0, 10) == anonymous

    async def test_positions_only_ascend(self) -> None:
        async with self.opened() as journal:
            await journal.commit(started(1, 5))
            await rejected(journal, Commit(events=[event(5, "k2")]))
            await rejected(journal, Commit(events=[event(4, "k2")]))
            await rejected(journal, Commit(events=[event(7, "k2"), event(6, "k2")]))
            assert (await journal.heads()).position == 5

    async def test_a_rejected_commit_leaves_nothing(self) -> None:
        async with self.opened() as journal:
            await journal.commit(started(1, 1))
            before = await journal.counts()
            bad = started(2, 2, command_effect(2, 2))
            bad.commands = [command(1, 2, 2)]
            bad.timers = {(2, "overdue"): timer(2, "overdue", 5)}
            bad.types = [TypeRow("order.paid", 1, "event", "{}")]
            bad.command_changes = [change(77, "open", "answered")]
            await rejected(journal, bad)
            assert await journal.counts() == before
            assert await journal.types() == []
            assert await journal.verify() == []

    async def test_a_journal_goes_on_after_a_rejected_commit(self) -> None:
        async with self.opened() as journal:
            await journal.commit(started(1, 1))
            await rejected(journal, started(1, 2))
            await journal.commit(started(2, 2))
            assert (await journal.counts()).steps == 2
            assert await journal.verify() == []

    async def test_a_flow_handles_an_event_once(self) -> None:
        async with self.opened() as journal:
            await journal.commit(started(1, 1))
            await rejected(journal, Commit(steps=[step(1, 2, 1)], flows={1: flow(1, 2)}))
            assert len(await journal.steps(1, 0, 10)) == 1

    async def test_the_versions_of_a_flow_have_no_gap(self) -> None:
        async with self.opened() as journal:
            await journal.commit(started(1, 1))
            for version in (1, 3):
                bad = Commit(events=[event(2)], steps=[step(1, version, 2)], flows={1: flow(1, version)})
                await rejected(journal, bad)
            torn = Commit(events=[event(2), event(3)], steps=[step(1, 2, 2), step(1, 4, 3)], flows={1: flow(1, 4)})
            await rejected(journal, torn)
            assert (await journal.load(PROCESS, "k1", 10)).row == flow(1, 1)

    async def test_a_new_flow_begins_at_version_one(self) -> None:
        async with self.opened() as journal:
            await rejected(journal, Commit(events=[event(1)], steps=[step(1, 2, 1)], flows={1: flow(1, 2)}))
            await rejected(journal, Commit(flows={1: flow(1, 1)}))
            assert (await journal.heads()).flow == 0

    async def test_a_step_comes_with_the_row_of_its_flow(self) -> None:
        async with self.opened() as journal:
            await rejected(journal, Commit(events=[event(1)], steps=[step(1, 1, 1)]))
            await rejected(journal, Commit(events=[event(1)], steps=[step(1, 1, 1)], flows={1: flow(1, 2)}))
            assert (await journal.heads()).position == 0

    async def test_a_process_has_one_flow_of_a_key(self) -> None:
        async with self.opened() as journal:
            await journal.commit(started(1, 1))
            bad = Commit(events=[event(2)], steps=[step(2, 1, 2)], flows={2: flow(2, 1, "k1")})
            await rejected(journal, bad)
            assert (await journal.load(PROCESS, "k1", 10)).row == flow(1, 1)

    async def test_many_steps_of_one_flow_go_in_one_commit(self) -> None:
        async with self.opened() as journal:
            await journal.commit(started(1, 1))
            more = Commit(
                events=[event(2), event(3)], steps=[step(1, 2, 3), step(1, 3, 2)], flows={1: flow(1, 3, status="ended")}
            )
            await journal.commit(more)
            assert [found.step.position for found in await journal.steps(1, 0, 10)] == [1, 3, 2]
            assert [found.step.version for found in await journal.steps(1, 1, 1)] == [2]
            assert await journal.verify() == []

    async def test_an_unstarted_flow_has_a_row_and_no_step(self) -> None:
        async with self.opened() as journal:
            waiting = flow(1, 0, status="unstarted")
            commit = Commit(events=[event(1)], flows={1: waiting}, deliveries={(1, 1): delivery(1, 1, "waiting")})
            await journal.commit(commit)
            assert await journal.flows(FlowQuery(), 0, 10) == []
            assert await journal.flows(FlowQuery(status=("unstarted",)), 0, 10) == [waiting]
            start = Commit(
                events=[event(2)],
                steps=[step(1, 1, 2), step(1, 2, 1)],
                flows={1: flow(1, 2)},
                deliveries={(1, 1): None},
            )
            await journal.commit(start)
            assert await journal.flows(FlowQuery(), 0, 10) == [flow(1, 2)]
            assert await journal.verify() == []

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
            effects = step(1, 1, 1, *(command_effect(1, 1, idx) for idx in range(4))).effects
            assert effects is not None
            sent = OpenCommand(commit.commands[3], PROCESS, "k1", effects, id_of("e", 1), None)
            assert await journal.open_commands("mail", 10, 9) == [sent]
            assert await journal.verify() == []

    async def test_a_command_tells_the_correlation_and_trace_of_its_event(self) -> None:
        async with self.opened() as journal:
            commit = started(1, 1, command_effect(1, 1))
            commit.events = [event(1)._replace(correlation=id_of("first"), trace="00-aa-bb-01")]
            commit.commands = [command(1, 1, 1)]
            await journal.commit(commit)
            found = await journal.command(commit.commands[0].id)
            assert found is not None
            assert (found.correlation, found.trace) == (id_of("first"), "00-aa-bb-01")
            assert await journal.command(id_of("nobody")) is None

    async def test_a_command_changes_only_from_the_state_it_is_in(self) -> None:
        async with self.opened() as journal:
            commit = started(1, 1, command_effect(1, 1))
            commit.commands = [command(1, 1, 1)]
            await journal.commit(commit)
            await journal.commit(Commit(command_changes=[change(1, "open", "open", 1, due_us=50)]))
            assert await journal.open_commands("bank", 49, 9) == []
            assert len(await journal.open_commands("bank", 50, 9)) == 1
            await journal.commit(Commit(command_changes=[change(1, "open", "answered", 2)]))
            await rejected(journal, Commit(command_changes=[change(1, "open", "given_up")]))
            assert await journal.open_commands("bank", 99, 9) == []
            assert [(found.row.state, found.row.attempts) for found in await journal.commands(1, 0, 9)] == [
                ("answered", 2)
            ]

    async def test_a_command_may_be_answered_in_the_commit_that_holds_it(self) -> None:
        async with self.opened() as journal:
            commit = started(1, 1, command_effect(1, 1))
            commit.commands = [command(1, 1, 1)]
            commit.command_changes = [change(1, "open", "open"), change(1, "open", "cancelled")]
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
            commit.command_changes = [change(1, "open", "answered")]
            commit.flows = {1: flow(1, 1, status="ended")}
            await journal.commit(commit)
            assert await journal.types_in_use() == []

    async def test_an_owner_that_did_not_close_is_counted_until_one_does(self) -> None:
        ends: tuple[Callable[[Journal], Awaitable[None]], ...] = (_crashed, _crashed, _ended, _ended)
        counted: list[int] = []
        for end in ends:
            journal = await self.open()
            owner = await journal.owner()
            assert owner is not None
            assert owner.running
            counted.append(owner.unclean_starts)
            await end(journal)
        assert counted == [0, 1, 2, 0]

    async def test_each_owner_has_a_later_epoch(self) -> None:
        epochs: list[int] = []
        for _ in range(2):
            async with self.opened() as journal:
                owner = await journal.owner()
                assert owner is not None
                epochs.append(owner.epoch)
        assert epochs[0] < epochs[1]

    async def test_a_cancelled_commit_is_whole(self) -> None:
        async with self.opened() as journal:
            with trio.CancelScope() as scope:
                scope.cancel()
                await journal.commit(started(1, 1))
            assert (await journal.load(PROCESS, "k1", 9)).row == flow(1, 1)
            await journal.commit(started(2, 2))
            assert await journal.verify() == []

    async def test_reads_run_beside_commits(self) -> None:
        async with self.opened() as journal:
            seen: list[int] = []

            async def read() -> None:
                for _ in range(5):
                    found = await journal.load(PROCESS, "k1", 99)
                    seen.append(len(found.steps) - (0 if found.row is None else found.row.version))

            async with trio.open_nursery() as nursery:
                for _ in range(8):
                    nursery.start_soon(read)
                for n in range(1, 9):
                    await journal.commit(Commit(events=[event(n)], steps=[step(1, n, n)], flows={1: flow(1, n)}))
            assert seen == [0] * 40

    async def test_reopening_a_sound_journal_loses_nothing(self) -> None:
        async with self.opened() as journal:
            await journal.commit(started(1, 1))
            await journal.reopen()
            await journal.checkpoint()
            await journal.commit(started(2, 2))
            assert (await journal.heads()).position == 2
            assert await journal.verify() == []

    async def test_a_closed_journal_says_so(self) -> None:
        journal = await self.open()
        await journal.close_clean()
        await journal.close()
        for call in (journal.heads, journal.checkpoint, lambda: journal.commit(started(1, 1))):
            try:
                await call()
            except RuntimeClosed:
                continue
            raise AssertionError(f"{call} worked on a closed journal")

    async def test_closing_completes_when_it_is_cancelled(self) -> None:
        journal = await self.open()
        with trio.CancelScope() as scope:
            scope.cancel()
            await journal.close_clean()
        async with self.opened() as journal:
            owner = await journal.owner()
            assert owner is not None
            assert owner.unclean_starts == 0


async def _crashed(journal: Journal) -> None:
    await journal.close()


async def _ended(journal: Journal) -> None:
    await journal.close_clean()
