"""Commands: wishes, in the imperative, each addressed to one gateway."""

from __future__ import annotations

from typing import dataclass_transform

import attrs

from procession.primitives.site import class_site
from procession.primitives.stored import Stored, seal


@dataclass_transform(frozen_default=True, field_specifiers=(attrs.field,))
class Command:
    """A wish. Subclass it with a stored name; it may be refused, and it is executed at least once.

        class ChargeCard(Command, name="payment.charge"):
            order_id: str
            amount_cents: int

    Raises:
        DefinitionError: no name, or a field that can change.
    """

    def __init_subclass__(cls, *, name: str = "", version: int = 1) -> None:
        super().__init_subclass__()
        seal(cls, Stored(name, version, "command", class_site(), "refuse"))
