"""The verbs that ask what would have been, and that take one flow out of a journal; part of arguments.py."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def add_insight(verb: Callable[[str, str], argparse.ArgumentParser], count: Callable[[str], int]) -> None:
    """Add the verbs.

    Args:
        verb: adds one, by its name and what it does.
        count: reads a number of at least 1.
    """
    what_if = verb("what-if", "Tell what would have come of a flow's history with events changed; nothing is done.")
    what_if.add_argument("flow", metavar="PROCESS/KEY", help="as `procession ls` shows it")
    for option, metavar, what in (
        ("--change", ("STEP", "DATA"), "the event of a step had this data, as JSON"),
        ("--insert", ("STEP", "TYPE", "DATA"), "another event came before a step"),
    ):
        what_if.add_argument(option, action="append", nargs=len(metavar), metavar=metavar, help=what)
    what_if.add_argument("--drop", action="append", metavar="STEP", help="the event of a step did not come")
    export = verb("export", "Write all rows of one flow as JSON lines; works beside a running owner.")
    export.add_argument("flow", metavar="PROCESS/KEY", help="as `procession ls` shows it")
    export.add_argument("file", metavar="FILE", help="a file that is not there yet; - for standard output")
    export.add_argument("--at", type=count, metavar="STEP", help="only up to this step: a fork of the flow")
    imported = verb("import", "Make a journal of one exported flow, to read, rehearse or run it apart.")
    imported.add_argument("file", metavar="FILE", help="what `procession export` wrote")
    imported.add_argument("target", metavar="TARGET", help="the new journal, a file that is not there yet")
