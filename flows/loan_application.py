"""Loan applications: follow each one until the bank has decided, and ask about offers that nobody answers.

    ASubmitted → … → OSent → (14 days without an answer) → AskAboutOffer → OfferFollowedUp, three times at most
               → … → AApproved | ADeclined | ACancelled → approved, declined or cancelled

The events are those of a real Dutch bank's log (BPI Challenge 2012), named as there: A is for the application, O for
its offers, `work` for what clerks do. The flow only needs some of them, but is concerned by all: what arrives after the
decision is recorded as late, and can be counted. Unknown fields are refused.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from flows.simulated.letters import SimulatedLetters
from flows.simulated.weather import CALM, Weather
from procession import (
    Attempt,
    Command,
    CommandGivenUp,
    Effects,
    Event,
    Gateway,
    History,
    ProcessManager,
    Settings,
    Wiring,
    after,
    cancel,
    ends,
    folds,
    invariant,
    on,
    starts,
)

ANSWER_WINDOW = timedelta(days=14)
FOLLOW_UPS_MAX = 3


# What can happen: first to the application,


class ASubmitted(Event, name="bpic2012.A_SUBMITTED"):
    """Someone asks for a loan; here it begins."""

    case_id: str
    reg_date: str
    amount_req: str
    org_resource: str | None = None


class CaseEvent(Event, abstract=True):
    """What most events of the log have in common."""

    case_id: str
    org_resource: str | None = None


class APartlySubmitted(CaseEvent, name="bpic2012.A_PARTLYSUBMITTED"):
    """A first check is done."""


class APreaccepted(CaseEvent, name="bpic2012.A_PREACCEPTED"):
    """It may be granted, more is needed to know."""


class AAccepted(CaseEvent, name="bpic2012.A_ACCEPTED"):
    """It may be granted, an offer can be made."""


class AFinalized(CaseEvent, name="bpic2012.A_FINALIZED"):
    """All that was asked for is there."""


class AApproved(CaseEvent, name="bpic2012.A_APPROVED"):
    """The bank grants it: a decision."""


class ADeclined(CaseEvent, name="bpic2012.A_DECLINED"):
    """The bank does not grant it: a decision."""


class ACancelled(CaseEvent, name="bpic2012.A_CANCELLED"):
    """The customer does not want it any more: a decision."""


class ARegistered(CaseEvent, name="bpic2012.A_REGISTERED"):
    """It is entered into the books."""


class AActivated(CaseEvent, name="bpic2012.A_ACTIVATED"):
    """The money can be had."""


# then to its offers,


class OSelected(CaseEvent, name="bpic2012.O_SELECTED"):
    """A customer is chosen to get an offer."""


class OCreated(CaseEvent, name="bpic2012.O_CREATED"):
    """The offer is written."""


class OSent(CaseEvent, name="bpic2012.O_SENT"):
    """The offer is on its way to the customer."""


class OSentBack(CaseEvent, name="bpic2012.O_SENT_BACK"):
    """The customer answered."""


class OAccepted(CaseEvent, name="bpic2012.O_ACCEPTED"):
    """The customer takes it."""


class ODeclined(CaseEvent, name="bpic2012.O_DECLINED"):
    """The bank takes it back, or the customer does not want it."""


class OCancelled(CaseEvent, name="bpic2012.O_CANCELLED"):
    """Another offer takes its place, or none."""


# then on the desks of clerks,


class WorkEvent(Event, abstract=True):
    """What work items have in common."""

    case_id: str
    work_item: str
    org_resource: str | None = None


class WorkScheduled(WorkEvent, name="bpic2012.work.schedule"):
    """It is to be done."""


class WorkStarted(WorkEvent, name="bpic2012.work.start"):
    """A clerk is at it."""


class WorkCompleted(WorkEvent, name="bpic2012.work.complete"):
    """It is done."""


# and what the flow itself brings about.


class AnswerWindowClosed(Event, name="loan.answer_window_closed"):
    """The customer has left our offer without an answer for long enough to ask."""

    case_id: str


class OfferFollowedUp(Event, name="loan.offer_followed_up"):
    """We asked the customer about the offer."""

    case_id: str


# What the flow may ask for.


class AskAboutOffer(Command, name="loan.ask_about_offer"):
    """Ask the customer what became of our offer."""

    case_id: str


# The flow.


class LoanApplication(
    ProcessManager,
    name="loan_application",
    key="case_id",
    concerns=(
        APartlySubmitted,
        APreaccepted,
        AAccepted,
        AFinalized,
        ARegistered,
        AActivated,
        OSelected,
        OCreated,
        WorkScheduled,
        WorkStarted,
        WorkCompleted,
    ),
):
    """One application."""

    offer_open: bool = False
    follow_ups: int = 0
    """For the offer that is open."""

    # How the state moves. Only this is replayed.

    @folds
    def offer_was_sent(self, event: OSent) -> LoanApplication:
        return self.evolve(offer_open=True, follow_ups=0)

    @folds
    def offer_was_answered(self, event: OSentBack | OAccepted | ODeclined | OCancelled) -> LoanApplication:
        return self.evolve(offer_open=False)

    @folds
    def was_followed_up(self, event: OfferFollowedUp) -> LoanApplication:
        return self.evolve(follow_ups=self.follow_ups + 1)

    # What follows from it.

    @starts
    def submitted(self, event: ASubmitted) -> None:
        """An application is followed from here on."""

    @on
    def expect_answer(self, sent: OSent) -> Effects:
        """The time is the journal's: from when we heard of the offer. A new offer takes the old one's place."""
        yield after(ANSWER_WINDOW, AnswerWindowClosed(sent.case_id))

    @on
    def stop_expecting(self, answered: OSentBack | OAccepted | ODeclined | OCancelled) -> Effects:
        """Answered, in whatever way."""
        yield cancel(AnswerWindowClosed)

    @on
    def ask(self, closed: AnswerWindowClosed) -> Effects:
        """No answer: ask."""
        yield AskAboutOffer(closed.case_id)

    @on(late="ignore")
    def expect_again(self, asked: OfferFollowedUp) -> Effects:
        """Asked: expect an answer again, unless it crossed our letter or we have asked often enough.

        A letter that is under way when the bank decides needs no answer: after the end it is ignored on purpose.
        """
        if self.offer_open and self.follow_ups < FOLLOW_UPS_MAX:
            yield after(ANSWER_WINDOW, AnswerWindowClosed(asked.case_id))

    @on(late="ignore")
    def letter_given_up(self, given_up: CommandGivenUp[AskAboutOffer]) -> Effects:
        """One letter less is no reason to hold an application up: try again later."""
        if self.offer_open:
            yield after(ANSWER_WINDOW, AnswerWindowClosed(given_up.command.case_id))

    @ends(outcome="approved")
    def approved(self, event: AApproved) -> None:
        """Decided."""

    @ends(outcome="declined")
    def declined(self, event: ADeclined) -> None:
        """Decided."""

    @ends(outcome="cancelled")
    def cancelled(self, event: ACancelled) -> None:
        """Decided."""


# What must hold of every application, in whatever order things happen.


@invariant(LoanApplication)
def asks_only_while_nobody_answers(history: History) -> bool:
    """Nobody is asked about an offer that is answered."""
    answered = history.since(OSent).since(OSentBack, OAccepted, ODeclined, OCancelled)
    return not answered.sent(AskAboutOffer)


@invariant(LoanApplication)
def asks_once_at_a_time(history: History) -> bool:
    """An answer window that closes is asked about once."""
    return len(history.since(AnswerWindowClosed).sent(AskAboutOffer)) <= 1


# Where the work is done. A service of yours takes the place of the simulated one if it has this method.


class LetterService(Protocol):
    """What the flow needs of a letter service. `attempt.command_id` is the idempotency key."""

    async def ask_about_offer(self, case_id: str, attempt: Attempt) -> None: ...


class Letters(Gateway, name="letters", concurrency=8):
    """Has letters written."""

    service: LetterService

    async def ask_about_offer(self, command: AskAboutOffer, attempt: Attempt) -> OfferFollowedUp:
        await self.service.ask_about_offer(command.case_id, attempt)
        return OfferFollowedUp(command.case_id)


def wire_production(settings: Settings) -> Wiring:
    """A reference flow has no real service behind it: this one is simulated, a little slow. Swap in your own."""
    return wire_simulated(Weather(latency_s=0.02, slow_share=0.01, slow_s=0.5))


def wire_testing(settings: Settings) -> Wiring:
    """The same gateway; the letter service answers at once."""
    return wire_simulated(CALM)


def wire_simulated(weather: Weather) -> Wiring:
    """A simulated letter service in this weather."""
    return Wiring(
        processes=(LoanApplication,),
        gateways=(Letters(SimulatedLetters(weather)),),
        invariants=(asks_only_while_nobody_answers, asks_once_at_a_time),
    )
