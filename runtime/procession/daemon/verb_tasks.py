"""`procession tasks ls|show|answer|claim|reassign|cancel`: what there is to do for people, and their answers."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import trio

from procession.daemon.configuration import Configuration, configured, since_of
from procession.daemon.durations import human, now_us
from procession.daemon.exit_codes import UsageRefused
from procession.daemon.local_client import owner_of
from procession.daemon.output import Output
from procession.daemon.stopping import Stop, run_stoppable
from procession.daemon.task_acts import TaskAct, act_on_task, task_json
from procession.daemon.verb_repair import whoever
from procession.errors import NotFound
from procession.human.gateway import HumanTasks, desks_among
from procession.human.listing import TaskView, read_task, read_tasks
from procession.journal.sqlite_reader import read_sqlite
from procession.primitives.codec import from_json, to_json
from procession.primitives.wiring import Wiring
from procession.wiring import load_wiring, open_wired

_US = 1_000_000
_ALL = 1_000_000_000


def run(options: argparse.Namespace, output: Output) -> int:
    """List, show, or act on a task; those that act ask the running owner, or own the journal while they run."""
    configuration = configured(options)
    journal = configuration.existing_journal()
    wiring = load_wiring(configuration.settings)
    desks = desks_among(wiring.gateways)
    if not desks:
        raise UsageRefused("no gateway of the configured flows asks people", "name a module with a HumanTasks gateway")
    if options.act == "ls":
        return _list(options, output, journal, desks)
    if options.act == "show":
        _print(output, task_json(trio.run(_found, journal, desks, options.task)))
        return 0
    return run_stoppable(lambda stop: _act(options, output, configuration, wiring, stop))


def _list(options: argparse.Namespace, output: Output, journal: str, desks: Sequence[type[HumanTasks]]) -> int:
    tasks = trio.run(_read, journal, desks, options)
    asked_us = now_us()
    if output.as_json:
        output.json({"tasks": [task_json(task) for task in tasks]})
        return 0
    output.table(
        ("TASK", "STATUS", "FOR", "AGE", "DUE IN", "ASKED BY", "TITLE"), [_cells(task, asked_us) for task in tasks]
    )
    if not tasks:
        output.say("no task matches")
    return 0


async def _read(journal: str, desks: Sequence[type[HumanTasks]], options: argparse.Namespace) -> list[TaskView]:
    reader = await read_sqlite(journal)
    try:
        return await read_tasks(
            reader,
            _names(desks),
            assignee=options.assignee,
            groups=tuple(options.group or ()),
            state="all" if options.all else "open",
            limit=options.limit or _ALL,
        )
    finally:
        await reader.close()


async def _found(journal: str, desks: Sequence[type[HumanTasks]], task_id: str) -> TaskView:
    reader = await read_sqlite(journal)
    try:
        view = await read_task(reader, _names(desks), task_id)
    finally:
        await reader.close()
    if view is None:
        raise NotFound("task", task_id, "`procession tasks ls` shows what there is")
    return view


async def _act(
    options: argparse.Namespace, output: Output, configuration: Configuration, wiring: Wiring, stop: Stop
) -> int:
    desks = desks_among(wiring.gateways)
    act = _asked(options, await _found(configuration.existing_journal(), desks, options.task))
    owner = owner_of(configuration.journal)
    if owner is not None:
        _print(output, await stop.asking(lambda: owner.ask("task", **act.asked())))
        return 0
    since = since_of(options)
    async with open_wired(wiring, configuration.settings, since=since, injecting=False) as runtime:
        acted = await act_on_task(runtime, desks, act, stop.race)
    _print(output, acted)
    return stop.exit_code or 0


def _asked(options: argparse.Namespace, task: TaskView) -> TaskAct:
    """The act that the command line means; the fields of an answer are read as the task's form wants them."""
    return TaskAct(
        options.act,
        options.task,
        options.by or whoever(),
        getattr(options, "reason", ""),
        getattr(options, "to", None) or "",
        getattr(options, "to_group", None) or "",
        _fields(options, task) if options.act == "answer" else {},
        options.wait_s,
    )


def _fields(options: argparse.Namespace, task: TaskView) -> dict[str, object]:
    """What the command line says of the fields of the form.

    Raises:
        UsageRefused: it can't be read.
    """
    fields: dict[str, object] = {}
    if options.data is not None:
        try:
            fields = from_json(options.data)
        except ValueError as error:
            raise UsageRefused(f"--data is no JSON: {error}", "write an object, '{\"approved\": true}'") from error
        if not isinstance(fields, dict):
            raise UsageRefused("--data is no object", "write '{\"approved\": true}'")
    for text in options.fields:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageRefused(f"{text!r} names no field", f"write FIELD=VALUE; the form has {_form_names(task)}")
        fields[name] = _value(task.form["properties"].get(name, {}), value)
    return fields


def _value(wanted: Mapping[str, Any], text: str) -> object:
    """Text where the form wants text, else what it says as JSON; what is neither is text, and the form refuses it."""
    if wanted.get("type") == "string":
        return text
    try:
        return from_json(text)
    except ValueError:
        return text


def _form_names(task: TaskView) -> str:
    return ", ".join(task.form["properties"]) or "no fields"


def _names(desks: Sequence[type[HumanTasks]]) -> list[str]:
    return [desk.__gateway__.name for desk in desks]


def _cells(task: TaskView, asked_us: int) -> tuple[str, ...]:
    now_s = asked_us / _US
    due = "-" if task.deadline_at is None else human(max(0.0, task.deadline_at.timestamp() - now_s))
    age = human(max(0.0, now_s - task.asked_at.timestamp()))
    return (task.task_id, task.status, _whose(task.person, task.group), age, due, task.asked_by, task.title)


def _whose(person: str, group: str) -> str:
    return person or f"group {group}"


def _print(output: Output, task: Mapping[str, Any]) -> None:
    """One task for people, or as JSON."""
    if output.as_json:
        output.json(task)
        return
    settled = f" by {task['settled_by']}" if task["settled_by"] else ""
    rows = [
        ("task", task["task_id"]),
        ("title", task["title"]),
        ("description", task["description"] or "-"),
        ("status", f"{task['status']}{settled}"),
        ("for", _whose(task["person"], task["group"])),
        ("asked by", task["asked_by"]),
        ("asked at", task["asked_at"]),
        ("deadline", task["deadline_at"] or "-"),
    ]
    rows += [(name, to_json(value).decode()) for name, value in task["shown"].items()]
    if task["answer"] is None:
        rows += [(f"{name}=", _wanted(kind)) for name, kind in task["form"]["properties"].items()]
    else:
        rows += [(f"{name}=", to_json(value).decode()) for name, value in task["answer"].items()]
    output.pairs(rows)


def _wanted(kind: Mapping[str, Any]) -> str:
    """What a field of a form takes, in few words."""
    if "enum" in kind:
        return " or ".join(to_json(value).decode() for value in kind["enum"])
    return str(kind.get("type") or to_json(kind).decode())
