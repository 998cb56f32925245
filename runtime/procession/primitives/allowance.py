"""Breaches that their author allows, each with a reason that stays beside the code and in every report."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import TypeVar

import attrs

from procession.errors import DefinitionError
from procession.primitives.site import class_site

ThingT = TypeVar("ThingT", bound=Callable[..., object])
_CODE = re.compile(r"LAW(0[1-9]|10)|DEF(0[1-9]|[1-9][0-9])")
_ATTRIBUTE = "__procession_allows__"


@attrs.frozen
class Allowance:
    """One code that is allowed for one class, method or function."""

    code: str
    reason: str
    site: str


def allows(code: str, *, reason: str) -> Callable[[ThingT], ThingT]:
    """Allow a breach that `procession check` finds in a class, a method or a function that handlers call.

        @allows("LAW01", reason="the partner's name for it, since 2011")
        class Chargeback(Event, name="payment.chargeback"):
            order_id: str

    On a class it holds for all its methods. What it allows is reported as allowed, with its reason; where it allows
    nothing (any more), that is a finding of its own.

    Raises:
        DefinitionError: the code is none, or there is no reason.
    """
    site = class_site()
    if not _CODE.fullmatch(code):
        raise DefinitionError(
            site, "@allows", f"names the code {code!r}", "name one of LAW01 to LAW10, or DEF01 and on"
        )
    if not reason.strip():
        raise DefinitionError(site, f'@allows("{code}")', "has no reason", "say why, for who reads it next year")
    allowance = Allowance(code, reason.strip(), site)

    def mark(thing: ThingT) -> ThingT:
        # What a cache or another decorator wraps is what handlers run.
        for each in {id(thing): thing, id(inspect.unwrap(thing)): inspect.unwrap(thing)}.values():
            setattr(each, _ATTRIBUTE, (*allowances_of(each), allowance))
        return thing

    return mark


def allowances_of(thing: object) -> tuple[Allowance, ...]:
    """What is allowed for a class or function itself, not for what it inherits."""
    found: object = getattr(thing, "__dict__", {}).get(_ATTRIBUTE, ())
    return found if isinstance(found, tuple) else ()


def allows_impurity(*things: object) -> bool:
    """Whether one of these classes and functions has leave to break law 3 or 4 while it runs."""
    return any(allowance.code in _PURITY for thing in things for allowance in allowances_of(thing))


_PURITY = frozenset({"LAW03", "LAW04"})
