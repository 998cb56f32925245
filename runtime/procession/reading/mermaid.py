"""A flow map as a Mermaid flowchart: the same text for the same types, names escaped."""

from __future__ import annotations

import re
from collections.abc import Iterator

from procession.reading.flow_map import About, Edge, FlowMap, Node

_ENTITIES = {"#": "#35;", '"': "#quot;", "&": "#amp;", "<": "#lt;", ">": "#gt;", "`": "#96;"}
_SHAPES = {
    "process": '[["{}"]]',
    "command": '{{{{"{}"}}}}',
    "gateway": '[/"{}"/]',
    "aggregate": '[("{}")]',
    "outside": '(["{}"])',
    "deadline": '(("{}"))',
    "failure": '>"{}"]',
    "event": '("{}")',
}
"""Doubled frame, hexagon, parallelogram, cylinder, stadium, circle, flag, rounded."""
_WORDS = {"handles": "", "gives_up": "gives up"}
_LEGEND = (
    "%% [[process]]  {{command}}  [/gateway/]  ([event from outside])  (event)  >failure event]  ((deadline))",
    "%% dotted: found in the code of the handler that is named; all else is declared by types",
)
_AGGREGATES = "%% [(aggregate)]"


def mermaid(drawn: FlowMap) -> str:
    """The flowchart. What cancels a deadline, and folds beside a handler, are left out: the JSON has them."""
    ids = _ids(drawn)
    legend = (*_LEGEND, *([_AGGREGATES] if any(node.kind == "aggregate" for node in drawn.nodes) else []))
    lines = ["flowchart LR", *(f"    {line}" for line in legend)]
    lines += [f"    {ids[node]}{_shape(node, about)}" for node, about in drawn.nodes.items()]
    lines += [f"    {line}" for line in dict.fromkeys(_edges(drawn, ids))]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """A text as it may stand between quotes in a flowchart."""
    return "".join(_ENTITIES.get(character, character) for character in text)


def _ids(drawn: FlowMap) -> dict[Node, str]:
    """An id for each node, of letters, digits and underscores, which says what it is."""
    taken: dict[str, Node] = {}
    for node in drawn.nodes:
        slug = re.sub(r"\W", "_", f"{node.kind}_{node.name}", flags=re.ASCII)
        slug += f"_v{node.version}" if node.version > 1 else ""
        number, found = 1, slug
        while found in taken:
            number += 1
            found = f"{slug}_{number}"
        taken[found] = node
    return {node: found for found, node in taken.items()}


def _shape(node: Node, about: About) -> str:
    kind: str = node.kind
    if kind == "event":
        kind = "deadline" if "deadline" in about.origins else "failure" if about.failure else "event"
        kind = "outside" if "outside" in about.origins else kind
    version = f" v{node.version}" if node.version > 1 else ""
    return _SHAPES[kind].format(escaped(node.name) + version)


def _edges(drawn: FlowMap, ids: dict[Node, str]) -> Iterator[str]:
    reacting = {(edge.source, edge.target) for edge in drawn.edges if edge.does in ("starts", "handles", "ends")}
    for edge in drawn.edges:
        if edge.does in ("cancels", "applies") or (edge.does == "folds" and (edge.source, edge.target) in reacting):
            continue
        arrow = "-.->" if edge.derived else "-->"
        yield f"{ids[edge.source]} {arrow}{_label(edge)} {ids[edge.target]}"


def _label(edge: Edge) -> str:
    word = _WORDS.get(edge.does, edge.does)
    text = ": ".join(part for part in (word, edge.by) if part)
    return f'|"{escaped(text)}"|' if text else ""
