"""The map of flows: what is on it, and that its Mermaid text can be read."""

from __future__ import annotations

import re

import pytest

from flows import batch_settlement, loan_application, order_fulfilment, user_provisioning
from procession import (
    Command,
    CommandGivenUp,
    Effects,
    Event,
    FailureEvent,
    Gateway,
    ProcessManager,
    Settings,
    after,
    cancel,
    ends,
    folds,
    on,
    starts,
)
from procession.errors import NotFound
from procession.primitives.registration import build_registry
from procession.reading.flow_map import FlowMap, flow_map
from procession.reading.mermaid import escaped, mermaid
from procession.wiring import combine, registry_of
from tests.reading.repair import HOUR, Repair, Store


class Rung(Event, name="door.rung"):
    door: str


class Opened(Event, name="door.opened"):
    door: str


class Jammed(FailureEvent, name="door.jammed"):
    door: str


class Forgotten(Event, name="door.forgotten"):
    door: str


class Seen(Event, name="door.seen", version=2):
    door: str


class Open(Command, name="door.open"):
    door: str


class Door(ProcessManager, name="door", key="door", concerns=(Seen,)):
    @folds
    def was_opened(self, opened: Opened) -> Door:
        return self

    @starts
    def ask(self, rung: Rung) -> Effects:
        yield Open(rung.door)
        yield after(HOUR, Forgotten(rung.door))

    @ends
    def done(self, opened: Opened) -> Effects:
        yield cancel(Forgotten)

    @on
    def try_again(self, event: Jammed | CommandGivenUp[Open]) -> Effects:
        yield from ()

    @on
    def forgotten(self, forgotten: Forgotten) -> None: ...


class Porter(Gateway, name='porter "Ann" #1'):
    async def open(self, command: Open) -> Opened | Jammed:
        return Opened(command.door)


def test_a_small_flow_is_drawn_like_this() -> None:
    assert mermaid(flow_map(build_registry([Door], [Porter()]))) == (
        """\
flowchart LR
    %% [[process]]  {{command}}  [/gateway/]  ([event from outside])  (event)  >failure event]  ((deadline))
    %% dotted: found in the code of the handler that is named; all else is declared by types
    command_door_open{{"door.open"}}
    event_door_forgotten(("door.forgotten"))
    event_door_jammed>"door.jammed"]
    event_door_opened("door.opened")
    event_door_rung(["door.rung"])
    event_door_seen_v2(["door.seen v2"])
    gateway_porter__Ann___1[/"porter #quot;Ann#quot; #35;1"/]
    process_door[["door"]]
    command_door_open -->|"takes: open"| gateway_porter__Ann___1
    event_door_forgotten -->|"forgotten"| process_door
    event_door_jammed -->|"try_again"| process_door
    event_door_opened -->|"ends: done"| process_door
    event_door_rung -->|"starts: ask"| process_door
    event_door_seen_v2 -->|"concerns"| process_door
    gateway_porter__Ann___1 -->|"answers: open"| event_door_jammed
    gateway_porter__Ann___1 -->|"answers: open"| event_door_opened
    gateway_porter__Ann___1 -->|"gives up: try_again"| process_door
    process_door -.->|"sends: ask"| command_door_open
    process_door -.->|"arms: ask"| event_door_forgotten
"""
    )


def test_what_the_text_leaves_out_is_on_the_map() -> None:
    edges = {(edge.does, edge.by, edge.derived) for edge in flow_map(build_registry([Door], [Porter()])).edges}
    assert {("cancels", "done", True), ("folds", "was_opened", False)} <= edges


def reference_map() -> FlowMap:
    modules = (order_fulfilment, user_provisioning, batch_settlement, loan_application)
    return flow_map(registry_of(combine([module.wire_testing(Settings()) for module in modules])))


