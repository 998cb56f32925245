"""After a failed commit: who waited for it, and how the journal, once readable, decides about each by id."""

from __future__ import annotations

from procession.engine.intake import Submission
from procession.engine.life import Life
from procession.errors import NotAccepted, OutcomeUnknown
from procession.journal.journal import Journal
from procession.journal_errors import CommitRejected


class Unsettled:
    """Submissions and acts whose outcome a failed commit left open."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.life: Life | None = None
        """The life that is not over, or whose failure is not collected."""
        self._submissions: list[Submission] = []
        self._again: list[Submission] = []

    def begin(self, life: Life) -> None:
        """A life begins: what a rejected commit held goes into it again; its failure is the next that counts."""
        self.life = life
        again, self._again = self._again, []
        for submission in reversed(again):
            life.intake.submit_again(submission)

    def end(self) -> None:
        """The life ended in order: nobody waits for it."""
        self.life = None

    def collect(self, error: Exception, refuse: Submission | None) -> None:
        """The life failed: keep who waits for it; what it never wrote is refused, or taken in again."""
        life, self.life = self.life, None
        if life is None:
            return
        if refuse is not None:
            guilty = NotAccepted(str(error))
            guilty.__cause__ = error  # it would be rejected again: whoever tries again by itself must know
            refuse.refuse(guilty)
        rejected = isinstance(error, CommitRejected)
        for batch in life.ledger.abandon():
            held = [waiter for waiter in batch.released if isinstance(waiter, Submission) and waiter is not refuse]
            (self._again if rejected else self._submissions).extend(held)
            for waiter in batch.released:
                waiter.failed(error)
        self._refuse_the_rest(life, error, again=rejected)

    def _refuse_the_rest(self, life: Life, error: Exception, *, again: bool) -> None:
        """What was never put into a batch."""
        for submission in life.intake.close():
            if again:
                self._again.append(submission)
            else:
                submission.refuse(NotAccepted(str(error)))
        for act in [act for flow in life.table for act in flow.acts]:
            act.refuse(NotAccepted(str(error)))

    async def resolve(self, error: Exception) -> None:
        """Decide about each by what the journal holds, now that it can be read."""
        while self._submissions:
            submission = self._submissions[0]
            if not submission.done.is_set():
                durable = await self._is_durable(submission)
                if durable:
                    submission.durable()
                else:
                    submission.refuse(NotAccepted(str(error)))
            self._submissions.remove(submission)

    def give_up(self, found: str) -> None:
        """The journal can't be read for too long: the outcome stays unknown."""
        held, self._submissions = [*self._submissions, *self._again], []
        self._again = []
        for submission in held:
            if not submission.done.is_set():
                submission.refuse(OutcomeUnknown(_ids(submission), found))

    async def _is_durable(self, submission: Submission) -> bool:
        """All events of a submission are in one commit, so one of them tells of all; a duplicate tells of its first."""
        new = [accepted.position for accepted in submission.accepted if not accepted.duplicate]
        if new:
            rows = await self._journal.events(new[0] - 1, 1, (), new[0])
            return bool(rows) and rows[0].id == submission.ids[0]
        for incoming, accepted in zip(submission.incoming, submission.accepted, strict=True):
            rows = await self._journal.events(accepted.position - 1, 1, (), accepted.position)
            if not rows or (rows[0].source, rows[0].source_id) != (incoming.source, incoming.source_id):
                return False
        return True


def _ids(submission: Submission) -> tuple[str, ...]:
    named = [f"{incoming.source}/{incoming.source_id}" for incoming in submission.incoming if incoming.source_id]
    return tuple(named) or tuple(event_id.hex() for event_id in submission.ids)
