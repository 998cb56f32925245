"""How often each caller may ask: a bucket for each, in a table that has a bound."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

import attrs


@attrs.define(eq=False)
class Rates:
    """So many in a second, and a burst after a rest; who was away longest is forgotten, and begins anew."""

    rate_per_s: float
    burst: float
    callers_max: int
    _left: OrderedDict[Hashable, tuple[float, float]] = attrs.field(factory=OrderedDict)
    """Of each caller: what was left, and when."""

    def wait_s(self, caller: Hashable, now_s: float) -> float:
        """0 where it may, which is counted; else how long until it may again."""
        left, at_s = self._left.pop(caller, (self.burst, now_s))
        left = min(self.burst, left + (now_s - at_s) * self.rate_per_s)
        wait_s = 0.0 if left >= 1 else (1 - left) / self.rate_per_s
        self._left[caller] = (left if wait_s else left - 1, now_s)
        if len(self._left) > self.callers_max:
            self._left.popitem(last=False)
        return wait_s
