"""The static layer: what handlers, keys and rules of a flow reach for, found in their bytecode, without running them.

From each handler it follows the user's own functions, wherever they are, with what is known of their arguments. It sees
real objects, so an alias hides nothing. What it can't see: names that are put together while the turn runs, values that
were read from the clock when a module was imported, and what happens inside of libraries.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import CodeType, FunctionType

import attrs

from procession.laws.calls import Calls
from procession.laws.finding import Finding
from procession.laws.forbidden import Forbidden, Judge, judge
from procession.laws.frame import Frame
from procession.laws.instructions import read
from procession.laws.values import NOTHING, Instance, Known, Made, Value, Values, either, hints_of, typed
from procession.primitives.decisions import AggregateDefinition
from procession.primitives.definition import Definition
from procession.primitives.envelope import Envelope
from procession.primitives.event import Event, FailureEvent
from procession.primitives.handlers import Handler, KeySpec, Trigger
from procession.primitives.history import History
from procession.primitives.invariant import Invariant
from procession.primitives.process import ProcessManager
from procession.primitives.state import State

_ENTERED_MAX = 5000
"""Functions that are followed from one handler; no handler of a sane size comes near."""
_DEPTH_MAX = 50
_PURITY = frozenset({"LAW01", "LAW02", "LAW03", "LAW04", "LAW06", "LAW07"})


def _nothing_wrong(holder: Value, name: str) -> Forbidden | None:  # noqa: ARG001 - as `peek` is called
    return None


def _as_it_is(forbidden: Forbidden) -> Forbidden:
    return forbidden


@attrs.frozen
class Impurity:
    """One breach, with the functions through which it was reached, the innermost first."""

    forbidden: Forbidden
    what: str
    path: str
    line: int
    subject: str
    through: tuple[FunctionType, ...]
    owner: type | None = None
    """The class whose handler it is."""

    def finding(self) -> Finding:
        """It, as a check reports it."""
        # What a decorator wraps has the name of its wrapper, and is said once.
        inner = list(dict.fromkeys(f"{function.__qualname__}()" for function in self.through[-2::-1]))
        by = f" by {' and '.join(inner)}" if inner else ""
        found = f"{self.forbidden.does}{by}: {self.what}"
        return Finding(self.path, self.line, self.forbidden.code, self.subject, found, self.forbidden.cure)


@attrs.define(eq=False)
class Scan:
    """What was found from one entry on, and which functions were looked into."""

    package: str
    subject: str
    owner: type | None = None
    failure: bool = False
    """The handler answers a failure event."""
    codes: frozenset[str] = _PURITY
    """What is looked for."""
    judge: Judge = judge
    instead: Callable[[Forbidden], Forbidden] = attrs.field(default=_as_it_is)
    """What is said of a breach, where another law or cure says more of it."""
    peek: Callable[[Value, str], Forbidden | None] = attrs.field(default=_nothing_wrong)
    """What is wrong with asking an object for an attribute."""
    asked: list[tuple[str, Values]] = attrs.field(factory=list)
    """The effects that are made: the name of the function, and what a timer's event or a cancelled timer may be."""
    found: list[Impurity] = attrs.field(factory=list)
    entered: dict[object, FunctionType] = attrs.field(factory=dict)
    _through: list[FunctionType] = attrs.field(factory=list)

    def follow(self, function: FunctionType, arguments: dict[str, Values]) -> None:
        """Read a function, and what it calls of the user's own."""
        key = (function, tuple(sorted((name, _identity(values)) for name, values in arguments.items() if values)))
        if key in self.entered or len(self.entered) >= _ENTERED_MAX or len(self._through) >= _DEPTH_MAX:
            return
        self.entered[key] = function
        variables, fresh = self._variables(function, arguments)
        self._through.append(function)
        callees: list[tuple[FunctionType, dict[str, Values]]] = []
        calls = self._calls(callees)
        self._read(function, function.__code__, variables, fresh, None, calls)
        for callee, given in callees:
            self.follow(callee, given)
        self._through.pop()

    def look_at_defaults(self, cls: type, line: int, path: str) -> None:
        """What making an object of a class without arguments runs."""
        callees: list[tuple[FunctionType, dict[str, Values]]] = []
        calls = self._calls(callees)
        calls.construct(lambda forbidden, what: self._add(forbidden, what, path, line), cls, (), {})
        for callee, given in callees:
            self.follow(callee, given)

    def is_own(self, thing: object) -> bool:
        """Whether a function or class is the user's: of the package of the flow, or of no library."""
        module = str(getattr(thing, "__module__", None) or "")
        root = module.partition(".")[0]
        code = getattr(thing, "__code__", None)
        if isinstance(code, CodeType) and code.co_filename.startswith(("<attrs generated", "<string>")):
            return False
        if f"{module}.".startswith(f"{self.package}."):
            return True
        if root in sys.stdlib_module_names or root in _LIBRARIES:
            return False
        file = str(getattr(sys.modules.get(root), "__file__", "") or "")
        return "site-packages" not in file and "dist-packages" not in file

    def _calls(self, callees: list[tuple[FunctionType, dict[str, Values]]]) -> Calls:
        def enter(function: FunctionType, arguments: dict[str, Values]) -> None:
            callees.append((function, arguments))

        return Calls(enter, self.is_own, self.judge, self._ask)

    def _ask(self, effect: str, given: Sequence[Values]) -> None:
        number = 1 if effect in ("after", "at") else 0
        self.asked.append((effect, given[number] if number < len(given) else NOTHING))

    def _variables(
        self, function: FunctionType, arguments: dict[str, Values]
    ) -> tuple[dict[str, Values], frozenset[str]]:
        """What is known of the arguments: what is given, else the default, else what the annotation says."""
        code = function.__code__
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        defaults = dict(zip(names[: code.co_argcount][::-1], (function.__defaults__ or ())[::-1], strict=False))
        defaults |= function.__kwdefaults__ or {}
        variables = dict(arguments)
        fresh = set()
        for name in names:
            if variables.get(name):
                continue
            if name in defaults and name not in arguments:
                variables[name] = (Known(defaults[name]),)
                fresh.add(name)
            elif function.__annotations__.get(name) is not None:
                variables[name] = typed(hints_of(function).get(name))
        return variables, frozenset(fresh)

    def _read(
        self,
        function: FunctionType,
        code: CodeType,
        variables: dict[str, Values],
        fresh: frozenset[str],
        around: Frame | None,
        calls: Calls,
    ) -> None:
        frame = Frame(
            function,
            code,
            variables,
            fresh=fresh,
            around=around,
            failure=self.failure,
            report=lambda forbidden, what, where, line: self._add(forbidden, what, where.co_filename, line),
            mention=calls.mention,
            call=calls.call,
            peek=self.peek,
        )
        read(frame)
        for made in frame.inner:
            self._read(function, made.code, dict(made.arguments), frozenset(), frame, calls)

    def _add(self, forbidden: Forbidden, what: str, path: str, line: int) -> None:
        forbidden = self.instead(forbidden)
        if forbidden.code not in self.codes:
            return
        impurity = Impurity(forbidden, what, path, line, self.subject, tuple(self._through[::-1]), self.owner)
        if all((known.forbidden, known.what, known.line) != (forbidden, what, line) for known in self.found):
            self.found.append(impurity)


