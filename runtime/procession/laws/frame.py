"""One code object, read instruction by instruction with what its names stand for; nothing of it runs.

The stack is followed as far as it is known. Where it is not, values are unknown, and what is unknown is never accused.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable, Sequence
from types import CodeType, FunctionType

from procession.laws.forbidden import CHANGES, IMPORTS, ORDER, Forbidden
from procession.laws.mutation import can_change, changed, changes_by
from procession.laws.values import (
    NOTHING,
    Known,
    Listed,
    Made,
    Unordered,
    Values,
    above,
    content_of,
    either,
    is_unordered,
    item_of,
    reach,
    settle,
)

Calling = Callable[["Frame", Values, "Sequence[Values] | None", dict[str, Values]], Values]
_NULL: Values = (Known(None),)
_UNTIL = frozenset({"RETURN_VALUE", "RETURN_CONST", "RAISE_VARARGS", "RERAISE", "JUMP_FORWARD"})
_BACKWARD = frozenset({"JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT"})
_JUMPS = frozenset({*dis.hasjrel, *dis.hasjabs})
_PUSH_NOTHING = frozenset(
    "POP_TOP POP_EXCEPT END_FOR LIST_APPEND SET_ADD MAP_ADD LIST_EXTEND SET_UPDATE DICT_UPDATE DICT_MERGE NOP CACHE"
    " RESUME MAKE_CELL COPY_FREE_VARS RETURN_GENERATOR TO_BOOL STORE_NAME DELETE_FAST DELETE_NAME EXTENDED_ARG"
    " SETUP_ANNOTATIONS POP_JUMP_IF_FALSE POP_JUMP_IF_TRUE POP_JUMP_IF_NONE POP_JUMP_IF_NOT_NONE".split()
)
_SET_OPERATORS = frozenset("-&|^")
_CLOSURE_FLAGS = (1, 2, 4, 8)


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
        """
        self.function, self.code, self.around, self.failure = function, code, around, failure
        self.inner: list[Made] = []
        self.line = code.co_firstlineno
        self._variables, self._fresh = variables, fresh
        self._report, self._mention, self._call = report, mention, call
        self._stack: list[Values] = []
        self._arrivals: dict[int, list[Values]] = {}
        self._keywords: tuple[str, ...] = ()
        self._listed: list[Listed] = []
        self._instructions = list(dis.get_instructions(code))

    def run(self) -> None:
        """Read the code once, from the first instruction to the last."""
        reachable = True
        for instruction in self._instructions:
            positions = instruction.positions
            if positions is not None and positions.lineno is not None:
                self.line = positions.lineno
            arrived = self._arrivals.pop(instruction.offset, None)
            if not reachable:
                self._stack = arrived or []
            elif arrived is not None:
                self._join(arrived)
            if instruction.opcode in _JUMPS:
                self._note_arrival(instruction)
            step = _STEPS.get(instruction.opname)
            if step is not None:
                step(self, instruction)
            else:
                self._any(self._stack, instruction, jump=False)
            reachable = instruction.opname not in _UNTIL and instruction.opname not in _BACKWARD
        for each in self._listed:
            if not each.settled:
                self._report(ORDER, each.what, self.code, each.line)

    def breach(self, forbidden: Forbidden, what: str) -> None:
        """Tell a breach at the line that is being read."""
        self._report(forbidden, what, self.code, self.line)

    def listed(self, what: str) -> Listed:
        """A list is made of a set here."""
        self._listed.append(Listed(what, self.line))
        return self._listed[-1]

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
            if changes_by(holder, name):
                self.change((holder,), f".{name}()")
                continue
            reached = reach(holder, name)
            self._mention(self, (*reached.runs, *reached.values))
            found = either(found, reached.values)
        return found

    def variable(self, name: str) -> Values:
        """What a variable of this function or of one around it may hold."""
        if name in self._variables:
            return self._variables[name]
        if self.around is not None:
            return self.around.variable(name)
        return self._closed_over(name)

    # The stack.

    def _pop(self) -> Values:
        return self._stack.pop() if self._stack else NOTHING

    def _pops(self, number: int) -> list[Values]:
        """The topmost values, the lowest of them first."""
        return [self._pop() for _ in range(number)][::-1]

    def _push(self, values: Values) -> None:
        self._stack.append(values)

    def _any(self, stack: list[Values], instruction: dis.Instruction, *, jump: bool) -> None:
        """An instruction whose values do not matter: only how many there are."""
        argument = instruction.arg if instruction.opcode >= dis.HAVE_ARGUMENT else None
        effect = dis.stack_effect(instruction.opcode, argument, jump=jump)
        if effect < 0:
            del stack[effect:]
        if instruction.opname not in _PUSH_NOTHING and instruction.opcode not in _JUMPS and stack:
            stack[-1] = NOTHING
        stack.extend([NOTHING] * effect)

    def _note_arrival(self, instruction: dis.Instruction) -> None:
        target = instruction.argval
        if isinstance(target, int) and target > instruction.offset:
            stack = list(self._stack)
            self._any(stack, instruction, jump=True)
            known = self._arrivals.get(target)
            self._arrivals[target] = stack if known is None else _joined(stack, known)

    def _join(self, arrived: list[Values]) -> None:
        self._stack = _joined(self._stack, arrived)

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
        found = self._variables.get(name, NOTHING)
        if name in self._fresh:
            self._mention(self, found)
        self._push(found)

    def store_local(self, name: str) -> None:
        """A variable of the function is bound."""
        self._fresh -= {name}
        self._variables[name] = either(self._variables.get(name, NOTHING), self._pop())

    def load_cell(self, name: str) -> None:
        """Push a variable that functions share."""
        found = self.variable(name)
        if self._is_outside(name) or name in self._fresh:
            self._mention(self, found)
        self._push(found)

    def store_cell(self, name: str) -> None:
        """A variable that functions share is bound."""
        if self._is_outside(name):
            self._pop()
            self.breach(CHANGES, f"the variable {name} of the function around it")
            return
        holder: Frame = self
        while name not in holder.code.co_cellvars and holder.around is not None:
            holder = holder.around
        value = self._pop()
        holder._variables[name] = either(holder._variables.get(name, NOTHING), value)  # noqa: SLF001 - as above

    def load_global(self, name: str) -> None:
        """Push a global or builtin."""
        spaces = (self.function.__globals__, self.function.__builtins__)
        found = next(((Known(space[name]),) for space in spaces if name in space), NOTHING)
        self._mention(self, found)
        self._push(found)

    # Instructions.

    def _load_global(self, instruction: dis.Instruction) -> None:
        if (instruction.arg or 0) & 1:
            self._push(_NULL)
        self.load_global(instruction.argval)

    def _load_name(self, instruction: dis.Instruction) -> None:
        if instruction.argval in self._variables:
            self.load_local(instruction.argval)
        else:
            self.load_global(instruction.argval)

    def _load_from_class(self, instruction: dis.Instruction) -> None:
        if instruction.opname == "LOAD_FROM_DICT_OR_GLOBALS":
            self._pop()
            self.load_global(instruction.argval)
        else:
            if instruction.opname == "LOAD_FROM_DICT_OR_DEREF":
                self._pop()
            self.load_cell(instruction.argval)

    def _load_const(self, instruction: dis.Instruction) -> None:
        value: object = instruction.argval
        if isinstance(value, CodeType):
            made = Made(value)
            self.inner.append(made)
            self._push((made,))
        else:
            self._push((Known(value),))

    def _load_attribute(self, instruction: dis.Instruction) -> None:
        method = instruction.opname == "LOAD_METHOD" or (
            sys.version_info >= (3, 12) and bool((instruction.arg or 0) & 1)
        )
        found = self.attribute(self._pop(), instruction.argval)
        if method:
            self._push(_NULL)
        self._push(found)

    def _load_super_attribute(self, instruction: dis.Instruction) -> None:
        *_, holder = self._pops(3)
        found = self.attribute(above(holder), instruction.argval)
        if (instruction.arg or 0) & 1:
            self._push(_NULL)
        self._push(found)

    def _store_attribute(self, instruction: dis.Instruction) -> None:
        self.change(self._pop(), f".{instruction.argval}")
        if instruction.opname == "STORE_ATTR":
            self._pop()

    def _store_item(self, instruction: dis.Instruction) -> None:
        self._pops(2 if instruction.opname == "STORE_SLICE" else 1)
        self.change(self._pop(), "an item")
        if instruction.opname != "DELETE_SUBSCR":
            self._pop()

    def _store_global(self, instruction: dis.Instruction) -> None:
        if instruction.opname == "STORE_GLOBAL":
            self._pop()
        self.breach(CHANGES, f"the global {instruction.argval}")

    def _subscript(self, _: dis.Instruction) -> None:
        holders, keys = self._pops(2)
        found: Values = NOTHING
        for holder in holders:
            for key in keys:
                found = either(found, item_of(holder, key))
        self._mention(self, found)
        self._push(found)

    def _operator(self, instruction: dis.Instruction) -> None:
        left, right = self._pops(2)
        sign = instruction.argrepr
        if sign.endswith("=") and any(can_change(value) for value in left):
            self.change(left, sign)
        unordered = sign[:1] in _SET_OPERATORS and (is_unordered(left) or is_unordered(right))
        self._push((Unordered(),) if unordered else NOTHING)

    def _build_set(self, instruction: dis.Instruction) -> None:
        self._pops(instruction.arg or 0)
        self._push((Unordered(),))

    def _iterate(self, instruction: dis.Instruction) -> None:
        iterated = self._pop()
        settle(iterated)
        unordered = is_unordered(iterated)
        if unordered and instruction.opname == "GET_YIELD_FROM_ITER":
            self.breach(ORDER, "yields from it")
        self._push((Unordered(),) if unordered else NOTHING)

    def _contains(self, _: dis.Instruction) -> None:
        _item, holder = self._pops(2)
        settle(holder)
        self._push(NOTHING)

    def _loop(self, instruction: dis.Instruction) -> None:
        unordered = bool(self._stack) and is_unordered(self._stack[-1])
        if unordered and not self.code.co_name.startswith("<") and self._yields(instruction.offset, instruction.argval):
            self.breach(ORDER, "yields in a loop over it")
        self._push(NOTHING)

    def _yields(self, begin: int, end: int) -> bool:
        return any(each.opname == "YIELD_VALUE" and begin < each.offset < end for each in self._instructions)

    def _unpack(self, instruction: dis.Instruction) -> None:
        if self._stack and is_unordered(self._stack[-1]):
            self.breach(ORDER, "unpacks it")
        self._any(self._stack, instruction, jump=False)

    def _import(self, instruction: dis.Instruction) -> None:
        level, names = self._pops(2)
        name: str = instruction.argval
        self.breach(IMPORTS, name or "a module")
        relative = not (level and isinstance(level[0], Known) and level[0].value == 0)
        whole = bool(names) and isinstance(names[0], Known) and names[0].value is not None
        module = None if relative else sys.modules.get(name if whole else name.partition(".")[0])
        self._push(NOTHING if module is None else (Known(module),))

    def _import_from(self, instruction: dis.Instruction) -> None:
        self._push(self.attribute(self._stack[-1] if self._stack else NOTHING, instruction.argval))

    def _make_function(self, instruction: dis.Instruction) -> None:
        made = self._pop()
        if instruction.opname == "SET_FUNCTION_ATTRIBUTE":
            self._pop()
        elif sys.version_info < (3, 13):
            self._pops(sum(1 for flag in _CLOSURE_FLAGS if (instruction.arg or 0) & flag))
        self._push(made)

    def _keyword_names(self, instruction: dis.Instruction) -> None:
        # Not all versions of `dis` resolve it.
        self._keywords = self.code.co_consts[instruction.arg or 0]

    def _do_call(self, instruction: dis.Instruction) -> None:
        if instruction.opname == "CALL_KW":
            (names,) = self._pops(1)
            self._keywords = names[0].value if names and isinstance(names[0], Known) else ()  # type: ignore[assignment]  # as compiled
        given = self._pops(instruction.arg or 0)
        first, second = self._pops(2)
        callee = second if first is _NULL else first
        if first is not _NULL and second is not _NULL:
            given.insert(0, second)
        positional = given[: len(given) - len(self._keywords)]
        named = dict(zip(self._keywords, given[len(positional) :], strict=False))
        self._keywords = ()
        self._push(self._call(self, callee, positional, named))

    def _call_unpacked(self, instruction: dis.Instruction) -> None:
        self._pops(2 if (instruction.arg or 0) & 1 else 1)
        first, second = self._pops(2)
        self._push(self._call(self, second if first is _NULL else first, None, {}))

    def _copy(self, instruction: dis.Instruction) -> None:
        depth = instruction.arg or 1
        self._push(self._stack[-depth] if depth <= len(self._stack) else NOTHING)

    def _swap(self, instruction: dis.Instruction) -> None:
        depth = instruction.arg or 1
        while len(self._stack) < depth:
            self._stack.insert(0, NOTHING)
        self._stack[-depth], self._stack[-1] = self._stack[-1], self._stack[-depth]


