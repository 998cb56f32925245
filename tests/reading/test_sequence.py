"""The sequence diagram of a flow: who sent what to whom, in order; and that nothing breaks out of its pictures."""

from __future__ import annotations

import datetime
import re
from xml.etree import ElementTree

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from procession.errors import NotFound
from procession.journal.memory import MemoryJournal
from procession.reading.sequence import Lane, Message, Sequence
from procession.reading.sequence_mermaid import sequence_mermaid
from procession.reading.sequence_of import read_sequence
from procession.reading.sequence_svg import sequence_svg
from tests.reading.repair import RepairAsked, journal_of, opened

SVG = "{http://www.w3.org/2000/svg}"


def said(drawn: Sequence) -> list[str]:
    """Each message in a line."""
    names = [lane.name for lane in drawn.lanes]
    return [f"{names[m.source]} {m.kind} {m.label} {names[m.target]}" for m in drawn.messages]


async def test_what_went_between_a_flow_and_all_others_is_told_in_order(autojump_clock: MockClock) -> None:
    drawn = await read_sequence(await journal_of(RepairAsked("b", ("bell",))), "repair", "b")
    assert said(drawn) == [
        "outside event repair.asked repair/b",
        "repair/b command store.fetch store",
        "repair/b set repair.overdue timers",
        "store answer repair.part_fetched repair/b",
        "repair/b recorded repair.part_counted repair/b",
        "repair/b cancelled repair.overdue timers",
        "repair/b ended repaired repair/b",
    ]
    assert (drawn.status, drawn.next, [lane.kind for lane in drawn.lanes]) == (
        "ended",
        None,
        ["outside", "flow", "gateway", "timers"],
    )


async def test_failed_attempts_stand_at_the_gateway_before_what_came_later_and_deadlines_fire(
    autojump_clock: MockClock,
) -> None:
    journal = MemoryJournal()
    async with opened(journal) as runtime:
        await runtime.publish(RepairAsked("b", ("rare",)))
        await trio.sleep(4_000)
    drawn = await read_sequence(journal.reopened(), "repair", "b")
    kinds = [message.kind for message in drawn.messages]
    assert kinds == ["event", "command", "set", *["failed"] * kinds.count("failed"), "given_up", "act", "fired"]
    assert kinds.count("failed") > 3
    times = [message.at for message in drawn.messages]
    assert times == sorted(times)


async def test_what_answers_a_failure_compensates_and_what_has_no_answer_is_open(autojump_clock: MockClock) -> None:
    drawn = await read_sequence(await journal_of(RepairAsked("b", ("on its way", "sold out"))), "repair", "b")
    commands = {message.note: message for message in drawn.messages if message.kind == "command"}
    assert [(message.open, message.compensates) for message in commands.values()] == [(True, False), (False, False)]
    assert "given_up" in [message.kind for message in drawn.messages]


async def test_a_long_flow_is_told_page_by_page(autojump_clock: MockClock) -> None:
    journal = await journal_of(RepairAsked("b", ("bell", "lamp")))
    whole = await read_sequence(journal, "repair", "b")
    pages: list[Message] = []
    after: int | None = 0
    while after is not None:
        page = await read_sequence(journal, "repair", "b", after, 1)
        names = [lane.name for lane in page.lanes]
        pages += page.messages
        after = page.next
        assert names[:2] == ["outside", "repair/b"]
    assert [(m.kind, m.label) for m in pages] == [(m.kind, m.label) for m in whole.messages]


async def test_of_what_is_not_there_nothing_is_told() -> None:
    with pytest.raises(NotFound):
        await read_sequence(MemoryJournal(), "repair", "b")


NASTY = (
    "<script>alert(1)</script>",
    "]]>",
    "--><b>",
    "%%{init: {}}%%",
    "a;b",
    "x\nL0->>L1: y",
    "&lt;",
    "End",
    "\ud800",
)
nasty = st.text("<>&\"'`;:#%\n\r\t-x{}[]()\\\x00\x1b\u2028\ud7ff\uffff end", max_size=12) | st.sampled_from(NASTY)
AT = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def drawn_with(name: str, label: str, note: str) -> Sequence:
    lanes = (Lane("outside", name), Lane("flow", label))
    messages = [
        Message(kind, source, target, label, note, AT, 1, 1, compensates=True, open=False)  # type: ignore[arg-type]  # a kind
        for kind, source, target in (("event", 0, 1), ("recorded", 1, 1), ("failed", 1, 1), ("cancelled", 1, 0))
    ]
    return Sequence(name, "active", lanes, tuple(messages), None)


@given(nasty, nasty, nasty)
def test_no_text_breaks_out_of_the_svg(name: str, label: str, note: str) -> None:
    root = ElementTree.fromstring(sequence_svg(drawn_with(name, label, note)))
    allowed = {"svg", "g", "title", "desc", "rect", "line", "polygon", "path", "circle", "text"}
    found = list(root.iter())
    assert {node.tag.removeprefix(SVG) for node in found} <= allowed
    assert not [key for node in found for key in node.attrib if key.startswith("on") or key in ("style", "href")]
    assert (len(root.findall(f"{SVG}g")), root[0].tag, root[1].tag) == (6, f"{SVG}title", f"{SVG}desc")


@given(nasty, nasty, nasty)
def test_no_text_breaks_out_of_its_line_of_mermaid(name: str, label: str, note: str) -> None:
    lines = sequence_mermaid(drawn_with(name, label, note)).splitlines()
    written = r"(?:[A-Za-z0-9 _./(),+=-]|#\d+;)+"
    shapes = ["sequenceDiagram", *[rf"    participant L{lane} as {written}" for lane in (0, 1)]]
    shapes += [rf"    L0->>L1: {written}", rf"    L1->>L1: {written}", rf"    Note over L1: {written}"]
    shapes.append(rf"    L1-xL0: {written}")
    assert len(lines) == len(shapes)
    assert all(re.fullmatch(shape, line) for shape, line in zip(shapes, lines, strict=True)), lines
    assert not any(re.search(r"\bend\b", line, re.IGNORECASE) for line in lines)
