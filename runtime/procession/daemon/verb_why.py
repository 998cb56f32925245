"""`procession why` and `why-not`: the causes of what a flow did, and what it waits for; beside a running owner too."""

from __future__ import annotations

import argparse

import trio

from procession.daemon.configuration import Configuration, configured
from procession.daemon.durations import now_us
from procession.daemon.flow_shown import plain
from procession.daemon.output import Output
from procession.daemon.verb_show import flow_name
from procession.errors import NotFound
from procession.journal.sqlite_reader import read_sqlite
from procession.primitives.gateway import gateway_class
from procession.primitives.registry import Registry
from procession.reading.causes import read_why, stored_names
from procession.reading.waits import read_surroundings, read_why_not
from procession.reading.why import Why
from procession.reading.why_not import WhyNot


def run(options: argparse.Namespace, output: Output) -> int:
    """Tell why, or why not."""
    process, key = flow_name(options.flow)
    configuration = configured(options)
    journal = configuration.existing_journal()
    if options.verb == "why":
        found: Why | WhyNot = trio.run(_why, configuration, journal, (process, key), options.what)
    else:
        found = trio.run(_why_not, journal, (process, key), _registry(configuration), configuration)
    if output.as_json:
        output.json(plain(found))
    else:
        for line in str(found).splitlines():
            output.line(output.cell(line))
    return 0


async def _why(configuration: Configuration, journal: str, flow: tuple[str, str], what: str) -> Why:
    reader = await read_sqlite(journal)
    try:
        try:
            return await read_why(reader, *flow, what)
        except NotFound:
            # Perhaps it is the name of a class. Only for that are the modules needed, which may not be at hand.
            registry = _registry(configuration) if what.isidentifier() else None
            stored = None if registry is None else stored_names(registry).get(what)
            if stored is None:
                raise
            return await read_why(reader, *flow, stored)
    finally:
        await reader.close()


async def _why_not(
    journal: str, flow: tuple[str, str], registry: Registry | None, configuration: Configuration
) -> WhyNot:
    reader = await read_sqlite(journal)
    try:
        around = await read_surroundings(reader, flow[0], _paused(configuration, registry))
        return await read_why_not(reader, *flow, now_us(), around, registry)
    finally:
        await reader.close()


def _registry(configuration: Configuration) -> Registry | None:
    """The classes that the settings name; None where they name none."""
    if not configuration.settings.modules:
        return None
    from procession.wiring import load_wiring, registry_of  # noqa: PLC0415 - the flows are users' code

    return registry_of(load_wiring(configuration.settings, "testing"))


def _paused(configuration: Configuration, registry: Registry | None) -> list[str]:
    """The gateways that the settings, or their own classes, pause from the start."""
    gateways = {} if registry is None else registry.gateways
    of = configuration.settings.gateways.of
    return [name for name, it in gateways.items() if of(name, gateway_class(it).__gateway__.policy.declared()).paused]
