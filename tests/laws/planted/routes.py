"""The same impurities by another way: alias, helper, closure, default, partial, getattr, attribute of an argument."""

from __future__ import annotations

import datetime as dates
import email.utils
import functools
import operator
import os as system
import time
import time as seconds
from collections.abc import Callable, Iterator
from pathlib import Path
from time import time as now
from typing import Any
from uuid import uuid4

import attrs

from procession import Attempt, Command, Effects, Event, Gateway, ProcessManager, after, on, starts
from tests.laws.planted import elsewhere
from tests.laws.planted.breach import PLACED_AT, Breach, placed_and_paid
from tests.laws.planted.elsewhere import SHELF, deep_stamp, shout, stamp, stamp_of
from tests.laws.planted.messages import Note, Paid, Placed

NOW = functools.partial(dates.datetime.now, dates.UTC)
UPPER = functools.partial(str.upper)
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.time}
LABELS: dict[str, Callable[[str], str]] = {"letter": str.upper}


class ByAlias(ProcessManager, name="planted.by_alias", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, str(now()))


class ByModuleAlias(ProcessManager, name="planted.by_module_alias", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, str(seconds.monotonic_ns()))


class ByLocalAlias(ProcessManager, name="planted.by_local_alias", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        library = system
        read = library.getcwd
        yield Note(placed.order_id, read())


class AliasOfPure(ProcessManager, name="planted.alias_of_pure", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        library = system
        now = library.fspath
        yield Note(placed.order_id, now(placed.token))


def local_stamp() -> str:
    return f"{time.time_ns()}"


class ByHelper(ProcessManager, name="planted.by_helper", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, local_stamp())


class ByHelperElsewhere(ProcessManager, name="planted.by_helper_elsewhere", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, stamp())


class ByHelperOfModule(ProcessManager, name="planted.by_helper_of_module", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, elsewhere.stamp())


class ByTwoHelpers(ProcessManager, name="planted.by_two_helpers", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, deep_stamp())


class HelperOfPure(ProcessManager, name="planted.helper_of_pure", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, stamp_of(placed.at) + elsewhere.shout_by_default(placed.token))


def closing_over(read: Callable[[], float]) -> type[ProcessManager]:
    class ByClosure(ProcessManager, name="planted.by_closure", key="order_id"):
        @starts
        def note(self, placed: Placed) -> Effects:
            yield Note(placed.order_id, str(read()))

    return ByClosure


class ByDefault(ProcessManager, name="planted.by_default", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, elsewhere.stamp_by_default())


class ByKeywordDefault(ProcessManager, name="planted.by_keyword_default", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, elsewhere.stamp_by_keyword())


class ByDefaultOfDefinition(ProcessManager, name="planted.by_default_of_definition", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, elsewhere.stamp_at_definition())


class ByConstant(ProcessManager, name="planted.by_constant", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, str(elsewhere.STARTED))


class ByPartial(ProcessManager, name="planted.by_partial", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, NOW().isoformat())


class ByPartialMadeHere(ProcessManager, name="planted.by_partial_made_here", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        read = functools.partial(Path.read_bytes, Path(system.devnull))
        yield Note(placed.order_id, read().hex())


class PartialOfPure(ProcessManager, name="planted.partial_of_pure", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, UPPER(placed.token) + functools.partial(stamp_of, placed.at)())


class ByGetattr(ProcessManager, name="planted.by_getattr", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, str(getattr(time, "time")()))  # noqa: B009 - what is to be found


class ByGetattrOfFolder(ProcessManager, name="planted.by_getattr_of_folder", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, str(getattr(system, "listdir")("/")))  # noqa: B009 - what is to be found


class ByGetattrComputed(ProcessManager, name="planted.by_getattr_computed", key="order_id"):
    """The name is known only when the turn runs."""

    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, str(getattr(time, f"{placed.token[:0]}time")()))


class GetattrOfPure(ProcessManager, name="planted.getattr_of_pure", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, getattr(placed, "token") + getattr(system, "sep"))  # noqa: B009 - as its twin


class ByOperator(ProcessManager, name="planted.by_operator", key="order_id"):
    """What an attrgetter will be called with is known only when the turn runs."""

    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, str(operator.methodcaller("time")(time)))


class Waited(Event, name="planted.waited"):
    """It can say how old it is, and it can't without a clock."""

    order_id: str
    at: dates.datetime

    @property
    def age(self) -> dates.timedelta:
        return dates.datetime.now(dates.UTC) - self.at

    @property
    def day(self) -> dates.date:
        return self.at.date()

    def older_than(self, other: dates.timedelta) -> bool:
        return self.age > other

    def before(self, other: dates.datetime) -> bool:
        return self.at < other


def placed_and_waited() -> tuple[Event, ...]:
    return placed_and_paid()[0], Waited("o1", PLACED_AT)


class ByPropertyOfEvent(ProcessManager, name="planted.by_property_of_event", key="order_id"):
    @starts
    def begin(self, placed: Placed) -> None: ...

    @on
    def note(self, waited: Waited) -> Effects:
        yield Note(waited.order_id, str(waited.age))


class ByMethodOfEvent(ProcessManager, name="planted.by_method_of_event", key="order_id"):
    @starts
    def begin(self, placed: Placed) -> None: ...

    @on
    def note(self, waited: Waited | Paid) -> Effects:
        late = not isinstance(waited, Paid) and waited.older_than(dates.timedelta(days=1))
        yield Note(waited.order_id, str(late))


class PropertyOfEvent(ProcessManager, name="planted.property_of_event", key="order_id"):
    @starts
    def begin(self, placed: Placed) -> None: ...

    @on
    def note(self, waited: Waited) -> Effects:
        yield Note(waited.order_id, f"{waited.day} {waited.before(PLACED_AT)}")


class ByMethodOfState(ProcessManager, name="planted.by_method_of_state", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, self._stamp())

    def _stamp(self) -> str:
        return str(time.perf_counter())


class ByClassAttribute(ProcessManager, name="planted.by_class_attribute", key="order_id"):
    clock = staticmethod(time.time)

    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, str(self.clock()))


