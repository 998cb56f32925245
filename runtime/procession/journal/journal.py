"""The contract of a journal. `memory` and `sqlite` keep it; `procession.testing.contract` proves it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol

from procession.journal.found import Counted, FlowNames, FoundFlows, StageCounts
from procession.journal.rows import (
    ArmedTimer,
    Commit,
    ConcernRow,
    Delivered,
    DeliveryState,
    EventRow,
    Fault,
    FlowQuery,
    FlowRow,
    Heads,
    JournalCounts,
    LoadedFlow,
    LookUp,
    OpenCommand,
    OwnerInfo,
    ShortFlow,
    Standing,
    Stepped,
    TimerRow,
    TypeInUse,
    TypeRow,
    UnhandledRow,
)
from procession.journal.undone import Undone

PAUSES = (
    "procession.gateway_paused",
    "procession.gateway_resumed",
    "procession.process_paused",
    "procession.process_resumed",
)
"""Types of the events by which something was paused and resumed."""


class JournalReader(Protocol):
    """All that can be asked. Every method sees one consistent, durable state, and nothing newer is promised.

    A journal that can archive answers as if all were still in it: `steps`, `commands`, `events`, `columns`, `counts`
    and `look_up` find what went to a file. Archiving itself is no part of this contract: a journal in memory has
    nothing beside it that a file could lie in.

    Cancellation: a read may be cancelled by its caller; it then still ends in the background, without effect.
    """

    @property
    def id(self) -> bytes:
        """16 bytes, made when the journal was; part of every derived id."""
        ...

    async def heads(self) -> Heads:
        """The highest position, flow id and command seq."""
        ...

    async def pauses(self) -> list[EventRow]:
        """The events of the types `PAUSES`, in order: few, and found without reading others."""
        ...

    async def look_up(self, ids: Sequence[tuple[str, str]], flows: Sequence[tuple[str, str]]) -> LookUp:
        """What is known of outside ids (source, id) and of flows (process, key), in one read."""
        ...

    async def load(self, process: str, key: str, steps_max: int) -> LoadedFlow:
        """A flow's row, its snapshot, and its first `steps_max` steps after the snapshot (or from the start).

        For the engine, which loads no flow that has ended: of one that was archived there is the row only, and the
        steps that came after; `steps` reads all of them.
        """
        ...

    async def load_many(self, flows: Sequence[tuple[str, str]], steps_max: int) -> dict[tuple[str, str], ShortFlow]:
        """Flows by (process, key), those of at most `steps_max` steps whole; one that was never seen is missing.

        For the engine, as `load` is: of a flow that has ended there are no steps.
        """
        ...

    async def steps(self, flow: int, after_version: int, limit: int) -> list[Stepped]:
        """The next steps of a flow in order of version, with their events."""
        ...

    async def steps_of(self, flows: Sequence[int], after_version: int, limit: int) -> list[Stepped]:
        """The next steps of several flows, with their events: flow by flow in the order given, each by version.

        Of the first flow those after a version, of the others all; at most `limit` in all.
        """
        ...

    async def deliveries(
        self, flow: int, after_position: int, limit: int, states: Sequence[DeliveryState]
    ) -> list[Delivered]:
        """A flow's events not handled yet, in order of position."""
        ...

    async def flows_with_deliveries(self, state: DeliveryState, after_flow: int, limit: int) -> list[FlowRow]:
        """Flows that have a delivery in this state, in order of id, each once."""
        ...

    async def open_commands(
        self, gateway: str, due_us_max: int, limit: int, known: Collection[int] = ()
    ) -> list[OpenCommand]:
        """Open commands of a gateway due by then, in order of (due_us, seq), but for those whose seq is known."""
        ...

    async def command(self, command_id: bytes) -> OpenCommand | None:
        """One command in whatever state, or None. May be slow: for operators."""
        ...

    async def commands(self, flow: int, after_seq: int, limit: int) -> list[OpenCommand]:
        """All commands of a flow, in every state, in order of seq."""
        ...

    async def timers(self, after: tuple[int, int, str], limit: int) -> list[ArmedTimer]:
        """Armed timers after (due_us, flow, name), in that order."""
        ...

    async def timers_of(self, flow: int) -> list[TimerRow]:
        """A flow's armed timers, in order of (due_us, name)."""
        ...

    async def standing_of(self, flows: Sequence[int], timers_max: int) -> list[Standing]:
        """What each of these flows waits for, in the order given; of each at most so many timers."""
        ...

    async def events(
        self, after_position: int, limit: int, types: Sequence[str] = (), until_position: int | None = None
    ) -> list[EventRow]:
        """Events in order of position; only of these types where some are named."""
        ...

    async def columns(
        self,
        names: Sequence[str],
        after_position: int,
        limit: int,
        types: Sequence[str] = (),
        until_position: int | None = None,
    ) -> list[tuple[Any, ...]]:
        """These columns of events (fields of `EventRow`, `position` among them to read on), in order of position.

        For whoever folds many events and needs little of each: a few times quicker than whole rows.
        """
        ...

    async def flows(self, query: FlowQuery, after_flow: int, limit: int) -> list[FlowRow]:
        """Flows that match, in order of id. Flows that are `unstarted` are left out unless asked for by status."""
        ...

    async def search(
        self, query: FlowQuery, after_flow: int, limit: int, looked_max: int, *, newest_first: bool = False
    ) -> FoundFlows:
        """Flows that match, as `flows` finds them, but looks at `looked_max` at most before it answers.

        Newest first it begins at the newest where `after_flow` is 0, else before that.
        """
        ...

    async def count(self, query: FlowQuery, count_max: int, looked_max: int) -> Counted:
        """How many flows match, up to a bound, looking at `looked_max` at most."""
        ...

    async def names(self, names_max: int) -> FlowNames:
        """The names of processes and aggregates that have flows, and of outcomes; of each at most so many."""
        ...

    async def stages(self, process: str, flows_max: int) -> StageCounts:
        """Where the flows of a process stand that have not ended, looking at the newest of each status only."""
        ...

    async def unhandled(
        self, process: str | None, key: str | None, after_position: int, limit: int
    ) -> list[UnhandledRow]:
        """Events that no turn handled, in order of position; of one process and key where named.

        A page that is full ends with all rows of its last position, so it may hold more than `limit`.
        """
        ...

    async def counts(self) -> JournalCounts:
        """What the journal holds, counted. Reads whole tables."""
        ...

    async def undone(self) -> Undone:
        """What is not done yet, counted, and how large the journal is. Costs by what is undone only.

        Raises:
            OSError: its file can't be looked at.
        """
        ...

    async def types(self) -> list[TypeRow]:
        """Every type that the journal knows."""
        ...

    async def concerns(self) -> list[ConcernRow]:
        """From which position each process is concerned by each type."""
        ...

    async def types_in_use(self) -> list[TypeInUse]:
        """Types that open commands, timers, deliveries and live flows need."""
        ...

    async def owner(self) -> OwnerInfo | None:
        """Who owns the journal or did last; None where nobody ever did."""
        ...

    async def verify(self) -> list[Fault]:
        """Check everything; empty where all is well. Reads the whole journal in slices.

        The CRCs, chained and of single rows; flows, commands, timers and deliveries must agree with events and steps.
        """
        ...

    async def backup(self, target: str) -> None:
        """Write a consistent copy to a new file, beside a running owner.

        Raises:
            JournalUnwritable: the target exists or can't be written; a half-written copy is removed.
        """
        ...

    async def close(self) -> None:
        """Release everything. Certain: it completes under cancellation, and no thread outlives it."""
        ...


