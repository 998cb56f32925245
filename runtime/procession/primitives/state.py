"""State: what events are folded into, frozen; of one flow, or of one aggregate."""

from __future__ import annotations

from typing import Any, Self, dataclass_transform

import attrs


@dataclass_transform(frozen_default=True, field_specifiers=(attrs.field,))
class State:
    """The fields of a process manager or an aggregate. They can't change: a fold returns a new state."""

    def evolve(self, **changes: Any) -> Self:  # noqa: ANN401 - the fields are the user's; attrs refuses unknown ones
        """This state with some fields replaced; the state itself stays as it was."""
        for field in self.__attrs_attrs__:  # type: ignore[attr-defined]  # __init_subclass__ makes it an attrs class
            if field.init and field.alias not in changes:
                changes[field.alias] = getattr(self, field.name)
        return type(self)(**changes)  # as `attrs.evolve`, which asks first whether this is an attrs class