def _joined(first: list[Values], second: list[Values]) -> list[Values]:
    """Two stacks that meet: compared from the top, since a part below may be unknown."""
    shorter = min(len(first), len(second))
    top = [either(a, b) for a, b in zip(first[-shorter:], second[-shorter:], strict=True)] if shorter else []
    return [*(first if len(first) > shorter else second)[:-shorter or None], *top]


def _on_names(do: Callable[[Frame, str], None]) -> Callable[[Frame, dis.Instruction], None]:
    """An instruction on one variable or, from 3.13 on, on two."""

    def step(frame: Frame, instruction: dis.Instruction) -> None:
        names: str | tuple[str, ...] = instruction.argval
        for name in (names,) if isinstance(names, str) else names:
            do(frame, name)

    return step


def _store_and_load(frame: Frame, instruction: dis.Instruction) -> None:
    stored, loaded = instruction.argval
    frame.store_local(stored)
    frame.load_local(loaded)


def _pass(frame: Frame, instruction: dis.Instruction) -> None:
    """It moves no values."""


_load, _store = _on_names(Frame.load_local), _on_names(Frame.store_local)
_STEPS: dict[str, Callable[[Frame, dis.Instruction], None]] = {
    **dict.fromkeys(("LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_AND_CLEAR", "LOAD_FAST_LOAD_FAST"), _load),
    **dict.fromkeys(("STORE_FAST", "STORE_FAST_STORE_FAST", "STORE_NAME"), _store),
    "STORE_FAST_LOAD_FAST": _store_and_load,
    "LOAD_DEREF": _on_names(Frame.load_cell),
    "STORE_DEREF": _on_names(Frame.store_cell),
    **dict.fromkeys(
        ("LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF", "LOAD_FROM_DICT_OR_GLOBALS"),
        Frame._load_from_class,
    ),
    "LOAD_GLOBAL": Frame._load_global,
    "LOAD_NAME": Frame._load_name,
    "LOAD_CONST": Frame._load_const,
    **dict.fromkeys(("LOAD_ATTR", "LOAD_METHOD"), Frame._load_attribute),
    "LOAD_SUPER_ATTR": Frame._load_super_attribute,
    **dict.fromkeys(("STORE_ATTR", "DELETE_ATTR"), Frame._store_attribute),
    **dict.fromkeys(("STORE_SUBSCR", "DELETE_SUBSCR", "STORE_SLICE"), Frame._store_item),
    **dict.fromkeys(("STORE_GLOBAL", "DELETE_GLOBAL"), Frame._store_global),
    "BINARY_SUBSCR": Frame._subscript,
    "BINARY_OP": Frame._operator,
    "BUILD_SET": Frame._build_set,
    **dict.fromkeys(("GET_ITER", "GET_YIELD_FROM_ITER"), Frame._iterate),
    "CONTAINS_OP": Frame._contains,
    "FOR_ITER": Frame._loop,
    **dict.fromkeys(("UNPACK_SEQUENCE", "UNPACK_EX"), Frame._unpack),
    "IMPORT_NAME": Frame._import,
    "IMPORT_FROM": Frame._import_from,
    **dict.fromkeys(("MAKE_FUNCTION", "SET_FUNCTION_ATTRIBUTE"), Frame._make_function),
    "KW_NAMES": Frame._keyword_names,
    "PRECALL": _pass,
    **dict.fromkeys(("CALL", "CALL_KW"), Frame._do_call),
    "CALL_FUNCTION_EX": Frame._call_unpacked,
    "PUSH_NULL": lambda frame, _: frame._push(_NULL),
    "COPY": Frame._copy,
    "SWAP": Frame._swap,
}
"""What each instruction does to the stack, where that matters; 3.11, 3.12 and 3.13 together. All others only move it."""
