"""Letters: each is written, and sent by a gateway of the runtime's or of the host's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from procession import Attempt, Command, CommandGivenUp, Effects, Event, Gateway, ProcessManager, ends, starts


class LetterWritten(Event, name="letter.written"):
    letter: str


class LetterSent(Event, name="letter.sent"):
    letter: str


class SendLetter(Command, name="letter.send"):
    letter: str


class Letter(ProcessManager, name="letter", key="letter"):
    @starts
    def send(self, written: LetterWritten) -> Effects:
        yield SendLetter(written.letter)

    @ends(outcome="sent")
    def sent(self, sent: LetterSent) -> None: ...


class Patient(ProcessManager, name="patient", key="letter"):
    """One that takes it as it comes, also that a letter was given up."""

    @starts
    def send(self, written: LetterWritten) -> Effects:
        yield SendLetter(written.letter)

    @ends
    def sent(self, sent: LetterSent | CommandGivenUp[SendLetter]) -> None: ...


class Draft(ProcessManager, name="draft", key="letter"):
    """One that waits for ever, and asks for nothing."""

    @starts
    def wait(self, written: LetterWritten) -> Effects:
        yield from ()

    @ends
    def sent(self, sent: LetterSent) -> None: ...


class Post(Gateway, name="post"):
    """Awaited on trio."""

    deliver: Callable[[SendLetter], Awaitable[None]]

    async def send(self, command: SendLetter) -> LetterSent:
        await self.deliver(command)
        return LetterSent(command.letter)


class Courier(Gateway, name="courier", host=True, backoff_initial_s=0.01, breaker_failures=1000):
    """Awaited on the loop of the host."""

    deliver: Callable[[SendLetter, Attempt], Awaitable[None]]

    async def send(self, command: SendLetter, attempt: Attempt) -> LetterSent:
        await self.deliver(command, attempt)
        return LetterSent(command.letter)


async def at_once(command: SendLetter) -> None:
    """Deliver without waiting."""
