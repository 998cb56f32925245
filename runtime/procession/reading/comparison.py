"""What a recorded turn asked for, and what the code at hand asks for on the same event: where do they differ?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs

from procession.primitives.codec import from_json, to_json

_LAG_US_MAX = 60_000_000
"""A deadline recorded without its delay fell due that much later at most than event and delay say: its turn waited."""
_SHOWN_BYTES_MAX = 4_000
_DEPENDS_ON_THE_MOMENT = frozenset({"id", "due_us", "after_us"})

Effect = dict[str, Any]


@attrs.frozen
class Change:
    """One way in which a turn differs."""

    what: str
    """In words that hold for every flow with this change: names of types and fields, no values."""
    recorded: object
    """The effects concerned as the journal has them, as JSON; cut where they are long."""
    now: object
    """As the code at hand yields them."""
    commands_gone: tuple[str, ...] = ()
    """Ids of recorded commands that are not asked for like that any more."""


def changes_of(
    recorded: str | None,
    now: str | None,
    recorded_us: int,
    today: Callable[[Effect], Effect],
    hidden: Callable[[Effect], Effect] = dict,
) -> tuple[Change, ...]:
    """How two lists of effects differ, both as the journal holds them; empty where they are the same.

    How the flow ends is not compared here: a handler may end it without an effect. Deadlines are compared by the delay
    that was asked for, or by their absolute time; ids, which are derived, must be equal where all else is.

    Args:
        recorded_us: when the event was accepted.
        today: a recorded effect by the types of today, to which old ones may be lifted.
        hidden: an effect as it is shown, what is secret masked.
    """
    if recorded == now:
        return ()
    before, after = list(map(today, _effects(recorded))), _effects(now)
    if len(before) == len(after) and all(map(_same(recorded_us), before, after)):
        return tuple(_cut(change, hidden) for change in _of_ids(before, after))
    left, added, moved = _matched(before, after, recorded_us)
    found = [*_of_subjects(left, added, after), *moved]
    if not found:
        found.append(Change("asks for the same in another order", _shown(before), _shown(after)))
    return tuple(_cut(change, hidden) for change in found)


def asked_for(effects: str | None) -> list[str]:
    """What a list of effects asks for, by types, each once: `sends command payment.charge`."""
    return list(dict.fromkeys(" ".join(_subject(effect)) for effect in _effects(effects)))


def commands_in(effects: str | None) -> tuple[str, ...]:
    """The ids of the commands among recorded effects."""
    return tuple(effect["id"] for effect in _effects(effects) if "command" in effect)


def fields_changed(before: object, after: object) -> str:
    """The names of the fields in which two messages differ, or that one of them lacks."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return "all of it"
    return ", ".join(name for name in {**before, **after} if before.get(name, _LACKS) != after.get(name, _LACKS))


def shortened(data: object) -> object:
    """JSON data, or the beginning of its text where that is long."""
    text = to_json(data)
    if len(text) <= _SHOWN_BYTES_MAX:
        return data
    return text[:_SHOWN_BYTES_MAX].decode(errors="ignore") + "…"


_LACKS = object()


def _effects(text: str | None) -> list[Effect]:
    found: list[Effect] = from_json(text) if text is not None else []
    return [effect for effect in found if "end" not in effect]


def _same(recorded_us: int) -> Callable[[Effect, Effect], bool]:
    return lambda old, new: _constant(old) == _constant(new) and _same_due(old, new, recorded_us)


def _constant(effect: Effect) -> Effect:
    """An effect without what depends on the moment of its turn."""
    return {name: value for name, value in effect.items() if name not in _DEPENDS_ON_THE_MOMENT}


def _same_due(old: Effect, new: Effect, recorded_us: int) -> bool:
    if "due_us" not in old or "due_us" not in new:
        return True
    if ("after_us" in old) == ("after_us" in new):
        field = "after_us" if "after_us" in old else "due_us"
        return bool(old[field] == new[field])
    # One of them says no delay: it was recorded before steps kept it, or it is absolute. The turn came soon after.
    return abs(_earliest_us(old, recorded_us) - _earliest_us(new, recorded_us)) <= _LAG_US_MAX


