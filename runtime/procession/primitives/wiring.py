"""What one flow module brings into a runtime."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from procession.primitives.aggregate import Aggregate
from procession.primitives.event import Event
from procession.primitives.gateway import Gateway
from procession.primitives.injector import Injector, events_brought
from procession.primitives.invariant import Invariant
from procession.primitives.lifts import AnyLift
from procession.primitives.process import ProcessManager
from procession.primitives.projector import Projector


@attrs.frozen
class Wiring:
    """Processes and gateways that belong together; what `wire_production` and `wire_testing` return.

    Both return the same type, so a type checker proves that a test covers every gateway.
    """

    processes: tuple[type[ProcessManager], ...]
    gateways: tuple[Gateway | type[Gateway], ...]
    """Instances; or classes, whose fields are filled by name from the resources."""
    events: tuple[type[Event], ...] = ()
    """Event types that no handler and no gateway names, but that may be published."""
    invariants: tuple[Invariant, ...] = ()
    """What must hold of every flow: explored, simulated, and watched live."""
    lifts: tuple[AnyLift, ...] = ()
    """From event types of old, which the journal holds or older producers still send, to those that handlers take."""
    injectors: tuple[Injector | type[Injector], ...] = ()
    """What brings outside facts in; instances or classes, as gateways."""
    resources: Mapping[str, object] = attrs.field(factory=dict)
    """What the fields of classes are filled with, by name: plain values, and factories of context managers."""
    aggregates: tuple[type[Aggregate], ...] = ()
    """What decides commands that no gateway takes."""
    projectors: tuple[type[Projector], ...] = ()
    """What folds events into projections, which are asked by `Runtime.query`."""

    @property
    def events_named(self) -> tuple[type[Event], ...]:
        """Event types that it names itself: `events`, and those of its injectors."""
        return (*self.events, *events_brought(self.injectors))
