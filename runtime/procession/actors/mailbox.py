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
    An empty one holds nothing but its bound: there is one for each flow in memory.
    """

    __slots__ = ("_items", "_size_max", "more")

    def __init__(self, size_max: int) -> None:
        self._items: deque[T] | None = None
        """None while it is empty."""
        self._size_max = size_max
        self.more = False
        """There are items in the store that come after those in here."""

    def __len__(self) -> int:
        return 0 if self._items is None else len(self._items)

    def __bool__(self) -> bool:
        return self._items is not None

    def __iter__(self) -> Iterator[T]:
        return iter(self._items or ())

    def post(self, item: T) -> bool:
        """Keep an item; False where it did not fit and must be read from the store."""
        items = self._items
        if self.more or (items is not None and len(items) >= self._size_max):
            self.more = True
            return False
        if items is None:
            self._items = deque((item,))
        else:
            items.append(item)
        return True

    def take(self) -> T:
        """The first item; the mailbox must not be empty."""
        items = self._items
        assert items is not None, "whoever takes has looked whether there is something"
        item = items.popleft()
        if not items:
            self._items = None
        return item

    def put_first(self, items: Iterable[T]) -> None:
        """Put items before all others, in their order, whatever the bound."""
        self._hold((*items, *self))

    def remove(self, item: T) -> None:
        """Take one item out, wherever it stands."""
        kept = list(self)
        kept.remove(item)
        self._hold(kept)

    def leave_to_store(self) -> None:
        """Forget what is in here: it is stored, and will be read from there in order."""
        self._items = None
        self.more = True

    def refill(self, items: Iterable[T], *, more: bool) -> None:
        """Hold exactly these items; `more` says whether others come after them in the store."""
        self._hold(items)
        self.more = more

    def clear(self) -> None:
        """Forget everything; nothing more is to be read."""
        self._items = None
        self.more = False

    def _hold(self, items: Iterable[T]) -> None:
        self._items = deque(items) or None
