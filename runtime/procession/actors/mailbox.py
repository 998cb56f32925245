"""A bounded inbox that nobody waits for: what does not fit is left where it is stored, and read on later."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """A window on stored items, in their order.

    `post` keeps an item or says that it did not fit; from then on `more` is set and nothing is kept, so that all
    that is here comes before all that is not. The owner reads on with `refill` when it has drained this.
    """

    __slots__ = ("_items", "_size_max", "more")

    def __init__(self, size_max: int) -> None:
        self._items: deque[T] = deque()
        self._size_max = size_max
        self.more = False
        """There are items in the store that come after those in here."""

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)

    def post(self, item: T) -> bool:
        """Keep an item; False where it did not fit and must be read from the store."""
        if self.more or len(self._items) >= self._size_max:
            self.more = True
            return False
        self._items.append(item)
        return True

    def take(self) -> T:
        """The first item; the mailbox must not be empty."""
        return self._items.popleft()

    def put_first(self, items: Iterable[T]) -> None:
        """Put items before all others, in their order, whatever the bound."""
        self._items.extendleft(reversed(list(items)))

    def remove(self, item: T) -> None:
        """Take one item out, wherever it stands."""
        self._items.remove(item)

    def leave_to_store(self) -> None:
        """Forget what is in here: it is stored, and will be read from there in order."""
        self._items.clear()
        self.more = True

    def refill(self, items: Iterable[T], *, more: bool) -> None:
        """Hold exactly these items; `more` says whether others come after them in the store."""
        self._items = deque(items)
        self.more = more

    def clear(self) -> None:
        """Forget everything; nothing more is to be read."""
        self._items.clear()
        self.more = False
