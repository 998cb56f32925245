"""What a journal stores, row by row, and what one commit holds. Plain tuples: they go to the store as they are."""

from __future__ import annotations

from typing import Literal, NamedTuple

import attrs

from procession.journal.flow_match import Match

FlowStatus = Literal["unstarted", "active", "quarantined", "ended", "cancelled"]
StepOutcome = Literal["handled", "skipped", "act"]
CommandState = Literal["open", "answered", "refused", "given_up", "cancelled"]
"""`refused`: an aggregate said no; its flow was told."""
DeliveryState = Literal["pending", "waiting", "quarantined"]
UnhandledReason = Literal[
    "late",
    "missing",
    "already_started",
    "after_end",
    "unroutable",
    "withdrawn",
    "ignored",
    "late_answer",
    "alert",
    "lost",
]
"""`alert`: it tells of the flow, which does not handle it. `lost`: a salvage could not prove what became of it."""


class EventRow(NamedTuple):
    """An accepted event. Never changed, never deleted; it may go to an archive."""

    position: int
    id: bytes
    """16 bytes, time-ordered (UUIDv7, or derived from the id of what caused it)."""
    source: str | None
    """CloudEvents source of an outside event; None for what this runtime made (answers, deadlines, acts)."""
    source_id: str | None
    """CloudEvents id; unique within its source. None where the publisher gave none."""
    digest: bytes | None
    """16 bytes over type and data, only beside a source_id: tells a duplicate from a reused id."""
    type: str
    version: int
    payload: str
    """JSON text."""
    keys: str
    """The routing, decided at acceptance: JSON `{"process": ["key", ...]}`."""
    caused_by: bytes | None
    """Id of the command or timer or event that led to this; None for outside events."""
    correlation: bytes | None
    """Id of the first event of the chain; None where that is the event itself."""
    recorded_us: int
    """Admission time, microseconds since 1970 in UTC."""
    trace: str | None
    """W3C traceparent, where there is one."""


class StepRow(NamedTuple):
    """What a turn left. Never changed, never deleted; unique by (flow, version) and by (flow, position)."""

    flow: int
    version: int
    """1, 2, 3 … without a gap."""
    position: int
    """The event that was handled."""
    outcome: StepOutcome
    name: str
    """The handler's name, for timelines."""
    effects: str | None
    """JSON list of effects, or None where there are none."""


class FlowRow(NamedTuple):
    """Where one flow stands."""

    id: int
    process: str
    key: str
    version: int
    status: FlowStatus
    outcome: str | None
    """How it ended; None while it runs."""
    reason: str | None
    """Why it is in quarantine; None else."""
    started_us: int
    updated_us: int


class CommandRow(NamedTuple):
    """A command of a step: its data stands in the step's effects at `idx`."""

    seq: int
    id: bytes
    flow: int
    position: int
    """Of the event whose turn yielded it; with `flow` this names the step."""
    idx: int
    """Index in the step's effects."""
    type: str
    gateway: str
    state: CommandState
    attempts: int
    due_us: int
    """No attempt begins before."""
    log: str | None
    """JSON list of attempts that failed: `[{"n": 1, "at_us": …, "found": "…"}]`."""


class CommandChange(NamedTuple):
    """Compare-and-set of a command: applied only where its state is still that of `row`."""

    row: CommandRow
    """As it was known; what is not changed must be what is stored."""
    state: CommandState
    attempts: int
    due_us: int
    log: str | None


class TimerRow(NamedTuple):
    """An armed timer; unique by (flow, name). Its row goes when it fires or is cancelled."""

    flow: int
    name: str
    id: bytes
    due_us: int
    type: str
    version: int
    payload: str
    correlation: bytes | None


class DeliveryRow(NamedTuple):
    """An event that a flow has not handled yet; unique by (flow, position)."""

    flow: int
    position: int
    state: DeliveryState
    timer: str | None
    """Name of the timer whose deadline this is, so that `cancel` can withdraw it."""
    marked: int
    """1 while a careful start runs it: what is still marked after a crash killed the process."""


