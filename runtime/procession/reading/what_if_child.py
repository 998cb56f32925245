"""The process of a what-if: `python -m procession.reading.what_if_child`, one job in, one answer out.

It runs folds and reactions under the guard and does nothing with what they ask for. It may be ended at any time.
"""

from __future__ import annotations

import resource

import attrs

from procession.engine.guard import make_guard
from procession.engine.ids import Ids
from procession.engine.second_process import envelope_from, imported_class, private_streams
from procession.engine.shadow import Unshadowed, answer_of, state_text
from procession.engine.turn import FACTS_DEPTH_MAX, Life, Turn, TurnFailed, place, run_turn
from procession.errors import ProcessionError
from procession.primitives.codec import Codec, from_json, to_json
from procession.primitives.command import Command
from procession.primitives.definition import Definition, compile_definition
from procession.primitives.effects import After, At, Effect, Record
from procession.primitives.envelope import Envelope
from procession.primitives.event import CommandGivenUp, CommandRefused, Event
from procession.primitives.process import ProcessManager
from procession.primitives.secrecy import masked_data, plan_of
from procession.primitives.stored import stored_of
from procession.reading.what_if_job import Happened, Job, Played, Reply, Took

CPU_S_MAX = 20
DATA_BYTES_MAX = 2_147_483_648


def main() -> None:
    """Answer one line."""
    lines, answers = private_streams()
    job: Job = from_json(lines.readline())
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S_MAX, CPU_S_MAX))
    resource.setrlimit(resource.RLIMIT_DATA, (DATA_BYTES_MAX, DATA_BYTES_MAX))
    answers.write(to_json(replied(job)))
    answers.flush()


def replied(job: Job) -> Reply:
    """What came of both histories."""
    try:
        return Reply(played=[_Play(job, number).run() for number in range(len(job["histories"]))])
    except (Unshadowed, ProcessionError) as error:
        return Reply(refused=str(error))


class _NoClock:
    """No id that a turn asks for is led by the time of this process."""

    drifts = False

    def now_us(self) -> int:
        return 0


@attrs.define(eq=False)
class _Waiting:
    """An event on its way to the flow."""

    event: Event
    id: bytes
    envelope: Envelope
    parent: str = ""
    depth: int = 0


