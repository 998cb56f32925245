"""A flow that many speak to at one time: its end tells in which order it heard them."""

from __future__ import annotations

from hashlib import blake2b

from procession import Effects, Event, ProcessManager, end, folds, on, starts


class Gathered(Event, name="crowd.gathered"):
    crowd: str


class Said(Event, name="crowd.said"):
    crowd: str
    sender: int
    number: int


class Hushed(Event, name="crowd.hushed"):
    crowd: str


class Crowd(ProcessManager, name="crowd", key="crowd"):
    heard: int = 0
    chain: str = ""

    @starts
    def gathered(self, gathered: Gathered) -> None: ...

    @folds
    def one(self, said: Said) -> Crowd:
        return self.evolve(heard=self.heard + 1, chain=chained(self.chain, said.sender, said.number))

    @on
    def listen(self, said: Said) -> None:
        """Nothing follows."""

    @on
    def hushed(self, hushed: Hushed) -> Effects:
        yield end(f"{self.heard} {self.chain}")


def chained(chain: str, sender: int, number: int) -> str:
    """What was heard so far and one more: another order is another text."""
    return blake2b(f"{chain} {sender} {number}".encode(), digest_size=8).hexdigest()
