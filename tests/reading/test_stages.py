"""The diagram of a process: its steps, what leads from one to the next, and the flows at each."""

from __future__ import annotations

import datetime
from xml.etree import ElementTree

import attrs
import pytest
from trio.testing import MockClock

from procession.errors import NotFound
from procession.journal.memory import MemoryJournal
from procession.journal.rows import Commit
from procession.primitives.outcomes import outcomes_of
from procession.reading.diagram_svg import diagram_svg
from procession.reading.process_diagram import ProcessDiagram
from procession.reading.search import search_flows
from procession.reading.search_parser import parse_search
from procession.reading.stages import read_diagram
from procession.testing.journal_rows import event, flow, step
from tests.reading.repair import Repair, RepairAsked, RepairClosed, journal_of, registry_of


def links(drawn: ProcessDiagram) -> set[tuple[str, str, str, str]]:
    return {(link.source, link.target, link.kind, link.event) for link in drawn.links}


async def test_steps_are_linked_by_what_comes_back_of_what_they_ask_for() -> None:
    drawn = await read_diagram(MemoryJournal(), registry_of(), "repair")
    assert links(drawn) == {
        ("start", "step:order_parts", "outside", "repair.asked"),
        ("step:order_parts", "step:fetched", "answer", "repair.part_fetched"),
        ("step:order_parts", "step:remind", "deadline", "repair.overdue"),
        ("step:fetched", "step:count", "fact", "repair.part_counted"),
        ("outside", "step:close", "outside", "repair.closed"),
        ("step:count", "end:repaired", "runtime", ""),
        ("step:close", "end:closed", "runtime", ""),
    }
    ids = {stage.id for stage in drawn.stages}
    assert {end for link in drawn.links for end in (link.source, link.target)} <= ids
    assert outcomes_of(Repair) == {"count": ("repaired",), "close": ("closed",)}


async def test_flows_are_counted_where_they_stand_and_found_by_the_search_of_the_stage(
    autojump_clock: MockClock,
) -> None:
    asked = [RepairAsked(key, ("on its way",)) for key in "abc"]
    journal = await journal_of(*asked, RepairAsked("d", ("bell",)), RepairAsked("e", ("sold out",)), RepairClosed("a"))
    drawn = await read_diagram(journal, registry_of(), "repair")
    counted = {
        stage.id: (stage.waiting, stage.quarantined) for stage in drawn.stages if stage.waiting + stage.quarantined
    }
    assert counted == {"step:order_parts": (2, 1), "end:repaired": (1, 0), "end:closed": (1, 0)}
    assert (drawn.counted, drawn.more) == (3, False)
    now_us = int(datetime.datetime.now(datetime.UTC).timestamp()) * 1_000_000
    for stage in drawn.stages:
        if stage.search:
            page = await search_flows(journal, parse_search(stage.search), now_us)
            assert len(page.rows) == stage.waiting + stage.quarantined, stage.search


async def test_flows_at_a_step_that_the_code_has_no_more_are_told() -> None:
    journal = MemoryJournal()
    row = flow(1, 1)._replace(process="repair")
    await journal.commit(Commit(events=[event(1)], steps=[step(1, 1, 1)._replace(name="gone")], flows={1: row}))
    drawn = await read_diagram(journal, registry_of(), "repair")
    assert [(stage.id, stage.waiting) for stage in drawn.stages if not stage.known] == [("step:gone", 1)]


async def test_the_picture_has_a_node_for_each_stage_and_holds_no_style() -> None:
    drawn = await read_diagram(MemoryJournal(), registry_of(), "repair")
    named = attrs.evolve(drawn, process="<script>", stages=(*drawn.stages, attrs.evolve(drawn.stages[2], name='"><b>')))
    root = ElementTree.fromstring(diagram_svg(named))
    nodes = [node for node in root.iter() if "stage" in node.get("class", "").split()]
    assert len(nodes) == len(named.stages)
    assert not [node for node in root.iter() if "style" in node.attrib or node.tag.endswith(("script", "}b"))]


async def test_a_process_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound):
        await read_diagram(MemoryJournal(), registry_of(), "never")
