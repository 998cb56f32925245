"""Every limit of the settings has a test at its boundary: a new one without fails here.

What refuses is tried with one less, with the limit itself, and with one more. What waits, drops or forgets is tried
where it is at home, by a test that sets the limit.
"""

from __future__ import annotations

import ast
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import pytest
import trio

from procession import (
    Aggregate,
    Command,
    Effects,
    Event,
    ProcessManager,
    Runtime,
    Settings,
    applies,
    decides,
    folds,
    on,
    open_runtime,
    record,
    starts,
)
from procession.errors import TooLarge
from procession.http_settings import HttpSettings
from procession.journal.memory import MemoryJournal
from procession.journal.rows import Commit
from procession.knob import Knob
from procession.primitives.cloudevents import STRUCTURED
from procession.send_errors import DecisionFailed
from procession.settings import AggregatesSettings, CommitSettings, FlowsSettings, IntakeSettings, knobs
from tests.daemon.http.served import cloud_event, raw, served

ROOT = Path(__file__).parent


class Begun(Event, name="limits.begun"):
    key: str


class Noted(Event, name="limits.noted"):
    key: str
    text: str = ""


class Spread(Event, name="limits.spread"):
    keys: tuple[str, ...]


class Asked(Event, name="limits.asked"):
    key: str
    facts: int


def _keys(event: Begun | Noted | Spread | Asked) -> str | tuple[str, ...]:
    return event.keys if isinstance(event, Spread) else event.key


class Flow(ProcessManager, name="limits", key=_keys):
    @starts
    def begin(self, begun: Begun | Spread) -> None: ...

    @on(missing="wait")
    def note(self, noted: Noted) -> None: ...

    @on
    def many(self, asked: Asked) -> Effects:
        for number in range(asked.facts):
            yield record(Noted(asked.key, str(number)))


class Kept(Event, name="limits.kept"):
    key: str
    text: str


class Keeper(ProcessManager, name="limits_keeper", key="key"):
    """Its state is the last text."""

    text: str = ""

    @folds
    def kept(self, kept: Kept) -> Keeper:
        return self.evolve(text=kept.text)

    @on(missing="start")
    def keep(self, kept: Kept) -> None: ...


class Put(Command, name="limits.put"):
    key: str
    text: str


class Box(Aggregate, name="limits_box", key="key"):
    """As the keeper."""

    text: str = ""

    @applies
    def kept(self, kept: Kept) -> Box:
        return self.evolve(text=kept.text)

    @decides
    def put(self, command: Put) -> Kept:
        return Kept(command.key, command.text)


class Fill(Command, name="limits.fill"):
    shelf: str
    books: int


class Filled(Event, name="limits.filled"):
    shelf: str
    book: int


class Shelf(Aggregate, name="limits_shelf", key="shelf"):
    books: int = 0

    @applies
    def filled(self, filled: Filled) -> Shelf:
        return self.evolve(books=self.books + 1)

    @decides
    def fill(self, command: Fill) -> tuple[Filled, ...]:
        return tuple(Filled(command.shelf, book) for book in range(command.books))


Try = Callable[[int, int], Awaitable[bool]]
"""Whether so much is accepted, under such a limit."""


async def _published(intake: IntakeSettings, *events: Event, setting: str) -> bool:
    async with _opened(Settings(intake=intake)) as runtime:
        refused: list[TooLarge] = []
        try:
            await runtime.publish(events)
        except TooLarge as error:
            refused.append(error)
        assert [(one.setting, one.size - one.size_max) for one in refused] in ([], [(setting, 1)])
        assert len(await runtime.events()) == (0 if refused else len(events))
        return not refused


def _opened(settings: Settings) -> contextlib.AbstractAsyncContextManager[Runtime]:
    return open_runtime(MemoryJournal(), processes=[Flow, Keeper], aggregates=[Shelf, Box], settings=settings)


async def batch(size: int, limit: int) -> bool:
    events = [Begun(str(number)) for number in range(size)]
    return await _published(IntakeSettings(publish_batch_max=limit), *events, setting="intake.publish_batch_max")


async def payload(size: int, limit: int) -> bool:
    event = Noted("k", "x" * (size - len('{"key":"k","text":""}')))
    return await _published(IntakeSettings(payload_bytes_max=limit), event, setting="intake.payload_bytes_max")


async def keys(size: int, limit: int) -> bool:
    event = Spread(tuple(map(str, range(size))))
    return await _published(IntakeSettings(keys_per_event_max=limit), event, setting="intake.keys_per_event_max")


async def key_of_an_event(size: int, limit: int) -> bool:
    return await _published(IntakeSettings(key_bytes_max=limit), Begun("k" * size), setting="intake.key_bytes_max")


