"""The verbs and their options. Nothing but argparse is imported here, so that `--help` is quick."""

from __future__ import annotations

import argparse
import difflib
import json
import re
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from procession.daemon.insight_arguments import add_insight
from procession.daemon.token_arguments import ROLES, add_token

VERBS: dict[str, str] = {
    "run": "procession.daemon.verb_run",
    "top": "procession.daemon.verb_top",
    "demo": "procession.daemon.verb_demo",
    "publish": "procession.daemon.verb_publish",
    "ls": "procession.daemon.verb_list",
    "show": "procession.daemon.verb_show",
    "retry": "procession.daemon.verb_repair",
    "skip": "procession.daemon.verb_repair",
    "release": "procession.daemon.verb_repair",
    "cancel": "procession.daemon.verb_repair",
    "pause": "procession.daemon.verb_pause",
    "resume": "procession.daemon.verb_pause",
    "backup": "procession.daemon.verb_backup",
    "doctor": "procession.daemon.verb_doctor",
    "check": "procession.daemon.verb_check",
    "archive": "procession.daemon.verb_archive",
    "new": "procession.daemon.verb_new",
    "schemas": "procession.daemon.verb_schemas",
    "rehearse": "procession.daemon.verb_rehearse",
    "why": "procession.daemon.verb_why",
    "why-not": "procession.daemon.verb_why",
    "map": "procession.daemon.verb_map",
    "explore": "procession.daemon.verb_explore",
    "projections": "procession.daemon.verb_projections",
    "tasks": "procession.daemon.verb_tasks",
    "salvage": "procession.daemon.verb_salvage",
    "dashboard": "procession.daemon.verb_dashboard",
    "what-if": "procession.daemon.verb_what_if",
    "export": "procession.daemon.verb_export",
    "import": "procession.daemon.verb_export",
    "token": "procession.daemon.verb_token",
}
"""Which module does which verb; it is imported when the verb is used."""

_FORMATS = ("list", "jsonschema", "linkml", "openapi", "asyncapi")
_STATUSES = ("unstarted", "active", "quarantined", "ended", "cancelled")
_USAGE = 2
_PAUSE_S_MIN, _PAUSE_S_MAX = 0.1, 3_600.0
_INVALID = re.compile(r"invalid choice: '(?P<given>[^']*)'")
_UNRECOGNIZED = re.compile(r"unrecognized arguments: (?P<given>--[\w-]+)")


class Parser(argparse.ArgumentParser):
    """Says what was found and what was perhaps meant, in one sentence."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        sentence = f"{message}{self._meant(message)}; `{self.prog} --help` shows what there is"
        if "--json" in sys.argv[1:]:
            sys.stdout.write(json.dumps({"error": sentence, "kind": "UsageRefused", "exit_code": _USAGE}) + "\n")
        else:
            sys.stderr.write(f"procession: {sentence}\n")
        sys.exit(_USAGE)

    def _meant(self, message: str) -> str:
        for pattern, known in (
            (_INVALID, [*VERBS, *_STATUSES, *_FORMATS, *ROLES]),
            (_UNRECOGNIZED, self.known_options()),
        ):
            found = pattern.search(message)
            near = difflib.get_close_matches(found["given"], known, n=1) if found else []
            if near:
                return f"; did you mean {near[0]}?"
        return ""

    def known_options(self) -> list[str]:
        """Every option of this command and of its verbs."""
        found = [text for action in self._actions for text in action.option_strings]
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - the only way to what was added
                found += [text for parser in action.choices.values() for text in parser.known_options()]
        return found


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line as options; ends the process where it can't be read, or asks for help only."""
    options = _parser().parse_args(arguments)
    for name, default in (("config", None), ("journal", None), ("json", False), ("color", "auto")):
        if not hasattr(options, name):
            setattr(options, name, default)
    return options


