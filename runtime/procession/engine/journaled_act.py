"""An act on the runtime itself, recorded while it runs."""

from __future__ import annotations

from procession.engine.engine import Engine
from procession.engine.router import Origin
from procession.errors import OutcomeUnknown
from procession.primitives.event import Event


async def journal_act(engine: Engine, act: Event) -> None:
    """Record an act; durable on return.

    Raises:
        OutcomeUnknown: the commit failed and the journal can't be read yet.
        NotAccepted, RuntimeClosed: the engine is held, or closing.
    """
    life = engine.running()
    payload = engine.registry.codec.encode(act).decode()
    life.router.log(act, payload, Origin(engine.lasting.ids.fresh()))
    number = life.ledger.latest
    engine.counters.acts_recorded += 1
    await life.ledger.wait_durable(number)
    if life.ledger.durable_number < number:
        raise OutcomeUnknown((type(act).__name__,), engine.held or "the engine failed")
