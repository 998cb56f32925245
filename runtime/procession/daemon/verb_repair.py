"""`procession retry|skip|release|cancel`: acts on one flow. They own the journal while they run."""

from __future__ import annotations

import argparse
import getpass
import os

import trio

from procession.daemon.configuration import Configuration, configured, since_of
from procession.daemon.exit_codes import UsageRefused
from procession.daemon.output import Output
from procession.daemon.stopping import Stop, run_stoppable
from procession.daemon.verb_show import flow_name
from procession.errors import NotFound
from procession.facade import Runtime
from procession.flow_handle import FlowHandle, FlowSummary
from procession.wiring import load_wiring, open_wired

_COMMAND_ID_HEX = 32


def run(options: argparse.Namespace, output: Output) -> int:
    """Do the act, wait a little for what follows, and say where the flow stands then."""
    process, key = flow_name(options.flow)
    if not options.reason.strip():
        raise UsageRefused("--reason is empty", "say why, it stays in the journal")
    configuration = configured(options)
    configuration.existing_journal()
    return run_stoppable(lambda stop: _act(options, output, configuration, (process, key), stop))


async def _act(
    options: argparse.Namespace, output: Output, configuration: Configuration, name: tuple[str, str], stop: Stop
) -> int:
    settings = configuration.settings
    by: str = options.by or whoever()
    async with open_wired(load_wiring(settings), settings, since=since_of(options)) as runtime:
        flow = runtime.flow(*name)
        await _known(runtime, flow)
        before = await flow.summary()
        position = await _do(options, flow, by)
        with trio.move_on_after(options.wait_s):
            await stop.race(runtime.drain)
        after = await flow.summary()
    _report(options, output, by, position, (before, after))
    return stop.exit_code or 0


async def _do(options: argparse.Namespace, flow: FlowHandle, by: str) -> int:
    why: str = options.reason
    verb: str = options.verb
    if verb == "retry" and options.command is not None:
        return await flow.retry_command(_command_id(options.command), by=by, why=why)
    if verb == "cancel":
        return await flow.cancel(by=by, why=why, force=options.force)
    acts = {"retry": flow.retry, "skip": flow.skip, "release": flow.release}
    return await acts[verb](by=by, why=why)


async def _known(runtime: Runtime, flow: FlowHandle) -> None:
    """Refuse a flow that nobody has heard of before anything is done for it."""
    found = await runtime.journal.look_up((), ((flow.process, flow.key),))
    if (flow.process, flow.key) not in found.flows:
        raise NotFound("flow", flow.name)


def _command_id(text: str) -> str:
    if len(text) != _COMMAND_ID_HEX or not all(c in "0123456789abcdef" for c in text.lower()):
        raise UsageRefused(f"--command {text!r} is no id", "`procession show` names the ids of a flow's commands")
    return text.lower()


def whoever() -> str:
    """The user of this command, and the host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = str(os.getuid())
    return f"{user}@{os.uname().nodename}"


def _report(
    options: argparse.Namespace, output: Output, by: str, position: int, stands: tuple[FlowSummary, FlowSummary]
) -> None:
    before, after = stands
    if output.as_json:
        output.json(
            {
                "act": options.verb,
                "flow": after.name,
                "position": position,
                "by": by,
                "reason": options.reason,
                "status_before": before.status,
                "status": after.status,
                "outcome": after.outcome,
                "quarantine_reason": after.reason,
            }
        )
        return
    outcome = f" ({after.outcome})" if after.outcome else ""
    why = f": {output.cell(after.reason)}" if after.reason else ""
    output.line(f"{output.cell(after.name)}  {before.status} → {output.status(after.status)}{outcome}{why}")
    output.say(f"{options.verb} by {by} stands at position {position}; `procession show {options.flow}` tells the rest")
