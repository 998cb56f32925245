"""A runtime in which everything fails that can, and all that is shown of it, each thing under its name."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import traceback
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import trio

from procession import Runtime, Settings, Tasks
from procession.daemon.log_lines import JsonLines
from procession.settings import JournalSettings, PuritySettings
from procession.wiring import open_wired
from tests.daemon.http.served import Served, cloud_event, serving
from tests.daemon.http.test_stream import listening
from tests.daemon.inside import run_inside
from tests.secrecy.vault import (
    CARD,
    IBAN,
    ORDERS,
    PIN,
    AskPin,
    CardGiven,
    CardKept,
    Clerks,
    Holder,
    KeepCard,
    PinAsked,
    Purchase,
    given,
    wire_production,
)

MODULE = "tests.secrecy.vault"
Said = dict[str, str]


def settings_in(folder: Path) -> Settings:
    """The settings of the run."""
    return Settings(
        journal=JournalSettings(path=str(folder / "journal.db")),
        modules=(MODULE,),
        purity=PuritySettings(guard="raise"),
    )


@contextlib.contextmanager
def logged() -> Iterator[io.StringIO]:
    """All that is logged meanwhile, from DEBUG on, as the daemon writes it: with tracebacks."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield stream
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


async def run_through(folder: Path) -> Said:
    """Let all of it happen, and collect what errors, what is asked for in code, and HTTP say."""
    said: Said = {}
    settings = settings_in(folder)
    with logged() as log:
        async with open_wired(wire_production(settings), settings) as runtime, serving(runtime) as http:
            for order in ORDERS:
                await runtime.publish(given(order), id=order, source="test")
            await runtime.drain()
            await _refused(runtime, said)
            await _asked_of_people(runtime, said)
            await runtime.drain()
            await _over_http(http, said)
            said["counters"] = repr(runtime.counters())
            said["projections"] = repr(runtime.projections())
            for order in ORDERS:
                flow = runtime.flow(Purchase, order)
                said[f"why not {order}"] = repr(await flow.why_not())
                said[f"why {order}"] = repr(await flow.why("purchase.card_given"))
            said["events"] = repr(await runtime.events(limit=100))
    said["log"] = log.getvalue()
    return said


async def _refused(runtime: Runtime, said: Said) -> None:
    """What is sent in vain, told with its whole traceback."""
    await runtime.send(KeepCard("full", CARD))
    said["refusal"] = repr(await runtime.send(KeepCard("full", CARD)))
    misfit = CardGiven("misfit", CARD.encode(), Holder("ann", IBAN))  # type: ignore[arg-type]  # it is to be refused
    nested = CardGiven("misfit", CARD, Holder("ann", [IBAN]))  # type: ignore[arg-type]  # as above
    for name, act in (
        ("decision", lambda: runtime.send(KeepCard("raises", CARD))),
        ("misfit", lambda: runtime.publish(misfit)),
        ("nested misfit", lambda: runtime.publish(nested)),
        ("reused id", lambda: runtime.publish(CardKept("v", PIN), id="well", source="test")),
    ):
        said[name] = await _raised(act)


async def _asked_of_people(runtime: Runtime, said: Said) -> None:
    tasks = Tasks(runtime, Clerks)
    await runtime.publish(PinAsked("pending"))
    await runtime.drain()
    (task,) = await tasks.open()
    said["task"] = repr(task)
    said["bad answer"] = await _raised(lambda: tasks.answer(task.task_id, by="bob", pin=[PIN], remark="fine"))
    await tasks.answer(task.task_id, by="bob", pin=PIN, remark="fine")
    said["answered task"] = repr(await tasks.show(task.task_id))
    said["command"] = repr(AskPin("pending", CARD))


async def _raised(act: Callable[[], Awaitable[object]]) -> str:
    try:
        await act()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is looked at
        return "".join(traceback.format_exception(error))
    raise AssertionError("it went well")


