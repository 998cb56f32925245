"""What a journal keeps of what is committed, and which commits it rejects."""

from __future__ import annotations

from procession.journal.rows import (
    Commit,
    FlowQuery,
    Heads,
    LoadedFlow,
    TypeRow,
)
from procession.testing.journal_rows import (
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
    unhandled,
)


class WritingContract(JournalCase):
    """Commits: whole or not at all, and unique where they must be."""

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
            bad.command_changes = [change(command(77, 2, 2), "answered")]
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