def scan_process(definition: Definition) -> Iterator[Scan]:
    """Each handler of a process, its keys, and the defaults of its state; one scan each."""
    cls, options = definition.cls, definition.cls.__process__
    package = _package_of(cls)
    handlers = [handler.resolve(cls, options.key) for handler in cls.__handlers__]
    path, _, line = options.site.rpartition(":")
    state = Scan(package, cls.__name__, cls)
    state.look_at_defaults(cls, int(line), path)
    yield state
    for handler in handlers:
        yield _scan_handler(package, cls, handler)
    events = tuple(trigger for trigger in definition.reactions if isinstance(trigger, type))
    yield from _scan_key(package, cls, cls.__name__, options.key, events)
    for handler in handlers:
        yield from _scan_key(package, cls, f"{cls.__name__}.{handler.name}", handler.mark.key, handler.triggers)


def scan_aggregate(definition: AggregateDefinition) -> Iterator[Scan]:
    """Each fold and each decision of an aggregate, its keys, and the defaults of its state; one scan each."""
    cls, options = definition.cls, definition.cls.__aggregate__
    package = _package_of(cls)
    path, _, line = options.site.rpartition(":")
    state = Scan(package, cls.__name__, cls)
    state.look_at_defaults(cls, int(line), path)
    yield state
    for handler in cls.__handlers__:
        if handler.mark.kind == "apply":
            yield _scan_handler(package, cls, handler.resolve(cls, options.key))
    decisions = list({id(decision): decision for decision in definition.decisions.values()}.values())
    for decision in decisions:
        yield _scan_method(package, cls, decision.handler, _instances(decision.commands), failure=False)
    keys: list[tuple[str, KeySpec]] = [(cls.__name__, options.key)]
    keys += [(f"{cls.__name__}.{decision.name}", decision.handler.mark.key) for decision in decisions]
    for subject, key in keys:
        if isinstance(key, FunctionType):
            scan = Scan(package, subject, cls)
            scan.follow(key, {_first(key): _instances(definition.decisions)})
            yield scan


