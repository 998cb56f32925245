"""`procession retry|skip|release|cancel`: acts on one flow, by the running owner, or owning the journal meanwhile."""

from __future__ import annotations

import argparse
import getpass
import os
from collections.abc import Mapping
from typing import Any

from procession.daemon.acting import FlowAct, act_on_flow
from procession.daemon.configuration import Configuration, configured, since_of
from procession.daemon.local_client import owner_of
from procession.daemon.output import Output
from procession.daemon.stopping import Stop, run_stoppable
from procession.daemon.verb_show import flow_name
from procession.wiring import load_wiring, open_wired


def run(options: argparse.Namespace, output: Output) -> int:
    """Do the act, wait a little for what follows, and say where the flow stands then."""
    process, key = flow_name(options.flow)
    act = FlowAct(
        options.verb,
        process,
        key,
        options.by or whoever(),
        options.reason,
        getattr(options, "command", None),
        getattr(options, "force", False),
        options.wait_s,
    )
    configuration = configured(options)
    configuration.existing_journal()
    return run_stoppable(lambda stop: _act(options, output, configuration, act, stop))


async def _act(
    options: argparse.Namespace, output: Output, configuration: Configuration, act: FlowAct, stop: Stop
) -> int:
    settings, owner = configuration.settings, owner_of(configuration.journal)
    if owner is not None:
        _report(options, output, await stop.asking(lambda: owner.ask("act", **act.asked())))
        return 0
    async with open_wired(load_wiring(settings), settings, since=since_of(options), injecting=False) as runtime:
        acted = await act_on_flow(runtime, act, stop.race)
    _report(options, output, acted)
    return stop.exit_code or 0


def whoever() -> str:
    """The user of this command, and the host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = str(os.getuid())
    return f"{user}@{os.uname().nodename}"


def _report(options: argparse.Namespace, output: Output, acted: Mapping[str, Any]) -> None:
    if output.as_json:
        output.json(acted)
        return
    outcome = f" ({acted['outcome']})" if acted["outcome"] else ""
    why = f": {output.cell(acted['quarantine_reason'])}" if acted["quarantine_reason"] else ""
    status = output.status(acted["status"])
    output.line(f"{output.cell(acted['flow'])}  {acted['status_before']} → {status}{outcome}{why}")
    output.say(
        f"{options.verb} by {acted['by']} stands at position {acted['position']};"
        f" `procession show {options.flow}` tells the rest"
    )
