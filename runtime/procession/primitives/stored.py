"""What makes a class storable: its own stored name and version, frozen fields, none of which can change."""

from __future__ import annotations

from typing import Literal

import attrs

from procession.errors import DefinitionError, WiringError
from procession.primitives.concealment import conceal
from procession.primitives.fields import mutable_part, resolved_fields
from procession.primitives.site import class_site

Kind = Literal["event", "failure", "command", "refusal"]
_NAME_BYTES_MAX = 200


@attrs.frozen
class Stored:
    """How a class is known in the journal: never derived from the class or its module."""

    name: str
    version: int
    kind: Kind
    site: str
    extra_fields: Literal["refuse", "ignore"]


def seal(cls: type, stored: Stored) -> None:
    """Freeze a class that is being defined, and give it its stored name.

    Raises:
        DefinitionError: it can't be stored; says where and how to mend it.
    """
    _check_name(cls, stored)
    freeze(cls, stored.site)
    cls.__procession__ = stored  # type: ignore[attr-defined]  # read back by stored_of
    check_fields(cls, stored.site)


def freeze(cls: type, site: str) -> None:
    """Make an attrs class of a class that is being defined.

    Raises:
        DefinitionError: its fields can't be read, for example one without a default after one with a default.
    """
    try:
        attrs.frozen(cls, slots=False)
    except (ValueError, TypeError) as error:
        raise DefinitionError(
            site, cls.__name__, f"has fields that don't go together ({error})", "put fields with a default last"
        ) from error


def stored_of(cls: type) -> Stored:
    """The stored name of an event, command or refusal class."""
    found = cls.__dict__.get("__procession__")
    if not isinstance(found, Stored):
        raise DefinitionError(class_site(), cls.__name__, "has no stored name", 'define it with name="..."')
    return found


def check_fields(cls: type, site: str, *, later: bool = True) -> None:
    """Refuse fields that can change.

    Raises:
        DefinitionError: a field can change.
        NameError: an annotation names nothing, unless it may be defined `later`.
    """
    try:
        fields = resolved_fields(cls)
    except NameError:
        if later:
            conceal(cls)
            return
        raise
    for name, annotation in fields.items():
        problem = mutable_part(annotation)
        if problem is not None:
            code = "" if stored_of(cls).kind in ("command", "refusal") else "LAW01"
            raise DefinitionError(site, f"{cls.__name__}.{name}", problem[0], problem[1], code)
    conceal(cls)


def _check_name(cls: type, stored: Stored) -> None:
    if not stored.name:
        raise DefinitionError(
            stored.site,
            cls.__name__,
            "has no stored name",
            f'write class {cls.__name__}(..., name="something.happened"): the journal knows it by that name for ever',
            "LAW08",
        )
    if len(stored.name.encode("utf-8", "replace")) > _NAME_BYTES_MAX or not stored.name.isprintable():
        raise DefinitionError(
            stored.site,
            cls.__name__,
            f"has the stored name {stored.name[:40]!r}",
            f"use a printable name of at most {_NAME_BYTES_MAX} bytes",
            "LAW08",
        )
    if stored.version < 1:
        raise DefinitionError(
            stored.site, cls.__name__, f"has version {stored.version}", "versions start at 1", "LAW08"
        )


def two_classes(kind: str, name: str, first: type, second: type) -> WiringError:
    """The error for two classes with one stored name."""
    return WiringError(
        f"two {kind} classes have the stored name {name!r}: {first.__module__}.{first.__qualname__}"
        f" and {second.__module__}.{second.__qualname__}",
        "give one of them a name, or a version, of its own",
    )
