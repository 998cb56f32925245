"""A what-if: one flow's history with some events changed, inserted or dropped, run by folds and reactions alone.

The history as it was and as it is edited run side by side in a second process, which is ended where it takes too long.
Nothing that they ask for is done, and nothing is written.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import attrs
import trio

from procession.engine.envelopes import envelope_of, message_of
from procession.engine.shadow import Unshadowed, child_environment, child_folder, name_of
from procession.errors import InvalidKey, NotFound, ProcessionError
from procession.journal.journal import JournalReader
from procession.journal.rows import EventRow, FlowRow
from procession.primitives.codec import from_json, to_json
from procession.primitives.event import CommandGivenUp, CommandRefused, Event
from procession.primitives.registry import Registry
from procession.primitives.stored import stored_of
from procession.reading.timeline import effects_of
from procession.reading.what_if_answer import Edit, WhatIf
from procession.reading.what_if_compared import Place, compared
from procession.reading.what_if_job import Happened, Job, Played, Reply
from procession.search_errors import WhatIfRefused

Runs = Callable[[Job], Awaitable[Reply]]
BUDGET_S = 15.0
"""For the second process, its start among it; then it is ended."""
STEPS_MAX = 5_000
EDITS_MAX = 100
_TURNS_MAX = 10_000
_WAITING_MAX = 100
"""Events behind the last step that are tried, too: what a flow in quarantine waits with."""
_PAGE = 500


async def read_what_if(
    reader: JournalReader,
    registry: Registry,
    process: str,
    key: str,
    edits: Sequence[Edit],
    *,
    effects_max: int,
    runs: Runs | None = None,
) -> WhatIf:
    """What would have come of the edited history of a flow.

    Args:
        runs: runs both histories; default: a second process, which has `BUDGET_S`.

    Raises:
        NotFound: there is no such process or flow.
        WhatIfRefused: an edit does not fit the history, or the code gave no answer in time.
        PublishRefused: the data of an edit does not fit its type.

    Cancellation: ends the second process.
    """
    if process not in registry.processes:
        raise NotFound("process", process)
    row = (await reader.load(process, key, 0)).row
    if row is None:
        raise NotFound("flow", f"{process}/{key}")
    if row.version > STEPS_MAX:
        raise WhatIfRefused(f"the flow has {row.version} steps", f"a what-if takes one of {STEPS_MAX} at most")
    history = await _history(reader, row)
    edited = _Edited(registry, row, history).take(edits)
    try:
        job = Job(
            process=name_of(registry.processes[process].cls),
            key=key,
            journal_id=reader.id.hex(),
            histories=[[past.happened(registry) for past in history if not past.is_fact], edited.happened()],
            facts=[{}, edited.facts],
            effects_max=effects_max,
            turns_max=_TURNS_MAX,
        )
    except Unshadowed as error:
        raise WhatIfRefused(str(error), "a second process runs it, which imports the classes by their names") from None
    before, after = _played(await (runs or partial(second_process, budget_s=BUDGET_S))(job))
    return compared(f"{process}/{key}", before, after, edited.places, edited.causes)


async def second_process(job: Job, budget_s: float) -> Reply:
    """What comes of both histories, in a process of their own that is ended where it takes longer.

    Raises:
        WhatIfRefused: it gave no answer.
    """
    command = [sys.executable, "-m", "procession.reading.what_if_child"]
    answered: subprocess.CompletedProcess[bytes] | None = None
    with trio.move_on_after(budget_s):
        answered = await trio.run_process(
            command,
            stdin=to_json(job) + b"\n",
            capture_stdout=True,
            stderr=subprocess.DEVNULL,
            check=False,
            env=child_environment(1, os.environ),
            cwd=child_folder(),
            start_new_session=True,
            deliver_cancel=_kill,
        )
    if answered is None:
        raise WhatIfRefused(f"the code gave no answer within {budget_s:g} s", "see whether a handler goes on for ever")
    if answered.returncode or not answered.stdout:
        found = f"the process that ran the code ended with exit code {answered.returncode}"
        raise WhatIfRefused(found, "see whether a handler goes on for ever, or takes all memory")
    reply: Reply = from_json(answered.stdout)
    return reply


def _played(reply: Reply) -> tuple[Played, Played]:
    if "refused" in reply:
        raise WhatIfRefused(reply["refused"], "a second process must be able to run the code")
    before, after = reply["played"]
    return before, after


async def _kill(process: trio.Process) -> None:
    """It holds nothing that could be lost."""
    process.kill()
    await trio.lowlevel.checkpoint()


@attrs.frozen
class _Past:
    """One event of the history."""

    at: int
    row: EventRow
    is_fact: bool
    """A turn before it recorded it, so that the run makes it itself."""

    def happened(self, registry: Registry) -> Happened:
        """As the second process reads it: lifted to the newest type."""
        return _happened(self.row, message_of(registry, self.row), registry)


def _happened(row: EventRow, event: Event, registry: Registry) -> Happened:
    held: list[type] = [type(event.command)] if isinstance(event, CommandGivenUp | CommandRefused) else []
    if isinstance(event, CommandRefused):
        held.append(type(event.refusal))
    return Happened(
        id=row.id.hex(),
        event=name_of(type(event)),
        held=[name_of(cls) for cls in held],
        payload=registry.codec.encode(event).decode(),
        envelope=attrs.asdict(envelope_of(row)),
    )


async def _history(reader: JournalReader, row: FlowRow) -> list[_Past]:
    """The events that turns handled, in order, and those that wait behind them. Acts and skipped events had no turn."""
    found: list[_Past] = []
    recorded: set[str] = set()
    version = 0
    while page := await reader.steps(row.id, version, _PAGE):
        for stepped in page:
            version = stepped.step.version
            if stepped.step.outcome == "handled":
                found.append(_Past(version, stepped.event, stepped.event.id.hex() in recorded))
            recorded.update(effect["id"] for effect in effects_of(stepped.step) if "record" in effect)
    waiting = await reader.deliveries(row.id, 0, _WAITING_MAX, ("pending", "waiting", "quarantined"))
    found += [
        _Past(version + number, held.event, held.event.id.hex() in recorded) for number, held in enumerate(waiting, 1)
    ]
    return found


class _Edited:
    """A history, and the edits that were made of it."""

    def __init__(self, registry: Registry, row: FlowRow, history: Sequence[_Past]) -> None:
        self._registry = registry
        self._row = row
        self._history = {past.at: past for past in history}
        self._changed: dict[int, Happened | None] = {}
        """By version; None: it is dropped."""
        self._inserted: dict[int, list[Happened]] = {}
        self.facts: dict[str, Happened | None] = {}
        self.places: dict[str, Place] = {past.row.id.hex(): Place(past.at, "") for past in history}
        self.causes: dict[str, str] = {
            past.row.id.hex(): past.row.caused_by.hex() for past in history if past.row.caused_by is not None
        }

    def take(self, edits: Sequence[Edit]) -> _Edited:
        """Make these edits, all at once; returns itself.

        Raises:
            WhatIfRefused: one does not fit the history; PublishRefused: its data does not fit its type.
        """
        if not 1 <= len(edits) <= EDITS_MAX:
            raise WhatIfRefused(f"there are {len(edits)} edits", f"give 1 to {EDITS_MAX}")
        for number, edit in enumerate(edits):
            if edit.kind == "insert":
                self._insert(number, edit)
            else:
                self._change(edit)
        return self

    def happened(self) -> list[Happened]:
        """The edited history; of facts, the run makes those that are left."""
        found: list[Happened] = []
        for at in sorted({*self._history, *self._inserted}):
            found += self._inserted.get(at, ())
            past = self._history.get(at)
            if past is None or past.is_fact:
                continue
            happened = self._changed[at] if at in self._changed else past.happened(self._registry)
            if happened is not None:
                found.append(happened)
        return found

    def _change(self, edit: Edit) -> None:
        past = self._history.get(edit.at)
        if past is None or edit.at in self._changed:
            found = f"there is no turn at {edit.at}" if past is None else f"the event at {edit.at} is edited twice"
            raise WhatIfRefused(found, f"edit each of {self._versions()} once")
        changed = None
        if edit.kind == "change":
            changed = self._made(edit, past.row, edit.type or past.row.type)
        identity = past.row.id.hex()
        self._changed[edit.at] = changed
        self.places[identity] = Place(edit.at, "dropped" if changed is None else "changed")
        if past.is_fact:
            self.facts[identity] = changed

    def _insert(self, number: int, edit: Edit) -> None:
        last = max(self._history, default=0)
        if edit.type is None:
            raise WhatIfRefused(f"the event to insert at {edit.at} has no type", "give its stored name")
        if not 1 <= edit.at <= last + 1 or not self._history:
            raise WhatIfRefused(f"nothing can be inserted at {edit.at}", f"give 1 to {last + 1}")
        beside = self._history[min(self._history, key=lambda at: (abs(at - edit.at), at))].row
        row = beside._replace(
            id=number.to_bytes(16), source=None, source_id=None, caused_by=None, keys=self._keys(), correlation=None
        )
        happened = self._made(edit, row, edit.type)
        self._inserted.setdefault(edit.at, []).append(happened)
        self.places[happened["id"]] = Place(edit.at, "inserted")

    def _made(self, edit: Edit, row: EventRow, kind: str) -> Happened:
        """The event of an edit, in the place of a row."""
        cls = self._registry.event_class(kind)
        data = from_json(row.payload) if edit.data is None and edit.type is None else edit.data
        event = self._registry.lifted(self._registry.codec.structure(cls, {} if data is None else data))
        definition = self._registry.processes[self._row.process]
        stored = stored_of(type(event))
        try:
            keys = definition.keys(event) if type(event) in definition.concerned else (self._row.key,)
        except (InvalidKey, ProcessionError) as error:
            raise WhatIfRefused(str(error), "give it the key of the flow") from None
        if self._row.key not in keys:
            found = f"{stored.name} names {', '.join(keys) or 'no flow'}, not {self._row.key}"
            raise WhatIfRefused(found, "give it the key of the flow")
        return _happened(row._replace(type=stored.name, version=stored.version), event, self._registry)

    def _keys(self) -> str:
        return to_json({self._row.process: [self._row.key]}).decode()

    def _versions(self) -> str:
        shown = sorted(self._history)
        return f"{shown[0]} to {shown[-1]}" if shown else "no event, for it handled none"
