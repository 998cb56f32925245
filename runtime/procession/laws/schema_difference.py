"""What differs between two schemas of one name, field by field, with the path to each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from procession.primitives.schema import Schema, Type, nameless
from procession.primitives.stored import Stored

_SHOWN_MAX = 10
_VALUE_CHARS_MAX = 60


def differences(old: Schema, new: Schema) -> tuple[str, ...]:
    """Each difference as a clause, `total.currency is new: str`; empty where JSON of one is JSON of the other."""
    found = list(_of_fields("", old["fields"], new["fields"]))
    if old.get("extra_fields") != new.get("extra_fields"):
        was, now = (schema.get("extra_fields", "refuse") for schema in (old, new))
        found.append(f"extra fields were {_DONE[was]} and are {_DONE[now]}")
    return tuple(found)


def first_differences(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The same of two shapes of the first form: names, types, and whether there is a default."""
    before, after = ({field["name"]: field for field in fields} for fields in (old, new))
    found = [f"field {name} is gone: {_first(field)}" for name, field in before.items() if name not in after]
    found += [f"field {name} is new: {_first(field)}" for name, field in after.items() if name not in before]
    found += [
        f"field {name} was {_first(field)} and is {_first(after[name])}"
        for name, field in before.items()
        if name in after and field != after[name]
    ]
    if not found and list(before) != list(after):
        found.append(f"its fields were {', '.join(before)}, and are in another order")
    return tuple(found)


def in_words(found: Sequence[str]) -> str:
    """Differences as one clause, bounded."""
    more = len(found) - _SHOWN_MAX
    return ", ".join(found[:_SHOWN_MAX]) + (f", and {more} more" if more > 0 else "")


def changed_cure(stored: Stored, newest: int) -> str:
    """What to do about a class whose schema is not what was stored under its name."""
    lift = "" if stored.kind in ("command", "refusal") else ", and a lift that leads from this one to it"
    return f"schemas never change: restore it, and write a new class with version={newest + 1}{lift}"


def type_in_words(kind: Type) -> str:
    """A type as its author would write it."""
    match kind:
        case str():
            return kind
        case {"list": inner}:
            return f"tuple[{type_in_words(inner)}, ...]"
        case {"set": inner}:
            return f"frozenset[{type_in_words(inner)}]"
        case {"tuple": members}:
            return f"tuple[{', '.join(map(type_in_words, members)) or '()'}]"
        case {"any of": members}:
            return " | ".join(map(type_in_words, members))
        case {"literal": values}:
            return f"Literal[{', '.join(map(repr, values))}]"
        case {"enum": name, "values": values}:
            return f"{name}({', '.join(map(repr, values.values()))})"
    return str(kind["class"])


def _of_fields(path: str, old: list[dict[str, Any]], new: list[dict[str, Any]]) -> Iterator[str]:
    before, after = ({field["name"]: field for field in fields} for fields in (old, new))
    for name, field in before.items():
        if name not in after:
            yield f"field {path}{name} is gone: {_field(field)}"
    for name, field in after.items():
        if name not in before:
            yield f"field {path}{name} is new: {_field(field)}"
    for name, field in before.items():
        if name in after:
            yield from _of_type(f"{path}{name}", field["type"], after[name]["type"])
            was, now = _default(field), _default(after[name])
            if was != now:
                yield f"field {path}{name} had {was} and has {now}"
    if before.keys() == after.keys() and list(before) != list(after):
        whose = f"the fields of {path.removesuffix('.')}" if path else "its fields"
        yield f"{whose} were {', '.join(before)}, and are in another order"


def _of_type(path: str, old: Any, new: Any) -> Iterator[str]:  # noqa: ANN401 - two types, as JSON
    if nameless(old) == nameless(new):
        return
    match (old, new):
        case ({"fields": before}, {"fields": after}):
            yield from _of_fields(f"{path}.", before, after)
        case ({"list": before}, {"list": after}) | ({"set": before}, {"set": after}):
            yield from _of_type(f"{path}[]", before, after)
        case ({"tuple": before}, {"tuple": after}) if len(before) == len(after):
            for index, (was, now) in enumerate(zip(before, after, strict=True)):
                yield from _of_type(f"{path}[{index}]", was, now)
        case ({"values": before}, {"values": after}):
            yield from _of_values(path, before, after)
        case ({"any of": before}, {"any of": after}) if _one_differs(before, after) is not None:
            was, now = _one_differs(before, after) or ("", "")
            yield from _of_type(path, was, now)
        case _:
            yield f"field {path} was {type_in_words(old)} and is {type_in_words(new)}"


def _one_differs(old: list[Type], new: list[Type]) -> tuple[Type, Type] | None:
    """The one member of a union that is another one now, where that is all."""
    bare_old, bare_new = [nameless(kind) for kind in old], [nameless(kind) for kind in new]
    gone = [kind for kind, bare in zip(old, bare_old, strict=True) if bare not in bare_new]
    come = [kind for kind, bare in zip(new, bare_new, strict=True) if bare not in bare_old]
    if len(gone) != 1 or len(come) != 1 or isinstance(gone[0], str) or isinstance(come[0], str):
        return None
    return (gone[0], come[0]) if gone[0].keys() == come[0].keys() else None


def _of_values(path: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for name, value in old.items():
        if name not in new:
            yield f"field {path} can't be {name} ({_shown(value)}) any more"
        elif _shown(value) != _shown(new[name]):
            yield f"{name} of field {path} was {_shown(value)} and is {_shown(new[name])}"
    for name, value in new.items():
        if name not in old:
            yield f"field {path} can be {name} ({_shown(value)}) now"


def _field(field: Mapping[str, Any]) -> str:
    return type_in_words(field["type"]) + (f", with {_default(field)}" if "default" in field else "")


def _default(field: Mapping[str, Any]) -> str:
    return f"the default {_shown(field['default'])}" if "default" in field else "no default"


def _first(field: Mapping[str, Any]) -> str:
    return f"{field['type']}{' with a default' if field['optional'] else ''}"


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _VALUE_CHARS_MAX else f"{text[:_VALUE_CHARS_MAX]}…"


_DONE = {"refuse": "refused", "ignore": "ignored"}
