"""Invariants: what must hold of every flow of a process, after each of its turns."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import attrs

from procession.errors import DefinitionError
from procession.primitives.history import History
from procession.primitives.process import ProcessManager
from procession.primitives.site import class_site, function_site


@attrs.frozen
class Invariant:
    """One rule: explored, simulated, and watched live. Calling it judges a history."""

    process: type[ProcessManager]
    name: str
    says: str
    """The first line of its docstring, for reports; its name where it has none."""
    site: str
    judge: Callable[[History], bool]

    def __call__(self, history: History) -> bool:
        """Whether the rule holds; a history that it can't judge raises what the function raises."""
        return bool(self.judge(history))


def invariant(process: type[ProcessManager]) -> Callable[[Callable[[History], bool]], Invariant]:
    """Mark `(history) -> bool`: pure, and true of every flow of `process` after each of its turns.

        @invariant(Order)
        def never_ships_what_it_refunds(history: History) -> bool:
            return not history.sent(ShipParcel) or not history.sent(RefundCard)

    Raises:
        DefinitionError: `process` is no process manager, or the function can't judge a history.
    """
    if "__process__" not in getattr(process, "__dict__", {}):
        raise DefinitionError(
            class_site(), "@invariant", f"names {process!r:.60}, which is no process manager", "name the class"
        )

    def mark(judge: Callable[[History], bool]) -> Invariant:
        site, name = function_site(judge), judge.__qualname__
        if inspect.iscoroutinefunction(judge) or inspect.isgeneratorfunction(judge):
            raise DefinitionError(site, name, "is no plain def", "return whether the rule holds")
        if len(inspect.signature(judge).parameters) != 1:
            raise DefinitionError(site, name, "does not take one history", "write def rule(history: History) -> bool")
        says = (inspect.getdoc(judge) or name.rsplit(".", maxsplit=1)[-1].replace("_", " ")).splitlines()[0]
        return Invariant(process, judge.__name__, says, site, judge)

    return mark