async def effects(size: int, limit: int) -> bool:
    async with _opened(Settings(flows=FlowsSettings(effects_per_turn_max=limit))) as runtime:
        await runtime.publish([Begun("a"), Asked("a", size)])
        await runtime.drain()
        found = await runtime.flow(Flow, "a").summary()
        assert (found.reason is None) == (found.status == "active")
        assert f"asked for more than {limit} effects" in (found.reason or f"asked for more than {limit} effects")
        return found.status == "active"


async def waiting(size: int, limit: int) -> bool:
    """Events that wait for a start; beyond the limit they are shown as missing."""
    async with _opened(Settings(flows=FlowsSettings(waiting_events_max=limit))) as runtime:
        await runtime.publish([Noted("a") for _ in range(size)])
        await runtime.drain()
        return runtime.counters()["procession_events_missing"] == 0


async def decided(size: int, limit: int) -> bool:
    async with _opened(Settings(aggregates=AggregatesSettings(events_per_decision_max=limit))) as runtime:
        said = f"decided {size} events, at most {limit} (events_per_decision_max)"
        refused: list[DecisionFailed] = []
        try:
            await runtime.send(Fill("a", size))
        except DecisionFailed as error:
            refused.append(error)
        assert [one for one in refused if said not in str(one)] == []
        return len(await runtime.events(types=["limits.filled"])) == size