async def _over_http(http: Served, said: Said) -> None:
    paths = ["/v1/events?limit=500", "/v1/flows", "/v1/gateways", "/v1/projections", "/livez", "/readyz", "/metrics"]
    for order in ORDERS:
        flow = f"/v1/flows/purchase/{order}"
        paths += [flow, f"{flow}/history", f"{flow}/why-not", f"{flow}/why?what=purchase.card_given"]
        paths += [f"{flow}/why?what=purchase.charge"]
        paths += [f"{flow}/states", f"{flow}/states?at=1", f"{flow}/sequence", f"{flow}/sequence?format=svg"]
        paths += [f"{flow}/sequence?format=mermaid"]
    paths += ["/v1/search", "/v1/search/complete?q=key:", "/v1/processes/purchase/diagram"]
    for path in paths:
        said[f"GET {path}"] = (await http.client.get(path)).text
    bad: dict[str, object] = {"order": "x", "card": [CARD], "holder": {"name": 7, "iban": [IBAN]}}
    posts = [
        ("/v1/events", cloud_event("purchase.card_given", "bad", bad)),
        ("/v1/events", cloud_event("vault.card_kept", "well", {"vault": "v", "card": PIN})),
        ("/v1/commands/vault.keep_card", {"data": {"vault": "full", "card": CARD}}),
        ("/v1/commands/vault.keep_card", {"data": {"vault": "http", "card": CARD}}),
        ("/v1/commands/vault.keep_card", {"data": {"vault": "raises", "card": CARD}}),
        ("/v1/commands/vault.keep_card", {"data": {"vault": "http", "card": [CARD]}}),
        ("/v1/commands/vault.keep_card", {"data": CARD}),
        ("/v1/flows/purchase/raises/retry", {"by": "ann", "why": "again"}),
    ]
    for number, (path, body) in enumerate(posts):
        kind = "application/cloudevents+json" if path == "/v1/events" else "application/json"
        answer = await http.client.post(path, content=json.dumps(body), headers={"Content-Type": kind})
        said[f"POST {path} {number}"] = f"{answer.status_code} {answer.text}"
    async with listening(http, "?after=0") as events:
        with trio.fail_after(30):
            said["stream"] = repr([await anext(events) for _ in range(http.runtime.position)])


FEW_VERBS: list[tuple[str, ...]] = [
    ("ls",),
    ("show", "purchase/raises"),
    ("show", "purchase/pending"),
    ("why", "purchase/well", "purchase.charge"),
    ("tasks", "ls", "--all"),
]


def verbs() -> list[tuple[str, ...]]:
    """Every verb that shows something of a journal or of its flows."""
    found: list[tuple[str, ...]] = [("ls",), ("doctor",), ("check",), ("map",), ("schemas",), ("tasks", "ls", "--all")]
    found += [("rehearse",), ("explore", "purchase"), ("projections", "ls"), ("schemas", "--format", "linkml")]
    found += [("show", "purchase/raises", "--at", "1"), ("show", "purchase/well", "--mermaid")]
    found += [("schemas", "--format", "jsonschema"), ("archive", "--older-than", "0s")]
    for order in ORDERS:
        flow = f"purchase/{order}"
        found += [("show", flow), ("why", flow, "purchase.card_given"), ("why-not", flow)]
    return found


def from_the_command_line(folder: Path, asked: list[tuple[str, ...]]) -> Said:
    """What verbs say, for people and as JSON."""
    config = folder / "procession.toml"
    config.write_text(f'modules = ["{MODULE}"]\n[journal]\npath = "{folder / "journal.db"}"\n', "utf-8")
    said: Said = {}
    for verb in asked:
        for form in ((), ("--json",)):
            done = run_inside(*verb, "--config", config, *form, cwd=folder)
            said[" ".join((*verb, *form))] = f"{done.code} {done.out} {done.err}"
    return said
