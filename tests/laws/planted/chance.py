"""Clock, chance, environment and hash order, each by its plain name, each with a twin that takes it from the event."""

from __future__ import annotations

import os
import random
import time
from datetime import UTC, datetime
from uuid import NAMESPACE_OID, uuid4, uuid5

from procession import Effects, ProcessManager, folds, on, starts
from tests.laws.planted.breach import Breach
from tests.laws.planted.messages import Note, Paid, Placed


class Clock(ProcessManager, name="planted.clock", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, f"{time.time()}")


class ClockGiven(ProcessManager, name="planted.clock_given", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, f"{placed.at.timestamp()}")


class Monotonic(ProcessManager, name="planted.monotonic", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, str(time.monotonic()))


class Now(ProcessManager, name="planted.now", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, datetime.now(UTC).isoformat())


class NowGiven(ProcessManager, name="planted.now_given", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, datetime.fromtimestamp(placed.at.timestamp(), UTC).isoformat())


class NowInFold(ProcessManager, name="planted.now_in_fold", key="order_id"):
    second: int = 0

    @starts
    def begin(self, placed: Placed) -> None: ...

    @folds
    def was_placed(self, placed: Placed) -> NowInFold:
        return self.evolve(second=datetime.now(UTC).microsecond)

    @on
    def note(self, paid: Paid) -> Effects:
        yield Note(paid.order_id, str(self.second))


class TimeInFold(ProcessManager, name="planted.time_in_fold", key="order_id"):
    second: int = 0

    @starts
    def begin(self, placed: Placed) -> None: ...

    @folds
    def was_placed(self, placed: Placed) -> TimeInFold:
        return self.evolve(second=placed.at.second)

    @on
    def note(self, paid: Paid) -> Effects:
        yield Note(paid.order_id, str(self.second))


class Chance(ProcessManager, name="planted.chance", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, str(random.random()))


class ChanceSeeded(ProcessManager, name="planted.chance_seeded", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, str(random.Random(placed.token).random()))


class ChanceUnseeded(ProcessManager, name="planted.chance_unseeded", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, str(random.Random().random()))


class RandomId(ProcessManager, name="planted.random_id", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, uuid4().hex)


class NamedId(ProcessManager, name="planted.named_id", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, uuid5(NAMESPACE_OID, placed.token).hex)


class SystemChance(ProcessManager, name="planted.system_chance", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, os.urandom(8).hex())


class Environment(ProcessManager, name="planted.environment", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, os.environ.get("HOME", "nowhere"))


class EnvironmentAsked(ProcessManager, name="planted.environment_asked", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, str(os.getenv("HOME")))


class EnvironmentGiven(ProcessManager, name="planted.environment_given", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, os.path.join("/home", placed.token))  # noqa: PTH118 - pure, and of os


class Address(ProcessManager, name="planted.address", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, str(id(placed)))


class Identity(ProcessManager, name="planted.identity", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        id = placed.token
        yield Note(placed.order_id, id)


class HashOfText(ProcessManager, name="planted.hash_of_text", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, str(hash(placed.token)))


class SetOrder(ProcessManager, name="planted.set_order", key="order_id"):
    items: frozenset[str] = frozenset()

    @folds
    def was_placed(self, placed: Placed) -> SetOrder:
        return self.evolve(items=frozenset(placed.items))

    @starts
    def note(self, placed: Placed) -> Effects:
        for item in self.items:
            yield Note(placed.order_id, item)


class SetSorted(ProcessManager, name="planted.set_sorted", key="order_id"):
    items: frozenset[str] = frozenset()

    @folds
    def was_placed(self, placed: Placed) -> SetSorted:
        return self.evolve(items=frozenset(placed.items))

    @starts
    def note(self, placed: Placed) -> Effects:
        for item in sorted(self.items):
            if any(item < other for other in self.items):
                yield Note(placed.order_id, item)


class SetLiteralOrder(ProcessManager, name="planted.set_literal_order", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        yield Note(placed.order_id, ",".join({placed.token, *placed.items}))


class SetLiteralAsked(ProcessManager, name="planted.set_literal_asked", key="order_id"):
    @starts
    def note(self, placed: Placed) -> Effects:
        if placed.token in {"letter", "parcel"}:
            yield Note(placed.order_id, ",".join(sorted({placed.token, *placed.items})))


class SetListed(ProcessManager, name="planted.set_listed", key="order_id"):
    """The list is made by a comprehension, which keeps no trace of where its items came from."""

    @starts
    def note(self, placed: Placed) -> Effects:
        names = [item.upper() for item in frozenset(placed.items)]
        yield Note(placed.order_id, names[0])


CHANCE = (
    Breach("clock", "LAW03", "refused", lambda: Clock, lambda: ClockGiven),
    Breach("monotonic clock", "LAW03", "refused", lambda: Monotonic, lambda: ClockGiven),
    Breach("datetime.now", "LAW03", "refused", lambda: Now, lambda: NowGiven),
    Breach("datetime.now in a fold", "LAW03", "refused", lambda: NowInFold, lambda: TimeInFold),
    Breach("random", "LAW03", "refused", lambda: Chance, lambda: ChanceSeeded),
    Breach("a generator without a seed", "LAW03", "refused", lambda: ChanceUnseeded, lambda: ChanceSeeded),
    Breach("uuid4", "LAW03", "refused", lambda: RandomId, lambda: NamedId),
    Breach("os.urandom", "LAW03", "refused", lambda: SystemChance, lambda: NamedId),
    Breach("os.environ", "LAW03", "refused", lambda: Environment, lambda: EnvironmentGiven),
    Breach("os.getenv", "LAW03", "refused", lambda: EnvironmentAsked, lambda: EnvironmentGiven),
    Breach("id()", "LAW03", "refused", lambda: Address, lambda: Identity),
    Breach("hash() of a text", "LAW03", "found", lambda: HashOfText, lambda: NamedId),
    Breach("order of a set in the state", "LAW03", "found", lambda: SetOrder, lambda: SetSorted),
    Breach("order of a set literal", "LAW03", "found", lambda: SetLiteralOrder, lambda: SetLiteralAsked),
    Breach("order of a set through a list comprehension", "LAW03", "missed", lambda: SetListed, lambda: SetSorted),
)