def _parser() -> Parser:
    everywhere = _everywhere()
    parser = Parser(
        prog="procession",
        description="Process managers that survive: durable flows on one journal file.",
        epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 refused by state, 5 unreachable, 6 timeout,"
        " 7 unauthorised, 8 journal owned by another process, 9 schema or version refused.",
        parents=[everywhere],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")

    def verb(name: str, help_text: str) -> Parser:
        return verbs.add_parser(name, help=help_text, description=help_text, parents=[everywhere], allow_abbrev=False)

    _add_running(verb)
    _add_reading(verb)
    _add_acts(verb)
    _add_foreseeing(verb)
    _add_checks(verb)
    _add_exploring(verb)
    _add_archive(verb)
    _add_projections(verb)
    _add_tasks(verb)
    _add_salvage(verb)
    _add_dashboard(verb)
    add_insight(verb, _count)
    add_token(verb, everywhere)
    return parser


def _everywhere() -> Parser:
    """Options that may stand before or after the verb."""
    options = Parser(add_help=False, argument_default=argparse.SUPPRESS)
    group = options.add_argument_group("everywhere")
    group.add_argument(
        "--config", metavar="FILE", help="the configuration; default: PROCESSION_CONFIG, or config/procession.toml"
    )
    group.add_argument("--journal", metavar="PATH", help="the journal's file; default: as the configuration says")
    group.add_argument("--json", action="store_true", help="one JSON document on stdout")
    group.add_argument("--color", choices=("auto", "always", "never"), help="default: auto; NO_COLOR is heeded")
    return options


def _add_running(verb: Callable[[str, str], Parser]) -> None:
    _since(verb("run", "Serve: run the configured flows until SIGTERM or SIGINT; acting verbs ask it by its socket."))
    top = verb("top", "Watch the running owner: rates, gateways, quarantine, supervision tree.")
    top.add_argument("--once", action="store_true", help="show it once; so it is where it is piped, and with --json")
    top.add_argument(
        "--interval-s", type=_pause, default=1.0, metavar="S", help="how long between two looks; default: 1"
    )
    demo = verb("demo", "Run generated traffic through the configured flows, with failures, and show what came of it.")
    demo.add_argument("--flows", type=_count, default=1000, metavar="N", help="flows to start; default: 1000")
    demo.add_argument("--seed", type=int, default=1, metavar="S", help="the same seed, the same traffic; default: 1")
    demo.add_argument("--fast", action="store_true", help="gateways answer at once")
    publish = verb("publish", "Publish CloudEvents, one JSON object a line; publishing a file again accepts nothing.")
    publish.add_argument("file", metavar="FILE", help="the events, plain or gzip; - for standard input")
    publish.add_argument("--no-wait", action="store_true", help="do not wait for the flows' commands")
    _since(publish)
    new = verb("new", "Make a starter project: one flow, its test, its configuration.")
    new.add_argument("dir", metavar="DIR", help="a folder that is not there yet, or empty")


def _add_reading(verb: Callable[[str, str], Parser]) -> None:
    ls = verb("ls", "List flows; works beside a running owner.")
    ls.add_argument("search", nargs="*", metavar="SEARCH", help="as in process:order status:waiting age>1h key:42*")
    ls.add_argument("--process", metavar="NAME", help="only flows of this process, or aggregates of this name")
    ls.add_argument("--aggregates", action="store_true", help="aggregates in place of flows")
    ls.add_argument("--status", action="append", choices=_STATUSES, help="may be given several times")
    ls.add_argument("--outcome", metavar="NAME", help="only flows that ended like this")
    ls.add_argument("--key", metavar="KEY", help="only flows with this key")
    ls.add_argument("--prefix", metavar="TEXT", help="only flows whose key begins like this")
    ls.add_argument("--older-than", metavar="AGE", help="only flows that started longer ago: 90s, 15m, 2h, 3d, 1w")
    ls.add_argument("--limit", type=int, default=100, metavar="N", help="at most so many; 0 for all; default: 100")
    show = verb("show", "Show one flow: its events, steps, commands and timers, in order, with causes.")
    show.add_argument("flow", metavar="PROCESS/KEY", help="as `procession ls` shows it")
    show.add_argument("--at", type=_count, metavar="STEP", help="the state around the event of this step")
    show.add_argument("--mermaid", action="store_true", help="a sequence diagram as Mermaid text")
    backup = verb("backup", "Copy the journal into a new file, whole and synced; works beside a running owner.")
    backup.add_argument("target", metavar="TARGET", help="a file that is not there yet")
    verb("doctor", "Check the journal, the disk and the settings, and say how to mend what is wrong.")
    schemas = verb("schemas", "Print the schemas of the flows' events and commands, or write them beside the flows.")
    schemas.add_argument("modules", nargs="*", metavar="MODULE", help="default: those that the configuration names")
    schemas.add_argument("--format", choices=_FORMATS, default="list", help="default: list, one type a line")
    schemas.add_argument("--write", action="store_true", help="add what is new to schemas.json beside the modules")


def _add_archive(verb: Callable[[str, str], Parser]) -> None:
    archive = verb(
        "archive",
        "Move flows that ended long ago to compressed files beside the journal, where `show` still reads them.",
    )
    archive.add_argument("--older-than", metavar="AGE", help="flows that ended longer ago, e.g. 90d")
    archive.add_argument("--process", metavar="NAME", help="flows of this process only")
    archive.add_argument("--limit", type=_count, metavar="N", help="at most so many flows; default: all")
    archive.add_argument("--dry-run", action="store_true", help="count what would go, and change nothing")
    archive.add_argument("--compact", action="store_true", help="give the disk back what is free in the journal's file")
    archive.add_argument("--reason", default="", metavar="TEXT", help="why; stays in the journal")
    archive.add_argument("--by", metavar="NAME", help="who; default: you, at this host")


def _add_projections(verb: Callable[[str, str], Parser]) -> None:
    projections = verb(
        "projections",
        "List the projections of the configured modules, rebuild them beside whoever folds them, or compare them with a"
        " rebuild. Exit code 1 where one differs.",
    )
    projections.add_argument("act", choices=("ls", "rebuild", "verify"), help="what to do")
    projections.add_argument("projectors", nargs="*", metavar="PROJECTION", help="by name; default: all")
    projections.add_argument("--folder", metavar="DIR", help="where their stores lie; default: as configured")
    projections.add_argument("--reason", default="", metavar="TEXT", help="why it is rebuilt; stays in the journal")
    projections.add_argument("--by", metavar="NAME", help="who; default: you, at this host")


def _add_tasks(verb: Callable[[str, str], Parser]) -> None:
    everywhere = _everywhere()
    acts = verb("tasks", "List, show, claim and answer the tasks that flows ask people to do.").add_subparsers(
        dest="act", metavar="ACT", title="acts", required=True
    )

    def act(name: str, help_text: str) -> Parser:
        added: Parser = acts.add_parser(
            name, help=help_text, description=help_text, parents=[everywhere], allow_abbrev=False
        )
        if name != "ls":
            added.add_argument("task", metavar="TASK", help="its id, as `procession tasks ls` shows it")
        if name not in ("ls", "show"):
            added.add_argument("--by", metavar="NAME", help="who; default: you, at this host")
            added.add_argument(
                "--wait-s", type=float, default=5.0, metavar="S", help="how long to wait for what follows; default: 5"
            )
            _since(added)
        return added

    ls = act("ls", "List open tasks; works beside a running owner.")
    ls.add_argument("--assignee", metavar="NAME", help="only this person's")
    ls.add_argument("--group", action="append", metavar="NAME", help="and what anyone of this group may answer")
    ls.add_argument("--all", action="store_true", help="also those that were answered, lapsed or were cancelled")
    ls.add_argument("--limit", type=int, default=100, metavar="N", help="at most so many; 0 for all; default: 100")
    act("show", "Show one task: what is asked, of whom, until when; works beside a running owner.")
    answer = act("answer", "Answer a task; the fields are those of its form.")
    answer.add_argument("fields", nargs="*", metavar="FIELD=VALUE", help="text where the form wants text, else JSON")
    answer.add_argument("--data", metavar="JSON", help="the fields as one object")
    act("claim", "Take a task of a group.")
    reassign = act("reassign", "Give a task to somebody else.")
    reassign.add_argument("--to", metavar="NAME", help="a person")
    reassign.add_argument("--to-group", metavar="NAME", help="a group, of which anyone may answer")
    reassign.add_argument("--reason", default="", metavar="TEXT", help="why; stays in the journal")
    withdraw = act("cancel", "Withdraw a task: nobody can answer it any more.")
    withdraw.add_argument("--reason", required=True, metavar="TEXT", help="why; stays in the journal")


def _add_acts(verb: Callable[[str, str], Parser]) -> None:
    for name, help_text in (
        ("retry", "Run the event that a quarantined flow failed at again, or send one of its commands again."),
        ("skip", "Have a quarantined flow skip the event that it failed at."),
        ("release", "Have a quarantined flow run all its waiting events again, in order."),
        ("cancel", "Ask a flow to compensate and end; where it does not know how, it ends as cancelled."),
    ):
        act = verb(name, help_text)
        act.add_argument("flow", metavar="PROCESS/KEY", help="as `procession ls` shows it")
        act.add_argument("--reason", required=True, metavar="TEXT", help="why; stays in the journal")
        act.add_argument("--by", metavar="NAME", help="who; default: you, at this host")
        if name == "retry":
            act.add_argument("--command", metavar="ID", help="send this command of the flow again, under its id")
        if name == "cancel":
            act.add_argument("--force", action="store_true", help="end it as cancelled, without compensation")
        act.add_argument(
            "--wait-s", type=float, default=5.0, metavar="S", help="how long to wait for what follows; default: 5"
        )
        _since(act)

    for name, help_text in (
        ("pause", "Have the running owner begin no attempt at a gateway; commands wait and use no attempts."),
        ("resume", "Have the running owner go on with a gateway, or with a process that was paused by its failures."),
    ):
        act = verb(name, help_text)
        act.add_argument("name", metavar="NAME", help="of the gateway" + (" or process" if name == "resume" else ""))
        act.add_argument("--reason", required=True, metavar="TEXT", help="why; stays in the journal")
        act.add_argument("--by", metavar="NAME", help="who; default: you, at this host")


def _add_foreseeing(verb: Callable[[str, str], Parser]) -> None:
    rehearse = verb(
        "rehearse",
        "Replay every flow of a journal through the code at hand and say where it would ask for something else;"
        " works beside a running owner, calls no gateway. Exit code 1 where flows differ.",
    )
    rehearse.add_argument("--process", metavar="NAME", help="only flows of this process")
    rehearse.add_argument("--status", action="append", choices=_STATUSES, help="may be given several times")
    rehearse.add_argument(
        "--limit", type=int, default=0, metavar="N", help="at most so many flows, the oldest first; default: 0, all"
    )
    rehearse.add_argument(
        "--sample", type=_count, default=5, metavar="N", help="flows shown for each difference; default: 5"
    )
    why = verb("why", "Tell why a flow asked for a command or got an event: the chain of causes to the first event.")
    why.add_argument("flow", metavar="PROCESS/KEY", help="as `procession ls` shows it")
    why.add_argument(
        "what",
        metavar="COMMAND|EVENT",
        help="a type by its stored name or its class (the latest of that type), an id, or a position",
    )
    why_not = verb("why-not", "Tell what a flow waits for: commands, deadlines, events, repair; or how it ended.")
    why_not.add_argument("flow", metavar="PROCESS/KEY", help="as `procession ls` shows it")
    drawn = verb("map", "Draw flows, events, commands, gateways and deadlines as Mermaid, derived from the types.")
    drawn.add_argument("modules", nargs="*", metavar="MODULE", help="default: those that the settings name")
    drawn.add_argument("--process", action="append", metavar="NAME", help="only this one; may be given several times")


def _add_checks(verb: Callable[[str, str], Parser]) -> None:
    check = verb("check", "Check flows against the ten laws; exit code 1 where something is found.")
    check.add_argument(
        "modules", nargs="*", metavar="MODULE", help="a module or .py file; default: those that the configuration names"
    )
    check.add_argument(
        "--wiring", choices=("production", "testing"), default="production", help="which wiring; default: production"
    )
    check.add_argument(
        "--sarif", nargs="?", const="-", metavar="FILE", help="write SARIF 2.1.0 into FILE, or to standard output"
    )
    check.add_argument(
        "--shadow", metavar="JOURNAL", help="also run the turns of this journal again in other processes, and compare"
    )
    check.add_argument(
        "--limit", type=int, default=0, metavar="N", help="with --shadow: N flows of each process; default: all"
    )


def _add_exploring(verb: Callable[[str, str], Parser]) -> None:
    explore = verb(
        "explore",
        "Try every order of answers, deadlines, duplicates and late arrivals on the configured flows, with nothing"
        " running. Exit code 1 where something is found, or where a bound leaves a part unseen.",
    )
    explore.add_argument(
        "processes", nargs="*", metavar="PROCESS", help="by stored name or class, or MODULE:CLASS; default: all"
    )
    explore.add_argument(
        "--given-up", action=argparse.BooleanOptionalAction, default=True, help="let commands be given up; default: yes"
    )
    explore.add_argument(
        "--deadlines-at-end", action="store_true", help="a deadline that is armed when its flow ends is a finding"
    )
    for option, default, what in (
        ("--arrivals-max", 2, "events of each kind from outside, those after the first as duplicates"),
        ("--states-max", 100_000, "different standings of one flow"),
        ("--turns-max", 2_000_000, "turns"),
        ("--depth-max", 1_000, "things that happen to a flow, one after another"),
    ):
        explore.add_argument(
            option, type=_count, default=default, metavar="N", help=f"at most so many {what}; default: {default}"
        )


def _add_salvage(verb: Callable[[str, str], Parser]) -> None:
    salvage = verb(
        "salvage",
        "Read a damaged journal, which is not touched, and write every flow that is whole into a new one; list what is"
        " lost. Exit code 1 where something is.",
    )
    salvage.add_argument("source", metavar="SOURCE", help="the damaged journal; no process may own it")
    salvage.add_argument("target", metavar="TARGET", help="a file that is not there yet")


def _add_dashboard(verb: Callable[[str, str], Parser]) -> None:
    dashboard = verb(
        "dashboard",
        "Serve the web dashboard over a journal's file, read-only, with no runtime; beside a running owner, too. A"
        " running owner serves its own where http.bind is set.",
    )
    dashboard.add_argument("file", nargs="?", metavar="JOURNAL", help="default: as the configuration says")
    dashboard.add_argument(
        "--bind", default="127.0.0.1:0", metavar="ADDRESS", help="a loopback address and port; default: 127.0.0.1:0"
    )


def _since(verb: Parser) -> None:
    verb.add_argument(
        "--since",
        action="append",
        metavar="PROCESS=WHERE",
        help="for a process that is new to a journal with history: now, or a position (0: from the first event)",
    )


def _pause(text: str) -> float:
    seconds = float(text)
    if not _PAUSE_S_MIN <= seconds <= _PAUSE_S_MAX:
        raise argparse.ArgumentTypeError(f"{text} is not between {_PAUSE_S_MIN} and {_PAUSE_S_MAX:g} seconds")
    return seconds


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number
