"""What each instruction does to the stack, where that matters; for the bytecode of 3.11, 3.12 and 3.13 together."""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable
from types import CodeType

from procession.laws.forbidden import CHANGES, IMPORTS, ORDER
from procession.laws.frame import Frame
from procession.laws.mutation import can_change
from procession.laws.values import (
    NOTHING,
    Known,
    Made,
    Unordered,
    Values,
    above,
    either,
    is_unordered,
    item_of,
    settle,
)

_NULL: Values = (Known(None),)
"""Stands under a function that is no method; told by identity."""
_JUMPS = frozenset({*dis.hasjrel, *dis.hasjabs})
_NEVER_PASSED = frozenset(
    "RETURN_VALUE RETURN_CONST RAISE_VARARGS RERAISE JUMP_FORWARD JUMP_BACKWARD JUMP_BACKWARD_NO_INTERRUPT".split()
)
_PUSH_NOTHING = frozenset(
    "POP_TOP POP_EXCEPT END_FOR LIST_APPEND SET_ADD MAP_ADD LIST_EXTEND SET_UPDATE DICT_UPDATE DICT_MERGE NOP CACHE"
    " RESUME MAKE_CELL COPY_FREE_VARS RETURN_GENERATOR TO_BOOL DELETE_FAST DELETE_NAME EXTENDED_ARG SETUP_ANNOTATIONS"
    " POP_JUMP_IF_FALSE POP_JUMP_IF_TRUE POP_JUMP_IF_NONE POP_JUMP_IF_NOT_NONE".split()
)
_SET_OPERATORS = frozenset("-&|^")
_CLOSURE_FLAGS = (1, 2, 4, 8)


def read(frame: Frame) -> None:
    """Read the code once, from the first instruction to the last."""
    arrivals: dict[int, list[Values]] = {}
    reachable = True
    for instruction in frame.instructions:
        positions = instruction.positions
        if positions is not None and positions.lineno is not None:
            frame.line = positions.lineno
        arrived = arrivals.pop(instruction.offset, None)
        if not reachable:
            frame.stack = arrived or []
        elif arrived is not None:
            frame.stack = _joined(frame.stack, arrived)
        if instruction.opcode in _JUMPS:
            _note_arrival(frame, instruction, arrivals)
        step = _STEPS.get(instruction.opname)
        if step is not None:
            step(frame, instruction)
        else:
            _move(frame.stack, instruction, jump=False)
        reachable = instruction.opname not in _NEVER_PASSED
    frame.close()


def _move(stack: list[Values], instruction: dis.Instruction, *, jump: bool) -> None:
    """An instruction whose values do not matter: only how many there are."""
    argument = instruction.arg if instruction.opcode >= dis.HAVE_ARGUMENT else None
    effect = dis.stack_effect(instruction.opcode, argument, jump=jump)
    if effect < 0:
        del stack[effect:]
    if instruction.opname not in _PUSH_NOTHING and instruction.opcode not in _JUMPS and stack:
        stack[-1] = NOTHING
    stack.extend([NOTHING] * effect)


def _note_arrival(frame: Frame, instruction: dis.Instruction, arrivals: dict[int, list[Values]]) -> None:
    target = instruction.argval
    if isinstance(target, int) and target > instruction.offset:
        stack = list(frame.stack)
        _move(stack, instruction, jump=True)
        known = arrivals.get(target)
        arrivals[target] = stack if known is None else _joined(stack, known)


def _joined(first: list[Values], second: list[Values]) -> list[Values]:
    """Two stacks that meet: compared from the top, since a part below may be unknown."""
    shorter = min(len(first), len(second))
    top = [either(a, b) for a, b in zip(first[-shorter:], second[-shorter:], strict=True)] if shorter else []
    return [*(first if len(first) > shorter else second)[: -shorter or None], *top]


def _load_global(frame: Frame, instruction: dis.Instruction) -> None:
    if (instruction.arg or 0) & 1:
        frame.push(_NULL)
    frame.load_global(instruction.argval)


def _load_name(frame: Frame, instruction: dis.Instruction) -> None:
    if instruction.argval in frame.variables:
        frame.load_local(instruction.argval)
    else:
        frame.load_global(instruction.argval)


