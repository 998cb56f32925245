"""What a second process needs that runs turns of the first: its streams, the classes by name, envelopes from JSON."""

from __future__ import annotations

import datetime
import importlib
import os
import uuid
from typing import Any, BinaryIO

from procession.engine.shadow import ClassName, Unshadowed
from procession.primitives.envelope import Envelope


def private_streams() -> tuple[BinaryIO, BinaryIO]:
    """The pipes to the first process; what turns print or read goes nowhere."""
    lines, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    return lines, answers


def imported_class(name: ClassName, kind: type) -> Any:  # noqa: ANN401 - a class below `kind`
    """The class of a name.

    Raises:
        Unshadowed: it can't be imported here, or is of another kind.
    """
    module, qualname = name
    found: object
    try:
        found = importlib.import_module(module)
    except Exception as error:  # foreign code: whatever it raises, the class is not there
        raise Unshadowed(f"{module} can't be imported in a second process: {error!r}") from error
    for part in qualname.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, type) or not issubclass(found, kind):
        raise Unshadowed(f"{module}.{qualname} is no {kind.__name__} in a second process")
    return found


def envelope_from(fields: dict[str, Any]) -> Envelope:
    """An envelope from its fields as JSON has them."""
    known = dict(fields)
    for name in ("event_id", "causation_id", "correlation_id"):
        known[name] = None if fields[name] is None else uuid.UUID(fields[name])
    known["keys"] = tuple((process, key) for process, key in fields["keys"])
    known["recorded_at"] = datetime.datetime.fromisoformat(fields["recorded_at"])
    return Envelope(**known)
