"""Aggregates: they decide a command into events, or refuse it; they guard what must always hold, and do no work."""

from __future__ import annotations

from typing import ClassVar, dataclass_transform

import attrs

from procession.errors import DefinitionError
from procession.primitives.handlers import OF_AN_AGGREGATE, Handler, KeySpec, collect, local_names
from procession.primitives.process import check_state
from procession.primitives.site import class_site
from procession.primitives.state import State
from procession.primitives.stored import freeze


@dataclass_transform(frozen_default=True, field_specifiers=(attrs.field,))
class Aggregate(State):
    """One class per kind of aggregate; one instance is the state of one of them, and the fields are that state.

        class Account(Aggregate, name="account", key="account_id"):
            balance_cents: int = 0

            @applies
            def deposited(self, deposited: Deposited) -> "Account":
                return self.evolve(balance_cents=self.balance_cents + deposited.amount_cents)

            @decides
            def withdraw(self, command: Withdraw) -> Withdrawn | TooLittleMoney:
                missing = command.amount_cents - self.balance_cents
                return TooLittleMoney(missing) if missing > 0 else Withdrawn(command.account_id, command.amount_cents)

    Every field has a default: the state before the first event is `Account()`.

    Args:
        name: the stored name, for ever.
        key: the field of a command that names the aggregate, where a decision does not say otherwise.

    Raises:
        DefinitionError: the class can't work; says file, line, class, method and cure.
    """

    __handlers__: ClassVar[tuple[Handler, ...]] = ()
    __aggregate__: ClassVar[AggregateOptions]

    def __init_subclass__(cls, *, name: str = "", key: KeySpec = "") -> None:
        super().__init_subclass__()
        site = class_site()
        if not name or not name.isprintable() or "/" in name:
            raise DefinitionError(
                site,
                cls.__name__,
                f"has the stored name {name!r}",
                'give it name="account": printable, without "/"',
                "LAW08" if not name else "",
            )
        if not key:
            raise DefinitionError(
                site, cls.__name__, "has no key", 'give it key="account_id": one actor for each key', "LAW06"
            )
        handlers = collect(cls, key, local_names(), OF_AN_AGGREGATE)
        freeze(cls, site)
        check_state(cls, site)
        cls.__aggregate__ = AggregateOptions(name, key, site)
        cls.__handlers__ = handlers


@attrs.frozen
class AggregateOptions:
    """What the class statement of an aggregate says."""

    name: str
    key: KeySpec
    site: str