class MethodOfState(ProcessManager, name="planted.method_of_state", key="order_id"):
    clock = staticmethod(stamp_of)

    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, self._stamp(placed) + self.clock(placed.at))

    def _stamp(self, placed: Placed) -> str:
        return placed.token


class ByAttributeChain(ProcessManager, name="planted.by_attribute_chain", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, SHELF.watch.now())


class ChainOfPure(ProcessManager, name="planted.chain_of_pure", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, SHELF.watch.label)


class ByLambda(ProcessManager, name="planted.by_lambda", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, max(placed.items, key=lambda item: f"{time.time()}{item}"))


class ByComprehension(ProcessManager, name="planted.by_comprehension", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        stamps = [(item, now()) for item in placed.items]
        yield Note(placed.order_id, str(stamps[0]))


class ByInnerFunction(ProcessManager, name="planted.by_inner_function", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        clock = time.time

        def stamps() -> Iterator[str]:
            for item in placed.items:
                yield f"{item} {clock()}"

        yield Note(placed.order_id, next(stamps()))


class InnerOfPure(ProcessManager, name="planted.inner_of_pure", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        token = placed.token

        def stamps() -> Iterator[str]:
            for item in placed.items:
                yield f"{item} {token}"

        yield Note(placed.order_id, max([*stamps()], key=lambda item: item[::-1]))


class ByCache(ProcessManager, name="planted.by_cache", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, elsewhere.home())


class CacheOfPure(ProcessManager, name="planted.cache_of_pure", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, shout(placed.token))


class ByTable(ProcessManager, name="planted.by_table", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, str(CLOCKS["wall"]()))


class ByTableComputed(ProcessManager, name="planted.by_table_computed", key="order_id"):
    """Which entry is meant is known only when the turn runs."""

    @starts
    def note(self, placed: Placed) -> Effects:
        read: Callable[[], Any] = CLOCKS.get(placed.token, CLOCKS[min(CLOCKS)])
        yield Note(placed.order_id, str(read()))


class TableOfPure(ProcessManager, name="planted.table_of_pure", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, LABELS["letter"](placed.token))


class Numbered(Command, name="planted.numbered"):
    """Each one that is made draws an id."""

    order_id: str
    number: str = attrs.field(factory=lambda: uuid4().hex)


class Numbers(Gateway, name="planted_numbers"):
    async def number(self, command: Numbered, attempt: Attempt) -> None: ...


class ByFieldFactory(ProcessManager, name="planted.by_field_factory", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Numbered(placed.order_id)


class FieldGiven(ProcessManager, name="planted.field_given", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Numbered(placed.order_id, placed.token)


class ByStandardLibrary(ProcessManager, name="planted.by_standard_library", key="order_id"):
    """The clock is read deep inside of a library's function, which is not looked into."""

    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, email.utils.make_msgid())


class LibraryOfPure(ProcessManager, name="planted.library_of_pure", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield after(dates.timedelta(minutes=1), Waited(placed.order_id, placed.at))
        yield Note(placed.order_id, email.utils.format_datetime(placed.at))

    @on
    def waited(self, waited: Waited) -> None: ...


ROUTES = (
    Breach("clock by alias", "LAW03", "refused", lambda: ByAlias, lambda: AliasOfPure),
    Breach("clock by an alias of its module", "LAW03", "refused", lambda: ByModuleAlias, lambda: AliasOfPure),
    Breach("working directory by local alias", "LAW03", "refused", lambda: ByLocalAlias, lambda: AliasOfPure),
    Breach("clock by helper", "LAW03", "refused", lambda: ByHelper, lambda: HelperOfPure),
    Breach("clock by helper in another module", "LAW03", "refused", lambda: ByHelperElsewhere, lambda: HelperOfPure),
    Breach("clock by helper of a module", "LAW03", "refused", lambda: ByHelperOfModule, lambda: HelperOfPure),
    Breach("clock by helper of a helper", "LAW03", "refused", lambda: ByTwoHelpers, lambda: HelperOfPure),
    Breach("clock by closure", "LAW03", "refused", lambda: closing_over(time.time), lambda: closing_over(float)),
    Breach("clock by default argument", "LAW03", "refused", lambda: ByDefault, lambda: HelperOfPure),
    Breach("clock by keyword default", "LAW03", "refused", lambda: ByKeywordDefault, lambda: HelperOfPure),
    Breach("default argument from the clock", "LAW03", "missed", lambda: ByDefaultOfDefinition, lambda: HelperOfPure),
    Breach("constant from the clock", "LAW03", "missed", lambda: ByConstant, lambda: HelperOfPure),
    Breach("clock by partial", "LAW03", "refused", lambda: ByPartial, lambda: PartialOfPure),
    Breach("file by partial", "LAW04", "refused", lambda: ByPartialMadeHere, lambda: PartialOfPure),
    Breach("clock by getattr", "LAW03", "refused", lambda: ByGetattr, lambda: GetattrOfPure),
    Breach("folder by getattr", "LAW04", "refused", lambda: ByGetattrOfFolder, lambda: GetattrOfPure),
    Breach("clock by a computed getattr", "LAW03", "missed", lambda: ByGetattrComputed, lambda: GetattrOfPure),
    Breach("clock by operator.methodcaller", "LAW03", "missed", lambda: ByOperator, lambda: GetattrOfPure),
    Breach(
        "clock by property of the event",
        "LAW03",
        "refused",
        lambda: ByPropertyOfEvent,
        lambda: PropertyOfEvent,
        history=placed_and_waited,
    ),
    Breach(
        "clock by method of the event",
        "LAW03",
        "refused",
        lambda: ByMethodOfEvent,
        lambda: PropertyOfEvent,
        history=placed_and_waited,
    ),
    Breach("clock by method of the state", "LAW03", "refused", lambda: ByMethodOfState, lambda: MethodOfState),
    Breach("clock by attribute of the class", "LAW03", "refused", lambda: ByClassAttribute, lambda: MethodOfState),
    Breach("clock by attribute chain", "LAW03", "refused", lambda: ByAttributeChain, lambda: ChainOfPure),
    Breach("clock by lambda", "LAW03", "refused", lambda: ByLambda, lambda: InnerOfPure),
    Breach("clock by comprehension", "LAW03", "refused", lambda: ByComprehension, lambda: InnerOfPure),
    Breach("clock by inner function", "LAW03", "refused", lambda: ByInnerFunction, lambda: InnerOfPure),
    Breach("environment by cached helper", "LAW03", "refused", lambda: ByCache, lambda: CacheOfPure),
    Breach("clock by table", "LAW03", "refused", lambda: ByTable, lambda: TableOfPure),
    Breach("clock by a computed table entry", "LAW03", "missed", lambda: ByTableComputed, lambda: TableOfPure),
    Breach("uuid4 by field factory of a command", "LAW03", "refused", lambda: ByFieldFactory, lambda: FieldGiven),
    Breach("clock inside of a library", "LAW03", "missed", lambda: ByStandardLibrary, lambda: LibraryOfPure),
)