def _load_from_class(frame: Frame, instruction: dis.Instruction) -> None:
    if instruction.opname == "LOAD_FROM_DICT_OR_GLOBALS":
        frame.pop()
        frame.load_global(instruction.argval)
    else:
        if instruction.opname == "LOAD_FROM_DICT_OR_DEREF":
            frame.pop()
        frame.load_cell(instruction.argval)


def _load_const(frame: Frame, instruction: dis.Instruction) -> None:
    value: object = instruction.argval
    if isinstance(value, CodeType):
        made = Made(value)
        frame.inner.append(made)
        frame.push((made,))
    else:
        frame.push((Known(value),))


def _load_attribute(frame: Frame, instruction: dis.Instruction) -> None:
    method = instruction.opname == "LOAD_METHOD" or (sys.version_info >= (3, 12) and bool((instruction.arg or 0) & 1))
    found = frame.attribute(frame.pop(), instruction.argval)
    if method:
        frame.push(_NULL)
    frame.push(found)


def _load_super_attribute(frame: Frame, instruction: dis.Instruction) -> None:
    *_, holder = frame.pops(3)
    found = frame.attribute(above(holder), instruction.argval)
    if (instruction.arg or 0) & 1:
        frame.push(_NULL)
    frame.push(found)


def _store_attribute(frame: Frame, instruction: dis.Instruction) -> None:
    frame.change(frame.pop(), f".{instruction.argval}")
    if instruction.opname == "STORE_ATTR":
        frame.pop()


def _store_item(frame: Frame, instruction: dis.Instruction) -> None:
    frame.pops(2 if instruction.opname == "STORE_SLICE" else 1)
    frame.change(frame.pop(), "an item")
    if instruction.opname != "DELETE_SUBSCR":
        frame.pop()


def _store_global(frame: Frame, instruction: dis.Instruction) -> None:
    if instruction.opname == "STORE_GLOBAL":
        frame.pop()
    frame.breach(CHANGES, f"the global {instruction.argval}")


def _subscript(frame: Frame, _: dis.Instruction) -> None:
    holders, keys = frame.pops(2)
    found: Values = NOTHING
    for holder in holders:
        for key in keys:
            found = either(found, item_of(holder, key))
    frame.mention(frame, found)
    frame.push(found)


def _operator(frame: Frame, instruction: dis.Instruction) -> None:
    left, right = frame.pops(2)
    sign = instruction.argrepr
    if sign.endswith("=") and any(can_change(value) for value in left):
        frame.change(left, sign)
    unordered = sign[:1] in _SET_OPERATORS and (is_unordered(left) or is_unordered(right))
    frame.push((Unordered(),) if unordered else NOTHING)


def _build_set(frame: Frame, instruction: dis.Instruction) -> None:
    frame.pops(instruction.arg or 0)
    frame.push((Unordered(),))


def _iterate(frame: Frame, instruction: dis.Instruction) -> None:
    iterated = frame.pop()
    settle(iterated)
    unordered = is_unordered(iterated)
    if unordered and instruction.opname == "GET_YIELD_FROM_ITER":
        frame.breach(ORDER, "yields from it")
    frame.push((Unordered(),) if unordered else NOTHING)


def _contains(frame: Frame, _: dis.Instruction) -> None:
    _item, holder = frame.pops(2)
    settle(holder)
    frame.push(NOTHING)


def _loop(frame: Frame, instruction: dis.Instruction) -> None:
    unordered = bool(frame.stack) and is_unordered(frame.stack[-1])
    if unordered and not frame.code.co_name.startswith("<") and _yields(frame, instruction.offset, instruction.argval):
        frame.breach(ORDER, "yields in a loop over it")
    frame.push(NOTHING)


def _yields(frame: Frame, begin: int, end: int) -> bool:
    return any(each.opname == "YIELD_VALUE" and begin < each.offset < end for each in frame.instructions)


def _unpack(frame: Frame, instruction: dis.Instruction) -> None:
    if frame.stack and is_unordered(frame.stack[-1]):
        frame.breach(ORDER, "unpacks it")
    _move(frame.stack, instruction, jump=False)


