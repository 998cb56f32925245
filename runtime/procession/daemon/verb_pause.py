"""`procession pause|resume`: has the running owner stop attempts of a gateway, or go on with it or with a process."""

from __future__ import annotations

import argparse

from procession.daemon.configuration import configured
from procession.daemon.exit_codes import UsageRefused
from procession.daemon.local_client import Owner, asked_owner
from procession.daemon.output import Output
from procession.daemon.stopping import Stop, run_stoppable
from procession.daemon.verb_repair import whoever


def run(options: argparse.Namespace, output: Output) -> int:
    """Ask the owner; a pause lasts until somebody resumes, or until the owner ends."""
    if not options.reason.strip():
        raise UsageRefused("--reason is empty", "say why, it stays in the journal")
    owner = asked_owner(configured(options).existing_journal())
    return run_stoppable(lambda stop: _ask(options, output, owner, stop))


async def _ask(options: argparse.Namespace, output: Output, owner: Owner, stop: Stop) -> int:
    by: str = options.by or whoever()
    found = await stop.asking(lambda: owner.ask(options.verb, name=options.name, by=by, why=options.reason))
    if output.as_json:
        output.json({**found, "by": by, "reason": options.reason})
        return 0
    kind = "process" if "process" in found else "gateway"
    output.line(f"{kind} {output.cell(found[kind])} {'is paused' if found['paused'] else 'goes on'}")
    return 0