def _earliest_us(effect: Effect, recorded_us: int) -> int:
    found: int = recorded_us + effect["after_us"] if "after_us" in effect else effect["due_us"]
    return found


def _of_ids(before: list[Effect], after: list[Effect]) -> Iterator[Change]:
    for old, new in zip(before, after, strict=True):
        if old.get("id") != new.get("id"):
            yield Change(
                f"{_subject(old)[1]} has an id that does not derive from its event", _shown([old]), _shown([new])
            )
            return


def _matched(
    before: list[Effect], after: list[Effect], recorded_us: int
) -> tuple[list[Effect], list[Effect], list[Change]]:
    """What is only in one of them, and which deadlines that are in both are due at another time."""
    known: dict[bytes, list[Effect]] = {}
    for effect in before:
        known.setdefault(_text(effect), []).append(effect)
    added: list[Effect] = []
    moved: dict[str, tuple[list[Effect], list[Effect]]] = {}
    for effect in after:
        equal = known.get(_text(effect))
        if not equal:
            added.append(effect)
            continue
        old = equal.pop(0)
        if not _same_due(old, effect, recorded_us):
            olds, news = moved.setdefault(_subject(effect)[1], ([], []))
            olds.append(old)
            news.append(effect)
    left = [effect for effects in known.values() for effect in effects]
    changes = [
        Change(f"{subject} falls due at another time", _shown(olds), _shown(news))
        for subject, (olds, news) in moved.items()
    ]
    return left, added, changes


def _text(effect: Effect) -> bytes:
    return to_json(_constant(effect))


def _of_subjects(left: list[Effect], added: list[Effect], after: list[Effect]) -> Iterator[Change]:
    for subject in dict.fromkeys(map(_subject, (*left, *added))):
        verb, name = subject
        old = [effect for effect in left if _subject(effect) == subject]
        new = [effect for effect in added if _subject(effect) == subject]
        pairs = list(zip(old, new, strict=False))
        if pairs:
            fields = dict.fromkeys(field for pair in pairs for field in _fields(*pair))
            gone = tuple(effect["id"] for effect, _ in pairs if "command" in effect)
            what = f"{name} has another {' and '.join(fields)}"
            yield Change(what, _shown([pair[0] for pair in pairs]), _shown([pair[1] for pair in pairs]), gone)
        old, new = old[len(pairs) :], new[len(pairs) :]
        if old:
            gone = tuple(effect["id"] for effect in old if "command" in effect)
            fewer = any(_subject(effect) == subject for effect in after)
            yield Change(f"{verb} {name} less often" if fewer else f"no longer {verb} {name}", _shown(old), [], gone)
        if new:
            more = bool(pairs) or len(new) < sum(_subject(effect) == subject for effect in after)
            yield Change(f"{verb} {name} more often" if more else f"{verb} {name}, which it did not", [], _shown(new))


def _subject(effect: Effect) -> tuple[str, str]:
    """What an effect does, and to what, by types: a timer's name may be another in every flow."""
    if "command" in effect:
        return "sends", f"command {effect['command']}"
    if "timer" in effect:
        return "sets", f"deadline {effect['event']}"
    if "cancel" in effect:
        return "cancels", f"deadline {effect['cancel']}"
    return "records", f"event {effect['record']}"


def _fields(old: Effect, new: Effect) -> Iterator[str]:
    """In which fields two effects of one subject differ."""
    for name, word in (("timer", "name"), ("version", "version")):
        if old.get(name) != new.get(name):
            yield word
    if old.get("data") != new.get("data"):
        yield fields_changed(old.get("data"), new.get("data"))


def _shown(effects: Sequence[Effect]) -> list[Effect]:
    return list(effects)


def _cut(change: Change, hidden: Callable[[Effect], Effect]) -> Change:
    """A change as it is shown: without secrets, and cut where it is long."""
    both = (change.recorded, change.now)
    recorded, now = (shortened(list(map(hidden, found)) if isinstance(found, list) else found) for found in both)
    return attrs.evolve(change, recorded=recorded, now=now)