class UnhandledRow(NamedTuple):
    """An event that a process saw and no turn handled, with the reason. Recorded, countable, never silent."""

    position: int
    process: str
    key: str
    reason: UnhandledReason


class SnapshotRow(NamedTuple):
    """A cache of a durable version; thrown away when the fingerprint differs."""

    flow: int
    version: int
    fingerprint: str
    state: str


class TypeRow(NamedTuple):
    """A stored name as the journal first saw it."""

    name: str
    version: int
    kind: str
    """`event`, `failure`, `command`, `refusal`; `aggregate`, whose name it is; or `secret`, a field that is marked."""
    shape: str
    """JSON of the fields, in order; of an aggregate, none; of a mark, of what it is."""


class ConcernRow(NamedTuple):
    """From which position on a process is concerned by an event type."""

    process: str
    type: str
    since: int


@attrs.define
class Commit:
    """All that one transaction writes. Filled by the engine, sealed once, written whole or not at all.

    Order of writing: types, concerns, events, flows, steps, unhandled, resumed, withdrawn, deliveries, commands,
    command changes, timers of ended flows (deleted), timers, snapshots.
    """

    events: list[EventRow] = attrs.field(factory=list)
    steps: list[StepRow] = attrs.field(factory=list)
    flows: dict[int, FlowRow] = attrs.field(factory=dict)
    """By id; inserted or replaced whole."""
    unhandled: list[UnhandledRow] = attrs.field(factory=list)
    resumed: set[int] = attrs.field(factory=set)
    """Flows whose deliveries that are `waiting` or `quarantined` all become `pending`. Applied before `deliveries`."""
    deliveries: dict[tuple[int, int], DeliveryRow | None] = attrs.field(factory=dict)
    """By (flow, position): inserted or replaced; None deletes."""
    withdrawn: list[tuple[int, str]] = attrs.field(factory=list)
    """(flow, timer name): fired deadlines that are stored and not handled; each delivery row of that flow and
    timer is deleted and recorded as unhandled (`withdrawn`), except those that `deliveries` deletes: they are answered
    otherwise. Applied before the other `deliveries`."""
    commands: list[CommandRow] = attrs.field(factory=list)
    command_changes: list[CommandChange] = attrs.field(factory=list)
    timers: dict[tuple[int, str], TimerRow | None] = attrs.field(factory=dict)
    """By (flow, name): set or replaced; None deletes."""
    timers_ended: set[int] = attrs.field(factory=set)
    """Flows whose timers all go. Applied before `timers`."""
    snapshots: list[SnapshotRow] = attrs.field(factory=list)
    types: list[TypeRow] = attrs.field(factory=list)
    concerns: list[ConcernRow] = attrs.field(factory=list)

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in _PARTS)


_PARTS = tuple(field.name for field in attrs.fields(Commit))


class OpenCommand(NamedTuple):
    """A command with what is needed to send it."""

    row: CommandRow
    process: str
    key: str
    effects: str
    """The effects of its step, JSON."""
    correlation: bytes
    """Id of the first event of the chain."""
    trace: str | None
    """That of its flow: of the event that the flow handled first."""


class ArmedTimer(NamedTuple):
    """A timer with the name of its flow, and the trace of that."""

    row: TimerRow
    process: str
    key: str
    trace: str | None


class Delivered(NamedTuple):
    """A delivery with the event that it delivers."""

    row: DeliveryRow
    event: EventRow


class Stepped(NamedTuple):
    """A step with the event that it handled."""

    step: StepRow
    event: EventRow


class Standing(NamedTuple):
    """What a flow waits for in the journal."""

    timers: list[TimerRow]
    """Those that are armed, in order of (due_us, name)."""
    head: Delivered | None
    """The first event that it has not handled, in whatever state; None where there is none."""


