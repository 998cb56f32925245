"""Two histories of one flow side by side: what differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import attrs

from procession.primitives.codec import to_json
from procession.reading.past_states import changes_between
from procession.reading.what_if_answer import StepEdit, WhatIf, WhatIfStep
from procession.reading.what_if_job import Played, Took


@attrs.frozen
class Place:
    """Where an event stands in the history, and what was done to it."""

    at: int
    edit: StepEdit


def compared(
    flow: str, before: Played, after: Played, places: Mapping[str, Place], causes: Mapping[str, str]
) -> WhatIf:
    """What differs between two histories.

    Args:
        places: by id of an event; a fact that is not among them stands where the event stands that recorded it.
        causes: by id of an event, the id of what led to it.
    """
    orphans = _ids_asked(before["took"]) - _ids_asked(after["took"])
    olds, news = ({took["id"]: took for took in played["took"]} for played in (before, after))
    steps = [_step(olds.get(identity), news.get(identity), place, causes.get(identity, "") in orphans)
             for identity, place in _in_order(olds, news, places)]  # fmt: skip
    shown = tuple(step for step in steps if step.differs or step.edit or step.orphan)
    old_asked, new_asked = (_all_asked(played["took"]) for played in (before, after))
    state, _ = changes_between(before["state"], after["state"], {**before["hidden"], **after["hidden"]})
    outcomes = before["outcome"], after["outcome"]
    return WhatIf(
        flow=flow,
        steps=shown,
        steps_same=len(steps) - len(shown),
        commands_gone=_less(old_asked, new_asked, "command"),
        commands_new=_less(new_asked, old_asked, "command"),
        timers_gone=_less(old_asked, new_asked, "timer"),
        timers_new=_less(new_asked, old_asked, "timer"),
        outcome_before=outcomes[0],
        outcome_after=outcomes[1],
        state=state,
        failure_before=before["failure"],
        failure_after=after["failure"],
        same=outcomes[0] == outcomes[1]
        and before["failure"] == after["failure"]
        and list(map(_plain_of, old_asked)) == list(map(_plain_of, new_asked)),
    )


def _in_order(
    olds: Mapping[str, Took], news: Mapping[str, Took], places: Mapping[str, Place]
) -> list[tuple[str, Place]]:
    """Every event of either history, by its place; those of one place as they ran."""
    found: list[tuple[str, Place]] = []
    for identity, took in {**olds, **news}.items():
        nearest, parent = places.get(identity), took["parent"]
        while nearest is None and parent:
            above = news.get(parent) or olds[parent]
            nearest, parent = places.get(above["id"]), above["parent"]
        assert nearest is not None, "what no place names was recorded by what has one"
        found.append((identity, places.get(identity, Place(nearest.at, ""))))
    return sorted(found, key=lambda named: (named[1].at, named[1].edit != "inserted"))


def _step(old: Took | None, new: Took | None, place: Place, orphan: bool) -> WhatIfStep:  # noqa: FBT001 - as found
    took = new or old
    assert took is not None, "an event of either history"
    sides = (old, new)
    asked = [_plain(side) if side is not None else () for side in sides]
    shown = [tuple(side["shown"]) if side is not None else () for side in sides]
    told = [side["told"] if side is not None else "" for side in sides]
    return WhatIfStep(
        at=place.at,
        type=took["type"],
        edit=place.edit,
        before=told[0],
        after=told[1],
        asked_before=shown[0],
        asked_after=shown[1],
        differs=asked[0] != asked[1] or told[0] != told[1],
        orphan=orphan and new is not None,
    )


def _plain(took: Took) -> tuple[dict[str, Any], ...]:
    """Effects without their ids, which are others where the same is asked for in another place."""
    return tuple({name: value for name, value in effect.items() if name != "id"} for effect in took["asked"])


def _ids_asked(took: Sequence[Took]) -> set[str]:
    return {effect["id"] for one in took for effect in one["asked"] if "id" in effect}


def _all_asked(took: Sequence[Took]) -> list[_Asked]:
    return [_Asked(effect, shown) for one in took for effect, shown in zip(_plain(one), one["shown"], strict=True)]


class _Asked(NamedTuple):
    """An effect, and how it is shown."""

    effect: dict[str, Any]
    shown: dict[str, Any]


def _plain_of(asked: _Asked) -> dict[str, Any]:
    return asked.effect


def _less(these: Sequence[_Asked], those: Sequence[_Asked], kind: str) -> tuple[Any, ...]:
    """What is asked for among these more often than among those."""
    left = Counter(to_json(one.effect) for one in those if kind in one.effect)
    found = []
    for one in these:
        if kind not in one.effect:
            continue
        text = to_json(one.effect)
        if left[text]:
            left[text] -= 1
        else:
            found.append(one.shown)
    return tuple(found)