class _Play:
    """One history, event by event."""

    def __init__(self, job: Job, number: int) -> None:
        cls = imported_class(job["process"], ProcessManager)
        self._job = job
        self._history, self._facts = job["histories"][number], job["facts"][number]
        self._codec = Codec()
        self._definition: Definition = compile_definition(cls)
        self._ids = Ids(_NoClock(), bytes.fromhex(job["journal_id"]))
        self._guard = make_guard("raise")
        self._state: ProcessManager = cls()
        self._life: Life = "unstarted"
        self._outcome: str | None = None
        self._took: list[Took] = []
        self._for_start: list[_Waiting] = []

    def run(self) -> Played:
        """All of it, or until a turn fails."""
        failure = ""
        try:
            for happened in self._history:
                self._take(self._read(happened))
                while self._for_start and self._life != "unstarted":
                    self._take(self._for_start.pop(0))
        except TurnFailed as error:
            failure = str(error)
        state = from_json(state_text(self._codec, self._state))
        hidden = plan_of(type(self._state))
        return Played(took=self._took, outcome=self._outcome, state=state, hidden=hidden, failure=failure)

    def _read(self, happened: Happened) -> _Waiting:
        cls = imported_class(happened["event"], Event)
        for name in (happened["event"], *happened["held"]):
            self._codec.register(imported_class(name, object))
        event: Event = self._codec.decode(cls, happened["payload"])
        return _Waiting(event, bytes.fromhex(happened["id"]), envelope_from(happened["envelope"]))

    def _take(self, waiting: _Waiting) -> None:
        """One event, and the facts that its turn records, which come next."""
        if len(self._took) >= self._job["turns_max"]:
            raise TurnFailed(stored_of(type(waiting.event)).name, f"came after {self._job['turns_max']} turns")
        found = place(self._life, self._definition.reaction(waiting.event), waiting.event)
        if found == "wait":
            self._for_start.append(waiting)
        elif found != "step":
            self._note(waiting, found.replace("_", " "), [])
            if found in ("quarantine", "given_up"):
                raise TurnFailed(stored_of(type(waiting.event)).name, "would set the flow aside")
        else:
            self._turn(waiting)

    def _turn(self, waiting: _Waiting) -> None:
        try:
            turn = run_turn(
                self._definition,
                self._state,
                waiting.event,
                self._life,
                lambda: waiting.envelope,
                self._job["effects_max"],
                self._guard,
            )
            asked = self._asked(turn, waiting)
        except TurnFailed as error:
            self._note(waiting, f"fails: {error}", [])
            raise
        self._state, self._life = turn.state, "active"
        self._note(waiting, turn.name, asked, turn.effects)
        if turn.outcome is not None:
            self._life, self._outcome = "ended", turn.outcome
        self._take_facts(turn, waiting)

    def _asked(self, turn: Turn, waiting: _Waiting) -> list[dict[str, object]]:
        answer = answer_of(turn, self._codec)
        if "failed" in answer:
            raise TurnFailed(turn.name, answer["failed"])
        return [self._named(effect, waiting, at) for at, effect in enumerate(answer["effects"])]

    def _named(self, effect: dict[str, object], waiting: _Waiting, index: int) -> dict[str, object]:
        """An effect with the id that the runtime would give it."""
        flow = self._definition.name, self._job["key"]
        if "command" in effect:
            return {**effect, "id": self._ids.command(waiting.id, *flow, index).hex()}
        if "timer" in effect:
            return {**effect, "id": self._ids.timer(waiting.id, *flow, index).hex()}
        return effect

    def _take_facts(self, turn: Turn, waiting: _Waiting) -> None:
        if waiting.depth >= FACTS_DEPTH_MAX:
            raise TurnFailed("record", f"recorded facts {FACTS_DEPTH_MAX} deep")
        for index, effect in enumerate(turn.effects):
            if not isinstance(effect, Record):
                continue
            fact_id = self._ids.fact(waiting.id, self._definition.name, self._job["key"], index)
            edited = self._facts.get(fact_id.hex())
            if edited is None and fact_id.hex() in self._facts:
                continue  # it is dropped
            event = effect.event if edited is None else self._read(edited).event
            stored = stored_of(type(event))
            around = waiting.envelope
            envelope = attrs.evolve(around, type=stored.name, version=stored.version, source=None, source_id=None)
            self._take(_Waiting(event, fact_id, envelope, waiting.id.hex(), waiting.depth + 1))

    def _note(
        self, waiting: _Waiting, told: str, asked: list[dict[str, object]], effects: tuple[Effect, ...] = ()
    ) -> None:
        event = waiting.event
        kind = stored_of(type(event)).name
        if isinstance(event, CommandGivenUp | CommandRefused):
            kind += f" of {stored_of(type(event.command)).name}"
        shown = [_shown(one, effect) for one, effect in zip(asked, effects, strict=True)]
        self._took.append(
            Took(id=waiting.id.hex(), parent=waiting.parent, type=kind, told=told, asked=asked, shown=shown)
        )


def _shown(asked: dict[str, object], effect: Effect) -> dict[str, object]:
    """An effect with what is secret masked."""
    message = effect.event if isinstance(effect, After | At | Record) else effect
    plan = plan_of(type(message)) if isinstance(message, Event | Command) else {}
    fields = {name: value for name, value in asked.items() if name not in _NAMES}
    named = {name: value for name, value in asked.items() if name in _NAMES and name != "id"}
    return {**named, **masked_data(fields, plan)}


_NAMES = frozenset({"command", "timer", "after_us", "at", "record", "cancel", "end", "id"})


if __name__ == "__main__":
    main()