def _text(size: int) -> str:
    """What makes the state of a keeper or of a box so large."""
    return "é" * ((size - len('{"text":""}')) // 2) + "x" * ((size - len('{"text":""}')) % 2)


async def state_of_a_flow(size: int, limit: int) -> bool:
    async with _opened(Settings(flows=FlowsSettings(state_bytes_max=limit, snapshot_every_steps=1))) as runtime:
        await runtime.publish([Kept("a", _text(size)), Kept("b", "small")])
        await runtime.drain()
        assert (await runtime.flow(Keeper, "b").summary()).status == "active"
        return (await runtime.flow(Keeper, "a").summary()).status == "active"


async def state_of_an_aggregate(size: int, limit: int) -> bool:
    async with _opened(
        Settings(aggregates=AggregatesSettings(state_bytes_max=limit, snapshot_every_events=1))
    ) as runtime:
        with contextlib.suppress(DecisionFailed):
            await runtime.send(Put("a", _text(size)))
        return await runtime.aggregate(Box, "a").version() == 1


async def _posted(settings: HttpSettings, body: bytes, says: str) -> bool:
    """Whether a body is read, whatever is in it."""
    async with served(http=settings) as http:
        response = await http.client.post("/v1/events", content=body, headers={"Content-Type": STRUCTURED})
        return says not in response.text


async def body(size: int, limit: int) -> bool:
    event = json.dumps(cloud_event("parcel.sent", "1", {"parcel": "p"})).encode()
    says = f"the body has {size:,} bytes; at most {limit:,} are taken"
    return await _posted(HttpSettings(body_bytes_max=limit), event.ljust(size), says)


async def depth(size: int, limit: int) -> bool:
    return await _posted(HttpSettings(json_depth_max=limit), b"[" * size + b"]" * size, f"more than {limit} deep")


async def header(size: int, limit: int) -> bool:
    """Path, names and values of the headers, together."""
    async with served(http=HttpSettings(header_bytes_max=limit)) as http:
        filler = "x" * (size - len("/livez" + "host" + "localhost" + "x-much"))
        head = f"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Much: {filler}\r\n\r\n"
        return b"HTTP/1.1 431" not in await raw(http, head.encode())


REFUSING: dict[str, tuple[Try, int]] = {
    "intake.publish_batch_max": (batch, 5),
    "intake.payload_bytes_max": (payload, 1_100),
    "intake.keys_per_event_max": (keys, 5),
    "intake.key_bytes_max": (key_of_an_event, 16),
    "flows.effects_per_turn_max": (effects, 5),
    "flows.waiting_events_max": (waiting, 5),
    "flows.state_bytes_max": (state_of_a_flow, 1_100),
    "aggregates.events_per_decision_max": (decided, 5),
    "aggregates.state_bytes_max": (state_of_an_aggregate, 1_100),
    "http.body_bytes_max": (body, 1_100),
    "http.json_depth_max": (depth, 8),
    "http.header_bytes_max": (header, 1_100),
}
"""What refuses one more, and the limit that it is tried under."""

AT_HOME: dict[str, str] = {
    "journal.wal_pages_max": "journal/test_sqlite.py::test_the_write_ahead_log_stays_bounded",
    "intake.events_max": "engine/test_intake.py::test_a_sender_that_may_not_wait_is_refused_when_the_intake_is_full",
    "commit.rows_max": "test_limits.py::test_a_commit_holds_no_more_events_and_the_rest_waits",
    "flows.awake_max": "engine/test_engine.py::test_a_cache_of_one_and_a_mailbox_of_one_hold_many_flows",
    "flows.cached_max": "engine/test_engine.py::test_a_cache_of_one_and_a_mailbox_of_one_hold_many_flows",
    "flows.mailbox_max": "engine/test_engine.py::test_a_cache_of_one_and_a_mailbox_of_one_hold_many_flows",
    "aggregates.cached_max": "engine/test_aggregates.py::test_a_window_and_a_cache_of_one_decide_everything",
    "aggregates.commands_loaded_max": "engine/test_aggregates.py::test_a_window_and_a_cache_of_one_decide_everything",
    "timers.loaded_max": "engine/test_timers.py::test_timers_beyond_the_bound_fire_in_order",
    "gateways.attempts_max": "engine/test_delivery.py::test_every_attempt_has_the_same_command_id",
    "gateways.commands_loaded_max": "engine/test_delivery.py::test_commands_that_fail_do_not_block_a_window_of_two",
    "invariants.flows_due_max": "engine/test_invariant_watch.py::test_flows_that_find_no_room_are_found_in_the_journal",
    "invariants.turns_cached_max": (
        "engine/test_invariant_watch.py::test_flows_that_find_no_room_are_found_in_the_journal"
    ),
    "invariants.turns_per_flow_max": (
        "engine/test_invariant_watch.py::test_a_history_that_is_too_long_is_not_judged_and_counted"
    ),
    "projectors.batch_rows_max": "projections/test_laws.py::test_a_rebuild_equals_the_live_one_for_any_history",
    "projectors.rows_max": "projections/test_store.py::test_rows_of_a_query_are_bounded",
    "projectors.queries_max": "projections/test_store.py::test_more_queries_than_may_run_wait",
    "supervision.restarts_max": "actors/test_supervisor.py::test_what_fails_too_often_is_given_up_aloud",
    "purity.shadow_queue_max": "engine/test_shadow_host.py::test_what_finds_no_room_is_left_out_and_counted",
    "http.streams_max": (
        "daemon/http/test_stream.py::test_more_streams_than_there_may_be_are_refused_and_take_no_requests"
    ),
    "http.requests_max": "daemon/http/test_frame.py::test_more_requests_than_can_be_answered_are_told_to_come_later",
    "http.connections_max": "daemon/http/test_limits.py::test_more_connections_than_may_be_open_are_closed",
    "http.callers_max": "daemon/http/test_limits.py::test_who_was_away_longest_is_forgotten",
    "http.log_records_max": (
        "daemon/http/test_log_stream.py::test_a_client_goes_on_where_it_was_and_hears_what_it_missed"
    ),
    "telemetry.spans_waiting_max": (
        "telemetry/test_span_queue.py::test_what_finds_no_room_is_dropped_and_counted_and_the_rest_is_sent"
    ),
}


async def holds(tried: Try, at: int) -> None:
    """The limit is where it is said to be."""
    with trio.fail_after(40):
        assert [await tried(size, at) for size in (at - 1, at, at + 1)] == [True, True, False]


@pytest.mark.parametrize("limit", REFUSING)
async def test_one_less_and_the_limit_itself_are_taken_and_one_more_is_not(limit: str) -> None:
    await holds(*REFUSING[limit])


class _Counting(MemoryJournal):
    """Knows how many events each commit held."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    async def commit(self, rows: Commit) -> None:
        self.sizes.append(len(rows.events))
        await super().commit(rows)


async def test_a_commit_holds_no_more_events_and_the_rest_waits() -> None:
    journal = _Counting()
    limited = Settings(commit=CommitSettings(rows_max=100))
    async with open_runtime(journal, processes=[Flow], settings=limited) as runtime, trio.open_nursery() as nursery:
        for number in range(300):
            nursery.start_soon(runtime.publish, [Begun(f"{number}/{part}") for part in range(5)])
    assert sum(journal.sizes) == 1_500
    assert max(journal.sizes) == 100


def all_are_tested(known: Iterable[tuple[tuple[str, ...], Knob]]) -> None:
    """Each of these settings that is a limit has its test, and no other has."""
    limits = {".".join(path) for path, _ in known if path[-1].endswith("_max")}
    tested = REFUSING.keys() | AT_HOME.keys()
    assert limits - tested == set(), "write a test at the boundary of each, and name it here"
    assert tested - limits == set(), "they are no limits any more"


def test_every_limit_of_the_settings_has_a_test_at_its_boundary() -> None:
    all_are_tested(knobs())


@pytest.mark.parametrize("limit", AT_HOME)
def test_a_limit_that_is_tested_elsewhere_is_tested_there(limit: str) -> None:
    is_there(AT_HOME[limit])


def is_there(test: str) -> None:
    """There is a test of this name."""
    file, _, name = test.partition("::")
    defined = {node.name for node in ast.parse((ROOT / file).read_text("utf-8")).body if hasattr(node, "name")}
    assert name in defined
