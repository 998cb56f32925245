"""Refusals: why an aggregate says no, as a value with a stored name; returned, never raised."""

from __future__ import annotations

from typing import dataclass_transform

import attrs

from procession.primitives.site import class_site
from procession.primitives.stored import Stored, seal


@dataclass_transform(frozen_default=True, field_specifiers=(attrs.field,))
@attrs.frozen(slots=False)
class Refusal:
    """Why a command was refused. Subclass it with a stored name; its fields say what the sender needs to know.

        class TooLittleMoney(Refusal, name="account.too_little_money"):
            missing_cents: int

    Raises:
        DefinitionError: no name, or a field that can change.
    """

    def __init_subclass__(cls, *, name: str = "", version: int = 1) -> None:
        super().__init_subclass__()
        seal(cls, Stored(name, version, "refusal", class_site(), "refuse"))