def _import(frame: Frame, instruction: dis.Instruction) -> None:
    level, names = frame.pops(2)
    name: str = instruction.argval
    frame.breach(IMPORTS, name or "a module")
    relative = not (level and isinstance(level[0], Known) and level[0].value == 0)
    whole = bool(names) and isinstance(names[0], Known) and names[0].value is not None
    module = None if relative else sys.modules.get(name if whole else name.partition(".")[0])
    frame.push(NOTHING if module is None else (Known(module),))


def _import_from(frame: Frame, instruction: dis.Instruction) -> None:
    frame.push(frame.attribute(frame.stack[-1] if frame.stack else NOTHING, instruction.argval))


def _make_function(frame: Frame, instruction: dis.Instruction) -> None:
    made = frame.pop()
    if instruction.opname == "SET_FUNCTION_ATTRIBUTE":
        frame.pop()
    elif sys.version_info < (3, 13):
        frame.pops(sum(1 for flag in _CLOSURE_FLAGS if (instruction.arg or 0) & flag))
    frame.push(made)


def _keyword_names(frame: Frame, instruction: dis.Instruction) -> None:
    # Not all versions of `dis` resolve it.
    frame.keywords = frame.code.co_consts[instruction.arg or 0]


def _do_call(frame: Frame, instruction: dis.Instruction) -> None:
    if instruction.opname == "CALL_KW":
        names = frame.pop()
        said = names[0].value if names and isinstance(names[0], Known) else ()
        frame.keywords = said if isinstance(said, tuple) else ()
    given = frame.pops(instruction.arg or 0)
    first, second = frame.pops(2)
    callee = second if first is _NULL else first
    if first is not _NULL and second is not _NULL:
        given.insert(0, second)
    positional = given[: len(given) - len(frame.keywords)]
    named = dict(zip(frame.keywords, given[len(positional) :], strict=False))
    frame.keywords = ()
    frame.push(frame.call(frame, callee, positional, named))


def _call_unpacked(frame: Frame, instruction: dis.Instruction) -> None:
    frame.pops(2 if (instruction.arg or 0) & 1 else 1)
    first, second = frame.pops(2)
    frame.push(frame.call(frame, second if first is _NULL else first, None, {}))


def _copy(frame: Frame, instruction: dis.Instruction) -> None:
    depth = instruction.arg or 1
    frame.push(frame.stack[-depth] if depth <= len(frame.stack) else NOTHING)


def _swap(frame: Frame, instruction: dis.Instruction) -> None:
    depth = instruction.arg or 1
    while len(frame.stack) < depth:
        frame.stack.insert(0, NOTHING)
    frame.stack[-depth], frame.stack[-1] = frame.stack[-1], frame.stack[-depth]


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
        _load_from_class,
    ),
    "LOAD_GLOBAL": _load_global,
    "LOAD_NAME": _load_name,
    "LOAD_CONST": _load_const,
    **dict.fromkeys(("LOAD_ATTR", "LOAD_METHOD"), _load_attribute),
    "LOAD_SUPER_ATTR": _load_super_attribute,
    **dict.fromkeys(("STORE_ATTR", "DELETE_ATTR"), _store_attribute),
    **dict.fromkeys(("STORE_SUBSCR", "DELETE_SUBSCR", "STORE_SLICE"), _store_item),
    **dict.fromkeys(("STORE_GLOBAL", "DELETE_GLOBAL"), _store_global),
    "BINARY_SUBSCR": _subscript,
    "BINARY_OP": _operator,
    "BUILD_SET": _build_set,
    **dict.fromkeys(("GET_ITER", "GET_YIELD_FROM_ITER"), _iterate),
    "CONTAINS_OP": _contains,
    "FOR_ITER": _loop,
    **dict.fromkeys(("UNPACK_SEQUENCE", "UNPACK_EX"), _unpack),
    "IMPORT_NAME": _import,
    "IMPORT_FROM": _import_from,
    **dict.fromkeys(("MAKE_FUNCTION", "SET_FUNCTION_ATTRIBUTE"), _make_function),
    "KW_NAMES": _keyword_names,
    "PRECALL": _pass,
    **dict.fromkeys(("CALL", "CALL_KW"), _do_call),
    "CALL_FUNCTION_EX": _call_unpacked,
    "PUSH_NULL": lambda frame, _: frame.push(_NULL),
    "COPY": _copy,
    "SWAP": _swap,
}
"""All other instructions only move the stack."""
