"""The state of a flow as it was around one of its events, folded from its history. Runs folds only, changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from procession.engine.envelopes import message_of, time_of
from procession.engine.turn import TurnFailed, fold
from procession.errors import NotFound, ProcessionError
from procession.journal.journal import JournalReader
from procession.journal.rows import Delivered, EventRow, FlowRow, SnapshotRow, Stepped
from procession.journal.snapshot_seal import is_of
from procession.laws.secret_marks import Marks, missing_marks
from procession.primitives.codec import from_json
from procession.primitives.definition import Definition
from procession.primitives.process import ProcessManager
from procession.primitives.registry import Registry
from procession.primitives.secrecy import Secrecy, masked_data, plan_of
from procession.reading.flow_states import StateAt, StateChange, StepFate

CHANGES_MAX = 200
_PAGE = 200
"""Steps that are folded without a checkpoint."""
_LACKS = object()


async def read_state(reader: JournalReader, registry: Registry, process: str, key: str, at: int | None) -> StateAt:
    """A flow's state before and after its event `at`, or its last one, with what is secret masked.

    Raises:
        NotFound: there is no such process, flow or event.
    """
    if process not in registry.processes:
        raise NotFound("process", process)
    loaded = await reader.load(process, key, 0)
    if loaded.row is None:
        raise NotFound("flow", f"{process}/{key}")
    heads = await reader.deliveries(loaded.row.id, 0, 1, ("pending", "waiting", "quarantined"))
    last, head = loaded.row.version, heads[0] if heads else None
    wanted = (last or 1) if at is None else at
    if not 1 <= wanted <= last + (head is not None):
        raise NotFound("step", f"{wanted} of {process}/{key}", f"it has {last} and {len(heads)} that it waits with")
    marks = Marks.of([*await reader.types(), *missing_marks(registry.events.values(), ())])
    past = _Past(registry, registry.processes[process], loaded.row, marks)
    past.begin(loaded.snapshot, wanted)
    stepped = await past.fold_until(reader, wanted)
    if stepped is not None:
        fate, handler = stepped.step.outcome, stepped.step.name
        return past.shown(wanted, head, stepped.event, fate, handler)
    assert head is not None, "what no step handled is the first that waits"
    return past.shown(wanted, head, head.event, head.row.state, "")


def changes_between(before: object, after: object, secrecy: Secrecy) -> tuple[tuple[StateChange, ...], int]:
    """The places at which two states differ, as JSON; and how many more there are.

    Args:
        secrecy: what of them is secret: that it differs is told, and not what it is.
    """
    found = list(_changes("$", before, after, secrecy))
    return tuple(found[:CHANGES_MAX]), max(0, len(found) - CHANGES_MAX)


def _changes(path: str, before: Any, after: Any, secrecy: Secrecy) -> Iterator[StateChange]:  # noqa: ANN401 - JSON
    if before is _LACKS:
        yield StateChange(path, "added", None, masked_data(after, secrecy))
    elif after is _LACKS:
        yield StateChange(path, "removed", masked_data(before, secrecy), None)
    elif isinstance(before, dict) and isinstance(after, dict) and secrecy is not True:
        for name in {**before, **after}:
            inner = f"{path}.{name}" if name.isidentifier() else f"{path}[{name!r}]"
            hidden = secrecy.get(name, False) if secrecy else False
            yield from _changes(inner, before.get(name, _LACKS), after.get(name, _LACKS), hidden)
    elif isinstance(before, list) and isinstance(after, list) and secrecy is not True:
        for index in range(max(len(before), len(after))):
            pair = [side[index] if index < len(side) else _LACKS for side in (before, after)]
            yield from _changes(f"{path}[{index}]", pair[0], pair[1], secrecy)
    elif before != after or type(before) is not type(after):
        yield StateChange(path, "changed", masked_data(before, secrecy), masked_data(after, secrecy))


@attrs.define(eq=False)
class _Past:
    """A flow on its way from its start to the event that is asked about."""

    registry: Registry
    definition: Definition
    row: FlowRow
    marks: Marks
    version: int = 0
    """Of the last step that is folded."""
    state: ProcessManager | None = None
    """None: it can't be folded any more."""
    failure: str = ""

    def begin(self, snapshot: SnapshotRow | None, until: int) -> None:
        """From a snapshot that was taken before the event, where there is one and it fits; else from nothing."""
        self.state = self.definition.cls()
        if snapshot is None or snapshot.version >= until:
            return
        if not is_of(snapshot, self.registry.fingerprints[self.row.process]):
            return
        try:
            self.state = self.registry.codec.state_from_json(self.definition.cls, snapshot.state)
        except ProcessionError:
            return  # a cache that can't be read is no fault: the steps are the truth
        self.version = snapshot.version

    async def fold_until(self, reader: JournalReader, until: int) -> Stepped | None:
        """Fold all steps before one; returns that one, or None where it is not there yet."""
        while True:
            page = await reader.steps(self.row.id, self.version, min(_PAGE, until - self.version))
            for stepped in page:
                if stepped.step.version == until:
                    return stepped
                if stepped.step.outcome == "handled":
                    self._fold(stepped.event)
                self.version = stepped.step.version
            if not page:
                return None

    def shown(self, at: int, head: Delivered | None, event: EventRow, fate: StepFate, handler: str) -> StateAt:
        """The answer: the event is folded now, where it was or will be."""
        before = self._json()
        if fate not in ("skipped", "act"):
            self._fold(event)
        after = self._json()
        plan = plan_of(self.definition.cls)
        changes, left_out = ((), 0) if before is None or after is None else changes_between(before, after, plan)
        return StateAt(
            flow=f"{self.row.process}/{self.row.key}",
            at=at,
            last=self.row.version,
            waiting=head is not None,
            position=event.position,
            type=event.type,
            version=event.version,
            recorded_at=time_of(event.recorded_us),
            data=from_json(self.marks.event(event).payload),
            fate=fate,
            handler=handler,
            before=masked_data(before, plan),
            after=masked_data(after, plan),
            changes=changes,
            changes_left_out=left_out,
            failure=self.failure,
        )

    def _fold(self, row: EventRow) -> None:
        if self.state is None:
            return
        try:
            event = message_of(self.registry, row)
            self.state = fold(self.definition.reaction(event), self.state, event)
        except TurnFailed as error:
            self._lose(f"the fold {error.handler} of event {row.position} fails: {error.found}")
        except ProcessionError as error:
            self._lose(f"event {row.position} can't be read: {error}")

    def _lose(self, why: str) -> None:
        self.state, self.failure = None, why

    def _json(self) -> Any:  # noqa: ANN401 - JSON
        if self.state is None:
            return None
        try:
            return from_json(self.registry.codec.state_to_json(self.state))
        except ProcessionError as error:
            self.failure = str(error)
            return None
