"""Commands from outside: checked and encoded, decided by their aggregate, answered once that is durable."""

from __future__ import annotations

import attrs

from procession.engine.decisions import FromOutside
from procession.engine.engine import Engine
from procession.engine.envelopes import message_of
from procession.engine.intake import Submission
from procession.errors import InvalidPayload, TooLarge
from procession.journal.journal import JournalReader
from procession.journal_errors import JournalDamaged
from procession.primitives.command import Command
from procession.primitives.event import CommandDecided, CommandRefused, Event
from procession.primitives.refusal import Refusal
from procession.primitives.registry import Registry
from procession.primitives.stored import stored_of
from procession.publishing import DEFAULT_SOURCE, check_id, check_key_bytes
from procession.send_errors import SendRefused
from procession.settings import IntakeSettings

_KNOWN_MAX = 3


@attrs.frozen
class Reply:
    """What an aggregate made of a command; durable."""

    events: tuple[Event, ...]
    """What it decided; empty where it refused, or decided nothing."""
    refusal: Refusal | None
    """Why it said no; None where it did not."""
    position: int
    """Of the last event of the decision: what has read as far as this has read all of it."""
    duplicate: bool
    """It was decided before, under the same source and id; this is what was decided then."""


async def send(
    engine: Engine, command: Command, id: str | None, source: str | None, trace: str | None = None, *, wait: bool
) -> Reply:
    """Have a command decided; `Runtime.send` says what it raises."""
    sent = encode_command(engine.registry, engine.settings.intake, command, id, source, trace)
    aggregates = engine.running().aggregates
    stream = await aggregates.hold(sent.definition, sent.key)
    submission = Submission((sent,))
    try:
        await engine.submit(submission, wait=wait)
    finally:
        aggregates.let_go(stream)
    decided = submission.decided
    if decided is not None:
        return Reply(decided.events, decided.refusal, decided.last_position, duplicate=False)
    return await read_reply(engine.lasting.journal, engine.registry, submission.accepted[0].position)


async def read_reply(journal: JournalReader, registry: Registry, position: int) -> Reply:
    """What was decided at a position, where `CommandDecided` or `CommandRefused` stands.

    Raises:
        JournalDamaged: no decision stands there.
    """
    rows = await journal.events(position - 1, 1, (), position)
    news = message_of(registry, rows[0]) if rows else None
    if isinstance(news, CommandRefused):
        return Reply((), news.refusal, position, duplicate=True)
    if not isinstance(news, CommandDecided):
        raise JournalDamaged("the journal", f"at position {position} a decision is expected, found {news!r:.60}")
    last = position + news.events
    events = [message_of(registry, row) for row in await journal.events(position, news.events, (), last)]
    return Reply(tuple(events), None, last, duplicate=True)


def encode_command(
    registry: Registry,
    limits: IntakeSettings,
    command: Command,
    id: str | None,
    source: str | None,
    trace: str | None = None,
) -> FromOutside:
    """Check a command from outside, before anything is written.

    Raises:
        SendRefused: no aggregate decides it.
        InvalidPayload, InvalidKey, TooLarge: it can't be decided as it is.
    """
    if not isinstance(command, Command):
        raise InvalidPayload(type(command).__name__, "it is no command")
    decider = registry.deciders.get(type(command))
    if decider is None:
        raise _nobody_decides(registry, command)
    name = stored_of(type(command)).name
    payload = registry.codec.encode(command)
    if len(payload) > limits.payload_bytes_max:
        raise TooLarge(f"the data of {name!r}", len(payload), limits.payload_bytes_max, "intake.payload_bytes_max")
    digest = None
    if id is not None:
        source = source or DEFAULT_SOURCE
        check_id(name, "id", id)
        digest = registry.codec.digest(f"command {name}", payload)
    if source is not None:
        check_id(name, "source", source)
    key = decider.definition.key_of(command)
    check_key_bytes(name, key, limits)
    return FromOutside(command, decider.definition, key, source, id, digest, trace, len(payload))


def _nobody_decides(registry: Registry, command: Command) -> SendRefused:
    called = type(command).__name__
    receiver = registry.receivers.get(type(command))
    if receiver is not None:
        return SendRefused(
            f"{called} goes to the gateway {receiver.name!r}, which does work for flows only",
            "publish an event that a process manager answers with this command",
        )
    known = ", ".join(sorted(cls.__name__ for cls in registry.deciders)[:_KNOWN_MAX]) or "none"
    return SendRefused(f"no aggregate decides {called} (decided here: {known})", "give the runtime the aggregate")
