"""Every error that procession raises on purpose.

ProcessionError
├── DefinitionError          a class can't work as written
├── WiringError              classes can't work together, or not with this journal
│   ├── SchemaChanged        a stored name has another shape than the journal knows
│   └── UnknownInJournal     the journal needs types that are not registered
├── SchemaFileUnreadable     a schemas.json is none
├── SettingsError            a setting is unknown, out of bounds or malformed
├── PublishRefused           an event or command was not accepted; nothing of its batch was written
│   ├── UnknownType          no class has this stored name
│   ├── InvalidPayload       the data does not fit the class
│   │   └── LiftFailed       a lift can't lift it
│   ├── InvalidKey           a key can't be computed or is out of bounds
│   ├── TooLarge             a payload or batch is over its bound
│   ├── IdReused             the id was used before for other content
│   ├── Overloaded           the intake is full and the caller asked not to wait
│   ├── NotAccepted          the commit failed; it is known that nothing was written
│   ├── CloudEventError      a document is no CloudEvent: primitives/cloudevents.py
│   └── SendRefused          a command was not decided: send_errors.py
├── OutcomeUnknown           the commit failed; whether it was written is not known yet
├── JournalError             the durable record can't be used: journal_errors.py
│   ├── JournalOwned         another process owns it
│   ├── NotAJournal          the file is something else
│   ├── JournalTooNew        written by a newer version
│   ├── JournalUnwritable    the folder or file refuses writing
│   ├── JournalDamaged       what is stored is not what was written
│   ├── ArchiveUnreadable    an archive file of the journal is missing or damaged
│   ├── CommitFailed         I/O failed; the outcome is unknown until reopened
│   ├── CommitRejected       the data of a commit was refused; nothing of it was written
│   └── Fenced               another owner took the journal over
├── ProjectionError          a projection can't be folded, rebuilt or asked: projection_errors.py
├── ResourceFailed           a resource can't be opened, failed in use, or can't be closed: primitives/resources.py
├── PositionUnreadable       the place in a followed file can't be read: injectors/position_file.py
├── UsedAfterFork            an embedded runtime is used in a forked process: embed/portal.py
├── CalledFromInside         an embedded runtime is called from its own thread: embed/portal.py
├── RuntimeClosed            the runtime is closing or closed
├── RuntimeFailed            infrastructure failed more often than its supervisor allows
├── FlowQuarantined          a flow that was waited for is set aside
├── NotFound                 no flow, command or gateway of this name
├── ActRefused               an operator act does not fit the state it finds
├── ImpureTurn               a turn did more than look at its event and state
├── ShadowEnded              the second process of a shadow replay gave no answer
├── SearchRefused            a search can't be read; WhatIfRefused, ImportRefused beside it: search_errors.py
└── Refused, AttemptFailed   raised by a gateway: no for good; no clear answer, or RetryLater (primitives/gateway.py)
"""

from __future__ import annotations

from typing import ClassVar

import attrs


class ProcessionError(Exception):
    """The root: `except ProcessionError` catches what procession raises on purpose, and nothing else."""

    _says: ClassVar[str] = ""
    """The sentence, with the error's fields in it: `{0.path} is damaged`."""

    def __str__(self) -> str:
        return one_line(self._says.format(self)) if self._says else super().__str__()


def one_line(text: str) -> str:
    """A text in which line breaks, control characters, halves of characters and turns of direction are escaped.

    What came from outside stands in errors, and these in logs and on terminals. What joins letters or emojis stays, and
    spaces of all scripts do.
    """
    if text.isprintable():
        return text
    from unicodedata import category  # noqa: PLC0415 - seldom needed

    return "".join(repr(one)[1:-1] if category(one) in _NO_TEXT or one in _TURNS else one for one in text)


_NO_TEXT = frozenset({"Cc", "Cs", "Zl", "Zp"})
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Of direction: they show a text in another order than it has."""


def cut_short(text: str, chars_max: int = 60) -> str:
    """As much of a text as an error shows."""
    return text if len(text) <= chars_max else f"{text[:chars_max]}…"


@attrs.define
class DefinitionError(ProcessionError):
    """A class can't work as written; raised where it is defined or wired. Mend the class."""

    where: str
    """File and line of the class or method, `file.py:12`."""
    subject: str
    """The class, and the method where there is one: `Order.paid`."""
    found: str
    cure: str
    code: str = ""
    """The law that it breaks, `LAW02`; empty for any other fault."""

    def __str__(self) -> str:
        code = f"{self.code} " if self.code else ""
        return f"{self.where}: {code}{self.subject} {self.found}; {self.cure}"


@attrs.define
class WiringError(ProcessionError):
    """The classes given to a runtime can't work together, or not with this journal; nothing was written."""

    found: str
    cure: str

    _says = "{0.found}; {0.cure}"


@attrs.define
class SchemaChanged(WiringError):
    """A stored name has another shape than the journal knows; nothing was written."""


@attrs.define
class UnknownInJournal(WiringError):
    """Open commands, timers, deliveries or flows need types that are not registered; nothing was written."""


@attrs.define
class SchemaFileUnreadable(ProcessionError):
    """A `schemas.json` can't be read; it was not touched. Restore it from version control."""

    path: str
    found: str
    cure: str = "restore it: only `procession schemas --write` writes it"

    _says = "{0.path} is no file of schemas ({0.found}); {0.cure}"


