"""One code object that is read, with what its names stand for; nothing of it runs.

The stack is followed as far as it is known. Where it is not, values are unknown, and what is unknown is never accused.
"""

from __future__ import annotations

import builtins
import dis
from collections.abc import Callable, Sequence
from types import CodeType, FunctionType

from procession.laws.forbidden import CHANGES, ORDER, Forbidden
from procession.laws.mutation import changed, changes_by
from procession.laws.values import NOTHING, Known, Listed, Made, Value, Values, content_of, either, reach

Calling = Callable[["Frame", Values, "Sequence[Values] | None", dict[str, Values]], Values]


class Frame:
    """One function, or one that is defined inside of it."""

    def __init__(
        self,
        function: FunctionType,
        code: CodeType,
        variables: dict[str, Values],
        *,
        fresh: frozenset[str] = frozenset(),
        around: Frame | None = None,
        failure: bool = False,
        report: Callable[[Forbidden, str, CodeType, int], None],
        mention: Callable[[Frame, Values], None],
        call: Calling,
        peek: Callable[[Value, str], Forbidden | None],
    ) -> None:
        """Args are what is known before the code runs.

        Args:
            function: whose globals and closure it has.
            code: of the function, or of one inside.
            variables: the arguments.
            fresh: arguments that have their default: nobody has looked at those.
            around: the frame in which it is defined.
            failure: it answers a failure event.
            report: told each breach, with what was found and where.
            mention: told what the code names.
            call: told what the code calls; says what that may return.
            peek: says what is wrong with an attribute, by its name.
        """
        self.function, self.code, self.around, self.failure = function, code, around, failure
        self.inner: list[Made] = []
        self.line = code.co_firstlineno
        self.variables, self._fresh = variables, fresh
        self._report, self.mention, self.call, self._peek = report, mention, call, peek
        self.stack: list[Values] = []
        self.keywords: tuple[str, ...] = ()
        self._listed: list[Listed] = []
        self.instructions = list(dis.get_instructions(code))

    def breach(self, forbidden: Forbidden, what: str) -> None:
        """Tell a breach at the line that is being read."""
        self._report(forbidden, what, self.code, self.line)

    def listed(self, what: str) -> Listed:
        """A list is made of a set here."""
        self._listed.append(Listed(what, self.line))
        return self._listed[-1]

    def close(self) -> None:
        """The code is read: what is wrong with it as a whole."""
        for each in self._listed:
            if not each.settled:
                self._report(ORDER, each.what, self.code, each.line)

    def change(self, values: Values, what: str) -> None:
        """Something of these is changed."""
        for value in values:
            forbidden = changed(value, failure=self.failure)
            if forbidden is not None:
                self.breach(forbidden, what)

    def attribute(self, holders: Values, name: str) -> Values:
        """What an attribute may be; tells what it names and runs."""
        found: Values = NOTHING
        for holder in holders:
            forbidden = self._peek(holder, name)
            if forbidden is not None:
                self.breach(forbidden, f".{name}")
            if changes_by(holder, name):
                self.change((holder,), f".{name}()")
                continue
            reached = reach(holder, name)
            self.mention(self, (*reached.runs, *reached.values))
            found = either(found, reached.values)
        return found

    def variable(self, name: str) -> Values:
        """What a variable of this function or of one around it may hold."""
        if name in self.variables:
            return self.variables[name]
        if self.around is not None:
            return self.around.variable(name)
        return self._closed_over(name)

    # The stack.

    def pop(self) -> Values:
        """The topmost value; unknown where the stack is."""
        return self.stack.pop() if self.stack else NOTHING

    def pops(self, number: int) -> list[Values]:
        """The topmost values, the lowest of them first."""
        return [self.pop() for _ in range(number)][::-1]

    def push(self, values: Values) -> None:
        """Put a value on top."""
        self.stack.append(values)

    # Names.

    def _closed_over(self, name: str) -> Values:
        names, cells = self.function.__code__.co_freevars, self.function.__closure__ or ()
        for known, cell in zip(names, cells, strict=True):
            if known == name:
                return content_of(cell)
        return NOTHING

    def _is_outside(self, name: str) -> bool:
        """Whether a variable belongs to what was there before the turn."""
        if name not in self.code.co_freevars:
            return False
        return self.around is None or self.around._is_outside(name)  # noqa: SLF001 - a frame of the same kind

    def load_local(self, name: str) -> None:
        """Push a variable of the function."""
        found = self.variables.get(name, NOTHING)
        if name in self._fresh:
            self.mention(self, found)
        self.push(found)

    def store_local(self, name: str) -> None:
        """A variable of the function is bound."""
        self._fresh -= {name}
        self.variables[name] = either(self.variables.get(name, NOTHING), self.pop())

    def load_cell(self, name: str) -> None:
        """Push a variable that functions share."""
        found = self.variable(name)
        if self._is_outside(name) or name in self._fresh:
            self.mention(self, found)
        self.push(found)

    def store_cell(self, name: str) -> None:
        """A variable that functions share is bound."""
        if self._is_outside(name):
            self.pop()
            self.breach(CHANGES, f"the variable {name} of the function around it")
            return
        holder: Frame = self
        while name not in holder.code.co_cellvars and holder.around is not None:
            holder = holder.around
        value = self.pop()
        holder.variables[name] = either(holder.variables.get(name, NOTHING), value)

    def load_global(self, name: str) -> None:
        """Push a global or builtin."""
        spaces = (self.function.__globals__, vars(builtins))
        found = next(((Known(space[name]),) for space in spaces if name in space), NOTHING)
        self.mention(self, found)
        self.push(found)
