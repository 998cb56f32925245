"""A what-if over HTTP: it writes nothing, so a reader may ask."""

from __future__ import annotations

import attrs

from procession.daemon.http.flows import flow_of
from procession.daemon.http.routes import Call, Route
from procession.reading.what_if import read_what_if
from procession.reading.what_if_answer import Edit, WhatIf


@attrs.frozen(kw_only=True)
class WhatIfAsked:
    """Edits of a flow's history; they are made all at once, by the versions that the history has now."""

    edits: tuple[Edit, ...]


async def what_if(call: Call) -> WhatIf:
    """Which commands, deadlines and outcome would differ.

    Raises:
        NotFound: nobody has heard of the flow.
        WhatIfRefused, PublishRefused: an edit does not fit, or the code gave no answer in time.
    """
    flow, asked = flow_of(call), call.sent(WhatIfAsked)
    source = call.source
    async with call.serving.what_ifs:
        return await read_what_if(
            source.journal,
            source.registry,
            flow.process,
            flow.key,
            asked.edits,
            effects_max=source.settings.flows.effects_per_turn_max,
        )


ROUTES = (
    Route(
        "POST",
        "/v1/flows/{process}/{key}/what-if",
        "reader",
        "What would have come of an edited history; nothing is done.",
        WhatIf,
        what_if,
        asks=WhatIfAsked,
    ),
)
