"""A small log with the properties of the real one, and the figures that following it must give.

In the real log every application starts with A_SUBMITTED, has at most one decision, and is followed by more events
after it; some applications have no decision yet. Times only rise, ids are unique, the applications are interleaved.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

DECISIONS = {"approved": "A_APPROVED", "declined": "A_DECLINED", "cancelled": "A_CANCELLED"}
EVENT_TYPES = tuple(
    f"bpic2012.{name}"
    for name in (
        *("A_SUBMITTED", "A_PARTLYSUBMITTED", "A_PREACCEPTED", "A_ACCEPTED", "A_FINALIZED"),
        *("A_APPROVED", "A_DECLINED", "A_CANCELLED", "A_REGISTERED", "A_ACTIVATED"),
        *("O_SELECTED", "O_CREATED", "O_SENT", "O_SENT_BACK", "O_ACCEPTED", "O_DECLINED", "O_CANCELLED"),
        *("work.schedule", "work.start", "work.complete"),
    )
)
_WORK = ("work.schedule", "work.start", "work.complete")
_OFFER = ("O_SELECTED", "A_FINALIZED", "O_CREATED", "O_SENT")


@dataclass(frozen=True)
class LoanLog:
    """CloudEvents in the order in which they happened, and what they must lead to."""

    events: tuple[dict[str, object], ...]
    flows: int
    outcomes: dict[str, int]
    """Ended flows by outcome."""
    still_open: int
    late: int
    """Events after the decision of their application."""
    offers_waiting: int
    """Open applications whose last offer was not answered."""


def loan_log(applications: int = 40, seed: int = 2012) -> LoanLog:
    """A log of so many applications; the same for the same arguments. From 4 on, it has every outcome and type."""
    chance = random.Random(seed)
    cases = [_case(number, chance) for number in range(applications)]
    outcomes = dict.fromkeys(DECISIONS, 0)
    late = offers_waiting = 0
    for _, types in cases:
        decided = next((name for name, decision in DECISIONS.items() if decision in types), None)
        if decided is None:
            offers_waiting += types.count("O_SENT") > types.count("O_SENT_BACK") + types.count("O_CANCELLED")
        else:
            outcomes[decided] += 1
            late += len(types) - 1 - types.index(DECISIONS[decided])
    still_open = applications - sum(outcomes.values())
    events = tuple(_interleaved(cases, chance))
    return LoanLog(events, applications, outcomes, still_open, late, offers_waiting)


def _case(number: int, chance: random.Random) -> tuple[str, list[str]]:
    """One application: its id, and the types of its events. The first four have each outcome once, and all types."""
    kind = number if number < 4 else chance.choices(range(4), weights=[17, 58, 21, 4])[0]
    offered = number < 4 or kind == 0 or chance.random() < 0.4
    types = ["A_SUBMITTED", "A_PARTLYSUBMITTED"]
    if offered:
        types += ["A_PREACCEPTED", *_WORK[:2], "A_ACCEPTED", *_OFFER, "work.complete"]
        if chance.random() < 0.3:
            types += ["O_SELECTED", "O_CANCELLED", "O_CREATED", "O_SENT"]
    for _ in range(chance.randrange(4)):
        types += _WORK
    if kind == 0:
        types += ["O_SENT_BACK", "A_REGISTERED", "A_APPROVED", "O_ACCEPTED", "A_ACTIVATED"]
    elif kind == 1:
        types += ["O_SENT_BACK", "A_DECLINED", "O_DECLINED"] if offered else ["A_DECLINED"]
    elif kind == 2:
        types += ["A_CANCELLED", "O_CANCELLED"] if offered else ["A_CANCELLED"]
    if kind < 3 and (number < 4 or chance.random() < 0.6):
        types += ["work.start", "work.complete"]
    return str(173688 + 3 * number), types


def _interleaved(cases: list[tuple[str, list[str]]], chance: random.Random) -> Iterator[dict[str, object]]:
    time = datetime(2011, 10, 1, tzinfo=UTC)
    open_cases = [(case_id, types, 0) for case_id, types in cases]
    while open_cases:
        index = chance.randrange(min(8, len(open_cases)))
        case_id, types, at = open_cases.pop(index)
        time += timedelta(seconds=chance.randrange(1, 3000))
        yield _cloud_event(case_id, at, types[at], time, chance)
        if at + 1 < len(types):
            open_cases.insert(index, (case_id, types, at + 1))


def _cloud_event(case_id: str, at: int, name: str, time: datetime, chance: random.Random) -> dict[str, object]:
    data: dict[str, object] = {"case_id": case_id}
    if name == "A_SUBMITTED":
        data |= {"reg_date": time.isoformat(), "amount_req": str(500 * chance.randrange(2, 60))}
    if name.startswith("work."):
        data["work_item"] = chance.choice(("W_Completeren aanvraag", "W_Nabellen offertes", "W_Valideren aanvraag"))
    if name == "A_SUBMITTED" or chance.random() < 0.9:
        data["org_resource"] = str(chance.randrange(10100, 10999))
    return {
        "specversion": "1.0",
        "id": f"{case_id}/{at}",
        "source": "bpic2012",
        "type": f"bpic2012.{name}",
        "subject": case_id,
        "time": time.isoformat(),
        "data": data,
    }
