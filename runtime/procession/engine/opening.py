"""Before anything runs: does the journal know these classes, and do these classes know the journal?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import attrs

from procession.engine.envelopes import message_of
from procession.errors import InvalidKey, ProcessionError, SchemaChanged, UnknownInJournal, WiringError
from procession.journal.journal import Journal, JournalReader
from procession.journal.rows import Commit, ConcernRow, DeliveryRow, EventRow, FlowRow, Heads, TypeRow, UnhandledRow
from procession.laws.schema_difference import changed_cure, differences, first_differences, in_words
from procession.laws.secret_marks import MARK, missing_marks
from procession.primitives.codec import from_json
from procession.primitives.definition import Definition
from procession.primitives.event import GENERIC
from procession.primitives.registry import Registry
from procession.primitives.schema import first_shape_of, is_first_shape, schema_of, shape_of
from procession.primitives.stored import stored_of

Since = Literal["now"] | int
AGGREGATE = "aggregate"
"""Kind of the type row that says that a name is an aggregate's."""
_PAGE = 1000
_SHOWN_MAX = 5


@attrs.frozen
class Opening:
    """What a journal does not know yet, once it is known that it fits."""

    types: tuple[TypeRow, ...]
    starts: Mapping[tuple[str, str], int]
    """(process, event type) -> the position from which on it is concerned."""
    heads: Heads


async def check(journal: JournalReader, registry: Registry, since: Mapping[str, Since]) -> Opening:
    """Refuse what does not fit, before anything is written.

    Args:
        since: for processes (by stored name) that this journal does not know, or that are newly concerned by
            types: from where on. Needed only where there is history.

    Raises:
        SchemaChanged: a class has another shape than the journal knows under its name and version.
        UnknownInJournal: something open needs a type or process that is not registered.
        WiringError: a process is new to a journal that has events, and does not say since when.
    """
    known = await journal.types()
    new_types = _new_types(registry, known)
    await _check_in_use(journal, registry)
    heads = await journal.heads()
    concerns = {(row.process, row.type): row.since for row in await journal.concerns()}
    new_types += missing_marks(_messages(registry), known)
    new_types += _new_aggregates(registry, known, {process for process, _ in concerns})
    starts = _new_concerns(registry, concerns, since, heads.position)
    _check_archived(starts, heads)
    return Opening(tuple(new_types), starts, heads)


async def record(journal: Journal, registry: Registry, opening: Opening, now_us: int) -> None:
    """Write down what the journal does not know yet; nobody has written to it since it was checked."""
    heads = opening.heads
    commit = Commit()
    commit.types.extend(opening.types)
    commit.concerns.extend(ConcernRow(process, event, start) for (process, event), start in opening.starts.items())
    history = {name: start for name, start in opening.starts.items() if start < heads.position}
    if commit:
        if history:
            await _Backfill(journal, registry, history, heads.flow, now_us).run(commit, heads.position)
        else:
            await journal.commit(commit)


def _new_types(registry: Registry, known: Iterable[TypeRow]) -> list[TypeRow]:
    recorded = {(family_of(row.kind), row.name, row.version): row for row in known}
    found: list[TypeRow] = []
    for cls in _messages(registry):
        if cls in GENERIC:
            continue
        stored = stored_of(cls)
        old = recorded.get((family_of(stored.kind), stored.name, stored.version))
        if old is None:
            found.append(TypeRow(stored.name, stored.version, stored.kind, shape_of(cls)))
            continue
        try:
            changes = _changes(old, cls)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise SchemaChanged(
                f"what the journal has as the shape of {stored.name!r} version {stored.version} is none",
                "ask `procession doctor` for damage, and restore a backup",
            ) from error
        if changes:
            raise SchemaChanged(
                f"{stored.site}: {cls.__name__} is stored as {stored.name!r} version {stored.version} with another"
                f" shape: {in_words(changes)}",
                changed_cure(stored, max(row.version for row in recorded.values() if row.name == stored.name)),
            )
    return found


def _messages(registry: Registry) -> tuple[type, ...]:
    return (*registry.events.values(), *registry.commands.values(), *registry.refusals.values())


def _new_aggregates(registry: Registry, types: Iterable[TypeRow], processes: set[str]) -> list[TypeRow]:
    """The names of aggregates, written down so that whoever reads the journal tells them from processes.

    Raises:
        WiringError: a name was that of a process, or of an aggregate, and is the other now.
    """
    known = {row.name for row in types if row.kind == AGGREGATE}
    for name in sorted((registry.aggregates.keys() & processes) | (registry.processes.keys() & known)):
        was, now = ("an aggregate", "a process") if name in known else ("a process", "an aggregate")
        raise WiringError(f"{name!r} is {was} in the journal, and {now} here", f"give {now} a name of its own")
    return [TypeRow(name, 1, AGGREGATE, "{}") for name in registry.aggregates if name not in known]


def _changes(old: TypeRow, cls: type) -> tuple[str, ...]:
    kind = stored_of(cls).kind
    changes = () if old.kind == kind else (f"it was a kind of {old.kind} and is a kind of {kind}",)
    if is_first_shape(old.shape):
        return (*changes, *first_differences(from_json(old.shape), from_json(first_shape_of(cls))))
    return (*changes, *differences(from_json(old.shape), schema_of(cls)))