class Journal(JournalReader, Protocol):
    """A journal that this process owns. One commit at a time; reads run beside it."""

    async def commit(self, commit: Commit) -> None:
        """Write all of it or nothing; durable on return. Counts on the engine for positions, ids and versions.

        Positions ascend, within a commit and from one to the next (gaps are fine). The steps of a flow follow the
        stored version of its row without a gap, and the commit holds that row at the version of its last step; a
        row without steps is at the stored version. Types are new; concerns may replace.

        Raises:
            CommitFailed: I/O failed; the outcome is unknown. Call `reopen` before anything else.
            CommitRejected: the data was refused (a unique row exists, a compare-and-set did not match);
                rolled back, nothing was written.
            Fenced: the owner row is another's; nothing was written.

        Cancellation: shielded; once begun it ends.
        """
        ...

    async def reopen(self) -> None:
        """After `CommitFailed`: close every connection, open again, and make one durable barrier commit.

        All that is read from then on is what a crash would leave. Until then reading may go on, and does not know of
        the commit that failed.

        Raises:
            CommitFailed: still not possible; call it again later.
            JournalDamaged: what was durable is not there any more; nothing was written.
        """
        ...

    async def checkpoint(self) -> None:
        """Move what the write-ahead log holds into the main file, passively. Nothing to do: no error."""
        ...

    async def close_clean(self) -> None:
        """Record that everything ended in order, checkpoint, and close. `close` alone leaves an unclean end."""
        ...
