"""`procession map`: flows, events, commands, gateways and deadlines, drawn from the types."""

from __future__ import annotations

import argparse

import attrs

from procession.daemon.configuration import configured
from procession.daemon.output import Output
from procession.reading.flow_map import FlowMap, Node, flow_map
from procession.reading.mermaid import mermaid
from procession.wiring import load_wiring, registry_of


def run(options: argparse.Namespace, output: Output) -> int:
    """Print the map: Mermaid, or JSON."""
    settings = configured(options).settings
    if options.modules:
        settings = attrs.evolve(settings, modules=tuple(options.modules))
    wiring = load_wiring(settings, "testing")
    registry = registry_of(wiring)
    drawn = flow_map(registry, options.process or ())
    if output.as_json:
        output.json(map_json(drawn))
    else:
        output.line(mermaid(drawn).rstrip("\n"))
    return 0


def map_json(drawn: FlowMap) -> dict[str, object]:
    """The map as JSON: nodes with all that is known of them, and edges between their names."""
    return {
        "nodes": [
            {
                **_node_json(node),
                "class": about.cls,
                "site": about.site,
                "failure": about.failure,
                "origins": list(about.origins),
            }
            for node, about in drawn.nodes.items()
        ],
        "edges": [
            {
                "source": _node_json(edge.source),
                "target": _node_json(edge.target),
                "does": edge.does,
                "by": edge.by or None,
                "derived": edge.derived,
            }
            for edge in drawn.edges
        ],
    }


def _node_json(node: Node) -> dict[str, object]:
    return {"kind": node.kind, "name": node.name, "version": node.version or None}