@attrs.define
class SettingsError(ProcessionError):
    """A setting is unknown, malformed or out of bounds; nothing was started."""

    path: str
    found: str
    cure: str

    _says = "setting {0.path:.500}: {0.found:.500}; {0.cure:.1000}"


class PublishRefused(ProcessionError):
    """An event was not accepted; nothing of its batch was written."""


@attrs.define
class UnknownType(PublishRefused):
    """No registered event class has this stored name. Register the class, or mend the type."""

    type: str
    known: tuple[str, ...] = ()

    def __str__(self) -> str:
        near = f" (known: {', '.join(self.known)})" if self.known else ""
        return f"event type {self.type!r} is not known here{near}; register its class or mend the type"


@attrs.define
class InvalidPayload(PublishRefused):
    """The data does not fit the class of its type. Mend the data; a retry as it is fails again."""

    type: str
    found: str

    _says = "the data of {0.type!r} does not fit its type: {0.found}; mend the data"


@attrs.define
class LiftFailed(InvalidPayload):
    """The lift of an old event raised, or returned something else. Mend the lift; the event stays as it came."""

    lift: str

    _says = "an event {0.type!r} can't be lifted by {0.lift}: {0.found}; mend the lift"


@attrs.define
class InvalidKey(PublishRefused):
    """A key can't be computed or is out of bounds: exact strings of 1 to 512 bytes, ints as decimals."""

    type: str
    process: str
    found: str

    _says = "the key of {0.type!r} for {0.process!r} {0.found}; keys are strings of 1 to 512 bytes, or ints"


@attrs.define
class TooLarge(PublishRefused):
    """A payload, key list or batch is over its bound. Make it smaller, or raise the setting that is named."""

    what: str
    size: int
    size_max: int
    setting: str

    _says = "{0.what} is {0.size}, at most {0.size_max} is allowed; make it smaller or raise {0.setting}"


@attrs.define
class IdReused(PublishRefused):
    """The same source and id came before with other content. Give the new event an id of its own."""

    source: str
    id: str
    position: int

    _says = "event {0.id!r} of source {0.source!r} is at position {0.position} with other content; give it its own id"


@attrs.define
class Overloaded(PublishRefused):
    """The intake is full and the caller asked not to wait. Retry after the time given."""

    retry_after_s: float

    _says = "the intake is full; retry after {0.retry_after_s:g} s"


@attrs.define
class NotAccepted(PublishRefused):
    """The commit failed and the journal was read again: nothing of this batch was written. A retry is safe."""

    found: str

    _says = "nothing was written: {0.found}; publish again"


@attrs.define
class OutcomeUnknown(ProcessionError):
    """The commit failed and the journal can't be read yet. Publish again under the same ids: it is safe."""

    ids: tuple[str, ...]
    found: str

    def __str__(self) -> str:
        named = ", ".join(self.ids[:3]) + (", …" if len(self.ids) > 3 else "")  # noqa: PLR2004 - a sample
        return f"whether {named} was written is not known ({self.found}); publish again under the same id"


@attrs.define
class RuntimeClosed(ProcessionError):
    """The runtime is closing or closed; nothing was written. Open it again."""

    _says = "the runtime is closed; open it again"


@attrs.define
class RuntimeFailed(ProcessionError):
    """Infrastructure failed more often than its supervisor allows; the cause is chained."""

    supervisor: str
    restarts: int
    found: str

    _says = "{0.supervisor} failed after {0.restarts} restarts: {0.found}; mend the cause and start again"


@attrs.define
class FlowQuarantined(ProcessionError):
    """The flow that was waited for is in quarantine. Repair, then `retry`, `skip` or `release` it."""

    flow: str
    reason: str

    _says = "flow {0.flow} is in quarantine: {0.reason}; repair it, then retry, skip or release"


@attrs.define
class NotFound(ProcessionError):
    """There is no such flow, command, process or gateway."""

    what: str
    name: str
    cure: str = "`procession ls` shows what there is"

    _says = "there is no {0.what} {0.name!r}; {0.cure}"


@attrs.define
class ActRefused(ProcessionError):
    """An operator act does not fit what it finds; nothing was changed."""

    act: str
    subject: str
    found: str

    _says = "{0.act} of {0.subject} is refused: {0.found}"


@attrs.define
class ImpureTurn(ProcessionError):
    """A turn called what a fold or reaction must not call, the runtime itself among it; its flow is set aside.

    Take time, ids and chance from events, and do work in a gateway; then `retry` the flow.
    """

    where: str
    """File and line of the user's code that called, `order.py:31`."""
    handler: str
    """The handler that ran: `Order.paid`."""
    call: str

    _says = (
        "{0.where}: {0.handler} called {0.call} in a turn, which sees its event and state and nothing else;"
        " take time, ids and chance from events, and do work in a gateway"
    )


@attrs.define
class ShadowEnded(ProcessionError):
    """A second process, in which turns run again, ended or gave no answer in time. Nothing was changed; try again."""

    found: str

    _says = "a second process gave no answer ({0.found}); if it happens again, a turn may end its process"


@attrs.define
class Refused(ProcessionError):
    """Raised by a gateway: the outside world said no for good. The command is given up at once as refused."""

    reason: str

    _says = "{0.reason}"