def scan_rule(rule: Invariant) -> Scan:
    """An invariant: what judges a history must be as pure as what made it."""
    assert isinstance(rule.judge, FunctionType), "@invariant takes functions only"
    scan = Scan(_package_of(rule.judge), rule.judge.__qualname__, rule.process)
    scan.follow(rule.judge, {_first(rule.judge): (Instance(History),)})
    return scan


def scan_function(function: Callable[..., object], subject: str, *arguments: type) -> Scan:
    """Any other function that must be pure: a lift of an old event, say.

    Args:
        function: the function.
        subject: what findings call it.
        arguments: the classes of its arguments, in order, where its annotations do not say them.
    """
    if not isinstance(function, FunctionType):
        return Scan("", subject)
    scan = Scan(_package_of(function), subject)
    names = function.__code__.co_varnames
    scan.follow(function, {name: (Instance(cls),) for name, cls in zip(names, arguments, strict=False)})
    return scan


def _scan_handler(package: str, cls: type[State], handler: Handler) -> Scan:
    failure = any(issubclass(_event_of(trigger), FailureEvent) for trigger in handler.triggers)
    return _scan_method(package, cls, handler, _events(handler.triggers), failure=failure)


def _scan_method(package: str, cls: type[State], handler: Handler, messages: Values, *, failure: bool) -> Scan:
    scan = Scan(package, f"{cls.__name__}.{handler.name}", cls, failure)
    method = handler.method
    assert isinstance(method, FunctionType), "marks take functions only"
    names = method.__code__.co_varnames[: method.__code__.co_argcount]
    known: list[Values] = [(Instance(cls),), messages, (Instance(Envelope),)]
    scan.follow(method, dict(zip(names, known, strict=False)))
    return scan


def _scan_key(
    package: str, cls: type[ProcessManager], subject: str, key: KeySpec, triggers: Iterable[Trigger]
) -> Iterator[Scan]:
    if isinstance(key, FunctionType):
        scan = Scan(package, subject, cls)
        scan.follow(key, {_first(key): _events(triggers)})
        yield scan


def _events(triggers: Iterable[Trigger]) -> Values:
    return _instances(_event_of(trigger) for trigger in triggers)


def _instances(classes: Iterable[type]) -> Values:
    found: Values = NOTHING
    for cls in classes:
        found = either(found, (Instance(cls),))
    return found


def _event_of(trigger: Trigger) -> type[Event]:
    return trigger[0] if isinstance(trigger, tuple) else trigger


def _first(function: FunctionType) -> str:
    return function.__code__.co_varnames[0] if function.__code__.co_argcount else ""


def _identity(values: Values) -> tuple[object, ...]:
    return tuple(sorted(_of(value) for value in values))


def _of(value: Value) -> tuple[str, int]:
    match value:
        case Known(thing):
            return "known", id(thing)
        case Instance(cls):
            return f"instance{value.new}{value.above}", id(cls)
        case Made(code):
            return "made", id(code)
    return type(value).__name__, 0


_LIBRARIES = frozenset({"procession", "attr", "attrs", "cattrs", "trio", "aiosqlite", "orjson", "opentelemetry"})


def _package_of(thing: type | Callable[..., object]) -> str:
    """The package whose code is the author's own; of what comes with this library, its own part of it."""
    names = thing.__module__.split(".")
    return ".".join(names[:2]) if names[0] == _OURS else names[0]


_OURS = __name__.partition(".")[0]
