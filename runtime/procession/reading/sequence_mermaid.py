"""A sequence diagram as Mermaid text: whatever stands in names and notes, it stays a name or a note."""

from __future__ import annotations

import re
from collections.abc import Iterator

from procession.reading.sequence import Message, MessageKind, Sequence

_PLAIN = re.compile(r"[A-Za-z0-9 _./(),+=-]")
_END = re.compile(r"\b[eE](?=[nN][dD]\b)")
"""Mermaid takes the word for the end of a block, wherever it stands."""
_ARROWS: dict[MessageKind, str] = {
    "answer": "-->>",
    "fired": "-->>",
    "given_up": "--x",
    "refused": "--x",
    "cancelled": "-x",
}
_SAYS: dict[MessageKind, str] = {"set": "set ", "cancelled": "cancel ", "failed": "failed ", "ended": "ends as "}


def sequence_mermaid(drawn: Sequence) -> str:
    """The text of the diagram."""
    lines = ["sequenceDiagram"]
    lines += [f"    participant L{number} as {_escaped(lane.name)}" for number, lane in enumerate(drawn.lanes)]
    lines += [f"    {line}" for message in drawn.messages for line in _lines(message)]
    return "\n".join(lines) + "\n"


def _lines(message: Message) -> Iterator[str]:
    said = _SAYS.get(message.kind, "") + message.label + (f" ({message.note})" if message.note else "")
    if message.kind in ("failed", "ended"):
        yield f"Note over L{message.source}: {_escaped(said)}"
    else:
        yield f"L{message.source}{_ARROWS.get(message.kind, '->>')}L{message.target}: {_escaped(said)}"


def _escaped(text: str) -> str:
    """A text of one line in which nothing means anything to Mermaid."""
    line = " ".join(text.split()) or " "
    plain = "".join(found if _PLAIN.fullmatch(found) else f"#{ord(found)};" for found in line)
    return _END.sub(lambda found: f"#{ord(found.group())};", plain)