async def _check_in_use(journal: JournalReader, registry: Registry) -> None:
    recorded = [(family_of(row.kind), row.name, row.version) for row in await journal.types()]
    recorded += [("flow", row.process, 0) for row in await journal.concerns()]
    if all(_is_known(registry, *used) for used in recorded):
        return  # all that it ever held is known, so what is in use is: finding that out reads every open flow
    missing = []
    for used in await journal.types_in_use():
        if not _is_known(registry, used.kind, used.name, used.version):
            version = "" if used.kind == "flow" else f" version {used.version}"
            missing.append(f"{used.count} {_USES[used.kind]} {used.name!r}{version}")
    if missing:
        shown = ", ".join(missing[:_SHOWN_MAX]) + (", …" if len(missing) > _SHOWN_MAX else "")
        raise UnknownInJournal(
            f"the journal has {shown}, which this runtime does not know",
            "give it the process, gateway or event class of that name, or a lift from that event type;"
            " nothing was written",
        )


def _is_known(registry: Registry, kind: str, name: str, version: int) -> bool:
    if kind == "command":
        cls = registry.commands.get(name)
        return cls is not None and registry.takes(cls) and stored_of(cls).version == version
    if kind == "flow":
        return name in registry.processes or name in registry.aggregates
    if kind == "refusal":
        return True  # no open work needs one: what holds it was handled, or is read when its flow is repaired
    if kind == MARK:
        return True  # it says only what is not to be shown
    if kind == AGGREGATE:
        return name in registry.aggregates
    return (name, version) in registry.events


def family_of(kind: str) -> str:
    """Stored names are told apart by it: a failure is an event."""
    return kind if kind in ("command", "refusal", AGGREGATE, MARK) else "event"


def _new_concerns(
    registry: Registry, known: Mapping[tuple[str, str], int], since: Mapping[str, Since], position: int
) -> dict[tuple[str, str], int]:
    for name in since:
        if name not in registry.processes:
            raise WiringError(f"since names the process {name!r}, which is not given", "name one of the processes")
    starts: dict[tuple[str, str], int] = {}
    for definition in registry.processes.values():
        types = [event for newest in definition.concerned for event in (newest, *registry.chains.older(newest))]
        names = sorted({stored_of(event).name for event in types})
        fresh = [name for name in names if (definition.name, name) not in known]
        if not fresh:
            continue
        if position and definition.name not in since:
            raise WiringError(
                f"the journal has {position} events, and process {definition.name!r} was never concerned by"
                f" {', '.join(fresh[:_SHOWN_MAX])}",
                f'say from where on: since={{"{definition.name}": "now"}}, or a position, or 0 for all history',
            )
        start = since.get(definition.name, 0)
        for name in fresh:
            starts[definition.name, name] = position if start == "now" else start
    return starts


def _check_archived(starts: Mapping[tuple[str, str], int], heads: Heads) -> None:
    for (process, event), start in starts.items():
        if start < heads.archived:
            raise WiringError(
                f"process {process!r} is to be concerned by {event!r} from position {start} on, and events up to"
                f" {heads.archived} were archived: no flow is given them any more",
                f'say since={{"{process}": {heads.archived}}} or later, or "now"',
            )


@attrs.define
class _Backfill:
    """Deliveries for a process that is concerned by history: one transaction, so it is all there or not at all."""

    journal: Journal
    registry: Registry
    starts: dict[tuple[str, str], int]
    flow: int
    now_us: int
    rows: dict[tuple[str, str], int] = attrs.field(factory=dict)

    async def run(self, commit: Commit, until: int) -> None:
        """Read the history of the types concerned, and give each event its delivery rows."""
        position = min(self.starts.values())
        types = sorted({event for _, event in self.starts})
        while True:
            page = await self.journal.events(position, _PAGE, types, until)
            for row in page:
                await self._deliver(commit, row)
            if len(page) < _PAGE:
                break
            position = page[-1].position
        await self.journal.commit(commit)

    async def _deliver(self, commit: Commit, row: EventRow) -> None:
        for definition in self.registry.processes.values():
            start = self.starts.get((definition.name, row.type))
            if start is None or row.position <= start:
                continue
            try:
                event = message_of(self.registry, row)
                keys = definition.keys(event) if type(event) in definition.concerned else ()
            except (InvalidKey, ProcessionError):
                commit.unhandled.append(UnhandledRow(row.position, definition.name, "", "unroutable"))
                continue
            for key in keys:
                flow = await self._flow(commit, definition, key)
                commit.deliveries[flow, row.position] = DeliveryRow(flow, row.position, "pending", None, 0)

    async def _flow(self, commit: Commit, definition: Definition, key: str) -> int:
        name = (definition.name, key)
        if name not in self.rows:
            found = (await self.journal.look_up((), (name,))).flows.get(name)
            if found is None:
                self.flow += 1
                self.rows[name] = self.flow
                row = FlowRow(self.flow, *name, 0, "unstarted", None, None, 0, self.now_us)
                commit.flows[self.flow] = row
            else:
                self.rows[name] = found.id
        return self.rows[name]


_USES = {
    "command": "open commands of type",
    "timer": "open deadlines of type",
    "delivery": "open deliveries of type",
    "flow": "unfinished flows of process",
    "step": "steps of live flows of type",
}
