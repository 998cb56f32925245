"""Recovery: what the journal holds undone is taken up; nothing is routed again."""

from __future__ import annotations

from procession.engine.flow_host import FlowHost
from procession.engine.flow_table import FlowTable
from procession.journal.journal import Journal
from procession.primitives.registry import Registry

_PAGE = 200


async def take_up(journal: Journal, registry: Registry, table: FlowTable, host: FlowHost) -> None:
    """Wake every flow that has pending deliveries, a bounded number at a time; ready does not wait for this.

    While it runs, a flow that is loaded for another reason looks for its pending deliveries itself.
    """
    after = 0
    while True:
        page = await journal.flows_with_deliveries("pending", after, _PAGE)
        for row in page:
            await table.wait_room()
            definition = registry.processes[row.process]
            flow = table.flow(definition, row.key)
            if flow.id == 0:
                flow.id = row.id
            flow.mailbox.leave_to_store()
            table.wake(flow)
        if len(page) < _PAGE:
            break
        after = page[-1].id
    host.recoveries -= 1
