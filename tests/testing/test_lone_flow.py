"""One flow by itself does what the engine does with facts, with what waits for a start, and after the end."""

from __future__ import annotations

from procession import Command, Effects, Event, ProcessManager, end, folds, on, record, starts
from procession.engine.turn import FACTS_DEPTH_MAX
from procession.testing.scenario import given


class Sown(Event, name="bean.sown"):
    bean: str


class Watered(Event, name="bean.watered"):
    bean: str


class Grown(Event, name="bean.grown"):
    bean: str


class Eaten(Event, name="bean.eaten"):
    bean: str


class Split(Event, name="bean.split"):
    bean: str


class Cook(Command, name="bean.cook"):
    bean: str


class Bean(ProcessManager, name="bean", key="bean"):
    height: int = 0

    @starts
    def sow(self, sown: Sown) -> None: ...

    @folds
    def grow(self, grown: Grown) -> Bean:
        return self.evolve(height=self.height + 1)

    @on(missing="wait")
    def water(self, watered: Watered) -> Effects:
        yield record(Grown(watered.bean))

    @on(late="quarantine")
    def cook(self, grown: Grown) -> Effects:
        yield Cook(f"{grown.bean}, {self.height} high")

    @on
    def eat(self, eaten: Eaten) -> Effects:
        yield record(Grown(eaten.bean))
        yield end("eaten")

    @on
    def split(self, split: Split) -> Effects:
        yield record(Split(split.bean))


def test_a_recorded_fact_is_folded_before_its_reaction_sees_the_state() -> None:
    given(Bean, Sown("b"), Watered("b")).when(Watered("b")).then(Cook("b, 2 high")).then_recorded(Grown("b"))


def test_what_waited_for_the_start_follows_it_with_the_facts_that_it_records() -> None:
    given(Bean, Watered("b"), Watered("b"), key="b").when(Sown("b")).then(Cook("b, 1 high"), Cook("b, 2 high"))


def test_a_fact_that_the_ending_turn_records_sets_nothing_aside() -> None:
    given(Bean, Sown("b")).when(Eaten("b")).then_ends("eaten").then_recorded(Grown("b"))


def test_facts_that_lead_to_facts_without_an_end_set_the_flow_aside() -> None:
    given(Bean, Sown("b")).when(Split("b")).then_quarantined(f"recorded facts {FACTS_DEPTH_MAX} deep")
