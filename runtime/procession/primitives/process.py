"""Process managers: which events concern a flow, how its state moves, which effects follow."""

from __future__ import annotations

from typing import ClassVar, dataclass_transform

import attrs

from procession.errors import DefinitionError
from procession.primitives.concealment import conceal
from procession.primitives.event import Event
from procession.primitives.fields import mutable_part, resolved_fields
from procession.primitives.handlers import (
    OF_A_PROCESS,
    Handler,
    KeySpec,
    Late,
    Missing,
    check_policies,
    collect,
    local_names,
)
from procession.primitives.site import class_site
from procession.primitives.state import State
from procession.primitives.stored import freeze


@dataclass_transform(frozen_default=True, field_specifiers=(attrs.field,))
class ProcessManager(State):
    """One class per kind of flow; one instance is the state of one flow, and the fields are that state.

        class Order(ProcessManager, name="order", key="order_id"):
            paid: bool = False

    Every field has a default: the state before the first event is `Order()`. Fields can't change; a fold
    returns a new state by `self.evolve(...)`.

    Args:
        name: the stored name, for ever.
        key: the event field that names the flow, where a handler does not say otherwise.
        concerns: event types without a handler that are seen, counted and late like others.
        missing: what an event finds that comes before its flow started; handlers may say otherwise.
        late: what an event finds that comes after its flow ended; handlers may say otherwise.

    Raises:
        DefinitionError: the class can't work; says file, line, class, method and cure.
    """

    __handlers__: ClassVar[tuple[Handler, ...]] = ()
    __process__: ClassVar[ProcessOptions]

    def __init_subclass__(
        cls,
        *,
        name: str = "",
        key: KeySpec = "",
        concerns: tuple[type[Event], ...] = (),
        missing: Missing = "record",
        late: Late = "record",
    ) -> None:
        super().__init_subclass__()
        site = class_site()
        if not name or not name.isprintable() or "/" in name:
            raise DefinitionError(
                site, cls.__name__, f"has the stored name {name!r}", 'give it name="order": printable, without "/"'
            )
        if not key:
            raise DefinitionError(
                site, cls.__name__, "has no key", 'give it key="order_id": one actor for each key', "LAW06"
            )
        check_policies(missing, late, site, cls.__name__)
        handlers = collect(cls, key, local_names(), OF_A_PROCESS)
        freeze(cls, site)
        check_state(cls, site)
        cls.__process__ = ProcessOptions(name, key, concerns, missing, late, site)
        cls.__handlers__ = handlers


@attrs.frozen
class ProcessOptions:
    """What the class statement of a process manager says."""

    name: str
    key: KeySpec
    concerns: tuple[type[Event], ...]
    missing: Missing
    late: Late
    site: str


def check_state(cls: type, site: str, *, later: bool = True) -> None:
    """Refuse state that can change, or that has no value before the first event.

    Raises:
        DefinitionError: a field has no default, can change, or names nothing, unless that may be defined `later`.
    """
    for field in attrs.fields(cls):
        if field.default is attrs.NOTHING:
            raise DefinitionError(
                site,
                f"{cls.__name__}.{field.name}",
                "has no default",
                "give it one: the state before the first event is the class called without arguments",
            )
    try:
        fields = resolved_fields(cls)
    except NameError as error:
        if later:
            conceal(cls)
            return
        raise DefinitionError(
            site, cls.__name__, f"has a field of type {error.name!r}, which is not defined", "define it or mend it"
        ) from error
    for name, annotation in fields.items():
        problem = mutable_part(annotation)
        if problem is not None:
            raise DefinitionError(site, f"{cls.__name__}.{name}", problem[0], problem[1], "LAW06")
    conceal(cls)