NODE = re.compile(
    r'(?P<id>\w+)(\[\["[^"]+"\]\]|\{\{"[^"]+"\}\}|\[/"[^"]+"/\]|\(\["[^"]+"\]\)|\(\("[^"]+"\)\)|>"[^"]+"\]|\("[^"]+"\))'
)
EDGE = re.compile(r'(?P<source>\w+) (-->|-\.->)(\|"[^"|]+"\|)? (?P<target>\w+)')
RESERVED = {"end", "graph", "subgraph", "flowchart", "style", "click", "class", "classDef", "linkStyle", "direction"}


def parse(text: str) -> tuple[set[str], list[tuple[str, str]]]:
    """Nodes and edges, by the grammar of a flowchart as far as we use it; fails at any other line."""
    first, *lines = text.splitlines()
    assert first == "flowchart LR"
    nodes: set[str] = set()
    edges: list[tuple[str, str]] = []
    for line in lines:
        statement = line.strip()
        node, edge = NODE.fullmatch(statement), EDGE.fullmatch(statement)
        assert node or edge or statement.startswith("%%"), line
        nodes |= {node["id"]} if node else set()
        edges += [(edge["source"], edge["target"])] if edge else []
    return nodes, edges


def test_the_map_of_the_reference_flows_can_be_read() -> None:
    drawn = reference_map()
    nodes, edges = parse(mermaid(drawn))
    assert len(nodes) == len(drawn.nodes)
    assert {name for edge in edges for name in edge} == nodes
    assert not nodes & RESERVED


def test_the_text_is_the_same_whatever_the_order_of_the_modules() -> None:
    modules = (loan_application, batch_settlement, user_provisioning, order_fulfilment)
    turned = flow_map(registry_of(combine([module.wire_testing(Settings()) for module in modules])))
    assert mermaid(turned) == mermaid(reference_map())


def test_origins_tell_where_an_event_comes_from() -> None:
    drawn = flow_map(build_registry([Repair], [Store()]))
    names = {
        origin: [node.name for node in drawn.events(origin)] for origin in ("outside", "answer", "deadline", "fact")
    }
    assert names == {
        "outside": ["repair.asked", "repair.closed"],
        "answer": ["repair.part_fetched"],
        "deadline": ["repair.overdue"],
        "fact": ["repair.part_counted"],
    }


def test_an_event_that_a_gateway_answers_to_what_nobody_sends_is_no_outside_event() -> None:
    class Silent(ProcessManager, name="door", key="door"):
        @starts
        def seen(self, opened: Opened) -> None: ...

    drawn = flow_map(build_registry([Silent], [Porter()]), ["door"])
    assert [node.name for node in drawn.events("answer")] == ["door.opened"]


def test_one_process_is_drawn_with_its_gateways_alone() -> None:
    registry = build_registry([Door, Repair], [Porter(), Store()])
    names = {node.name for node in flow_map(registry, ["door"]).nodes if node.kind in ("process", "gateway")}
    assert names == {"door", 'porter "Ann" #1'}
    with pytest.raises(NotFound, match="no process 'gate'"):
        flow_map(registry, ["gate"])


def test_names_that_look_alike_have_ids_of_their_own() -> None:
    class Dotted(Event, name="a.b"):
        key: str

    class Lined(Event, name="a_b"):
        key: str

    class Both(ProcessManager, name="end", key="key"):
        @starts
        def begin(self, event: Dotted | Lined) -> None: ...

    nodes, edges = parse(mermaid(flow_map(build_registry([Both], []))))
    assert nodes == {"event_a_b", "event_a_b_2", "process_end"}
    assert len(set(edges)) == 2


@pytest.mark.parametrize(
    ("text", "expected"), [('a"b', "a#quot;b"), ("#1", "#35;1"), ("a<b>&`", "a#lt;b#gt;#amp;#96;"), ("ä.b", "ä.b")]
)
def test_names_are_escaped(text: str, expected: str) -> None:
    assert escaped(text) == expected
