"""A runtime within an asyncio or a synchronous program, in a thread of its own.

    with embed.start("orders.db", processes=[Order], gateways=[Payments(client)]) as runtime:
        runtime.publish(OrderPlaced("421", 4200))

    async with embed.open_async("orders.db", processes=[Order], gateways=[Payments(client)]) as runtime:
        await runtime.publish(OrderPlaced("421", 4200))

Both take what `open_runtime` takes, and raise what it raises. A trio program needs neither: it uses `open_runtime`.
"""

from procession.embed.awaited import AwaitedAggregate, AwaitedFlow, AwaitedRuntime, opening
from procession.embed.blocking import BlockingAggregate, BlockingFlow, BlockingRuntime, starting
from procession.embed.portal import CalledFromInside, UsedAfterFork
from procession.hosting import open_runtime

start = starting(open_runtime)
open_async = opening(open_runtime)

__all__ = [
    "AwaitedAggregate",
    "AwaitedFlow",
    "AwaitedRuntime",
    "BlockingAggregate",
    "BlockingFlow",
    "BlockingRuntime",
    "CalledFromInside",
    "UsedAfterFork",
    "open_async",
    "opening",
    "start",
    "starting",
]