class LoadedFlow(NamedTuple):
    """A flow as it stands: its row (None: never seen), a snapshot, its first steps after that, and its trace."""

    row: FlowRow | None
    snapshot: SnapshotRow | None
    steps: list[Stepped]
    trace: str | None = None


class PastStep(NamedTuple):
    """What a fold needs of a step and of the event that it handled."""

    version: int
    outcome: StepOutcome
    type: str
    type_version: int
    payload: str


class ShortFlow(NamedTuple):
    """A flow as it stands, whole where it is short."""

    row: FlowRow
    steps: list[PastStep] | None
    """All of them in order of version; None where there are more than was asked for."""
    held: bool
    """Deliveries of it are stored, in whatever state."""
    trace: str | None = None


class LookUp(NamedTuple):
    """What the journal knows of some outside ids and some flows; what it does not know is missing."""

    ids: dict[tuple[str, str], tuple[int, bytes]]
    """(source, id) -> (position, digest)."""
    flows: dict[tuple[str, str], FlowRow]
    """(process, key) -> row."""


class Heads(NamedTuple):
    """Where the counters stand; 0 in an empty journal."""

    position: int
    flow: int
    command: int
    archived: int = 0
    """The highest position whose event lies in an archive."""


class TypeInUse(NamedTuple):
    """A type that something open needs (rule 27)."""

    kind: Literal["command", "timer", "delivery", "flow", "step"]
    """`flow`: `name` is the process and `version` 0. `step`: an event type that a live flow is folded from."""
    name: str
    version: int
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody asks of a row


@attrs.frozen
class Contents:
    """All rows that a journal holds, each kind in the order of its key: what laws judge, and what can be copied."""

    events: tuple[EventRow, ...]
    steps: tuple[StepRow, ...]
    """In order of (flow, version)."""
    flows: tuple[FlowRow, ...]
    commands: tuple[CommandRow, ...]
    timers: tuple[TimerRow, ...]
    deliveries: tuple[DeliveryRow, ...]
    unhandled: tuple[UnhandledRow, ...]
    snapshots: tuple[SnapshotRow, ...] = ()
    types: tuple[TypeRow, ...] = ()
    concerns: tuple[ConcernRow, ...] = ()


@attrs.frozen
class FlowQuery:
    """Which flows to list; None does not filter. Aggregates have rows as flows have, under names of their own."""

    process: str | None = None
    but_not: tuple[str, ...] = ()  # processes or aggregates that are left out
    status: tuple[FlowStatus, ...] = ()
    outcome: str | None = None
    key: str | None = None
    key_prefix: str | None = None
    started_before_us: int | None = None
    started_after_us: int | None = None
    updated_before_us: int | None = None
    updated_after_us: int | None = None
    matches: tuple[Match, ...] = ()


@attrs.frozen
class JournalCounts:
    """What the journal holds, counted; commands and deliveries by state."""

    events: int
    events_by_type: dict[str, int]
    steps: int
    flows: dict[str, dict[str, int]]
    """process -> status -> number."""
    outcomes: dict[str, dict[str, int]]
    """process -> outcome -> number of ended flows."""
    commands: dict[str, int]
    timers: int
    deliveries: dict[str, int]
    unhandled: dict[str, dict[str, int]]
    """process -> reason -> number."""
    aggregates: dict[str, dict[str, int]] = attrs.field(factory=dict)
    """aggregate -> status -> number; they are not among the flows."""


@attrs.frozen
class OwnerInfo:
    """Who owns the journal, or did last."""

    pid: int
    host: str
    started_us: int
    epoch: int
    unclean_starts: int
    """How many starts in a row, before this one, found that the last owner did not close (within the period)."""
    running: bool
    """Whether the lock is held now."""


@attrs.frozen
class Fault:
    """Something that `verify` found: a code, what was found, and the cure."""

    code: str
    found: str
    cure: str
