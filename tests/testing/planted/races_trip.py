"""A trip of two bookings at once: repaired, and with three races planted."""

from __future__ import annotations

from datetime import timedelta

from procession import (
    Command,
    Effects,
    Event,
    Gateway,
    History,
    ProcessManager,
    after,
    cancel,
    end,
    folds,
    invariant,
    on,
    starts,
)


class TripWanted(Event, name="race.trip_wanted"):
    trip: str


class Booked(Event, name="race.booked"):
    trip: str
    part: str


class TurnedDown(Event, name="race.turned_down"):
    trip: str
    part: str


class Returned(Event, name="race.returned"):
    trip: str
    part: str


class Confirmed(Event, name="race.confirmed"):
    trip: str


class OfferLapsed(Event, name="race.offer_lapsed"):
    trip: str


class Book(Command, name="race.book"):
    trip: str
    part: str


class GiveBack(Command, name="race.give_back"):
    trip: str
    part: str


class Confirm(Command, name="race.confirm"):
    trip: str


class Trip(ProcessManager, name="race.trip", key="trip"):
    asked: frozenset[str] = frozenset()
    ours: frozenset[str] = frozenset()
    failures: int = 0

    @folds
    def was_wanted(self, wanted: TripWanted) -> Trip:
        return self.evolve(asked=frozenset({"flight", "hotel"}))

    @folds
    def was_booked(self, booked: Booked) -> Trip:
        return self.evolve(asked=self.asked - {booked.part}, ours=self.ours | {booked.part})

    @folds
    def was_turned_down(self, turned_down: TurnedDown) -> Trip:
        return self.evolve(asked=self.asked - {turned_down.part}, failures=self.failures + 1)

    @folds
    def has_lapsed(self, lapsed: OfferLapsed) -> Trip:
        return self.evolve(failures=self.failures + 1)

    @folds
    def was_returned(self, returned: Returned) -> Trip:
        return self.evolve(ours=self.ours - {returned.part})

    @starts
    def book_both(self, wanted: TripWanted) -> Effects:
        yield Book(wanted.trip, "flight")
        yield Book(wanted.trip, "hotel")
        yield after(timedelta(hours=1), OfferLapsed(wanted.trip))

    @on
    def confirm_or_give_back(self, booked: Booked) -> Effects:
        if self.failures:
            yield GiveBack(booked.trip, booked.part)
        elif not self.asked:
            yield cancel(OfferLapsed)
            yield Confirm(booked.trip)

    @on
    def fail(self, turned_down: TurnedDown) -> Effects:
        yield cancel(OfferLapsed)
        yield from self._give_back(turned_down.trip)
        if not self.asked and not self.ours:
            yield end("failed")

    @on
    def lapse(self, lapsed: OfferLapsed) -> Effects:
        yield from self._give_back(lapsed.trip)

    @on
    def undone(self, returned: Returned) -> Effects:
        if not self.asked and not self.ours:
            yield end("failed")

    @on
    def confirmed(self, confirmed: Confirmed) -> Effects:
        yield end("confirmed")

    def _give_back(self, trip: str) -> Effects:
        if self.failures == 1:
            yield from (GiveBack(trip, part) for part in sorted(self.ours))


class ConfirmedAfterFailed(Trip, name="race.trip.confirmed_after_failed", key="trip"):
    """The last answer confirms, whatever the others were."""

    @on
    def confirm_or_give_back(self, booked: Booked) -> Effects:
        if not self.asked:
            yield cancel(OfferLapsed)
            yield Confirm(booked.trip)
        elif self.failures:
            yield GiveBack(booked.trip, booked.part)


class StuckAfterDecline(Trip, name="race.trip.stuck_after_decline", key="trip"):
    """Who gets two refusals has nothing to give back, and so nothing that ends it."""

    @on
    def fail(self, turned_down: TurnedDown) -> Effects:
        yield cancel(OfferLapsed)
        yield from self._give_back(turned_down.trip)


class TimerAfterEnd(Trip, name="race.trip.timer_after_end", key="trip"):
    """A deadline for what is still to be returned: often there is nothing."""

    @on
    def undone(self, returned: Returned) -> Effects:
        yield after(timedelta(hours=1), OfferLapsed(returned.trip))
        if not self.asked and not self.ours:
            yield end("failed")


class Agency(Gateway, name="race.agency"):
    async def book(self, command: Book) -> Booked | TurnedDown:
        raise NotImplementedError

    async def give_back(self, command: GiveBack) -> Returned:
        raise NotImplementedError

    async def confirm(self, command: Confirm) -> Confirmed:
        raise NotImplementedError


GATEWAYS = (Agency,)


@invariant(Trip)
def confirms_whole_trips_only(history: History) -> bool:
    return not history.sent(Confirm) or not history.handled(TurnedDown, OfferLapsed)
