"""Events and commands as one LinkML schema. What LinkML can't say is left open, never said wrongly.

A number among texts, a tuple in a tuple or an enum of other values than texts gets the range `Any`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from procession.laws.json_schema import WORDS, Names, description_of
from procession.laws.schemas import Entry, entry_of
from procession.primitives.codec import to_json
from procession.primitives.schema import Type
from procession.primitives.secrecy import Plan, Secrecy, plan_of

_WORDS = {
    "str": "string",
    "int": "integer",
    "float": "float",
    "bool": "boolean",
    "bytes": "string",
    "Decimal": "string",
    "datetime": "datetime",
    "date": "date",
    "time": "string",
    "timedelta": "integer",
    "UUID": "string",
}
_KINDS = {
    "event": ("Event", "A fact, past tense."),
    "failure": ("FailureEvent", "A fact that says that something failed."),
    "command": ("Command", "A wish, addressed to one gateway or aggregate."),
    "refusal": ("Refusal", "Why an aggregate said no."),
}
_ANY = "Any"
_MORE: dict[str, dict[str, Any]] = {
    "Decimal": {"pattern": WORDS["Decimal"]["pattern"]},
    "time": {"pattern": WORDS["time"]["pattern"]},
    "timedelta": {"unit": {"ucum_code": "us"}},
}
"""Decimals are texts in JSON, and LinkML's own times have an offset."""


def linkml_of(messages: Iterable[type], name: str = "procession_schemas") -> dict[str, Any]:
    """A LinkML schema of these classes, as plain data."""
    return _Schema(name).of(list(messages))


@attrs.define
class _Schema:
    """One schema that is being made."""

    name: str
    classes: dict[str, Any] = attrs.field(factory=dict)
    enums: dict[str, Any] = attrs.field(factory=dict)
    names: Names = attrs.field(factory=Names)

    def of(self, messages: list[type]) -> dict[str, Any]:
        self.names.take(_ANY, _ANY)
        self.classes[_ANY] = {"class_uri": "linkml:Any", "description": "Whatever LinkML has no range for."}
        for kind, (name, description) in _KINDS.items():
            self.names.take(name, kind)
            self.classes[name] = {"abstract": True, "description": description}
        entries = [(cls, entry_of(cls)) for cls in messages]
        taken = [(cls, entry, self.names.take(cls.__name__, list(entry.key))[0]) for cls, entry in entries]
        for cls, entry, name in taken:
            self.classes[name] = self._message(cls, entry, name)
        return {
            "id": f"urn:procession:{self.name}",
            "name": self.name,
            "prefixes": {"linkml": "https://w3id.org/linkml/", "procession": "urn:procession:"},
            "default_prefix": "procession",
            "imports": ["linkml:types"],
            "default_range": "string",
            "classes": self.classes,
            "enums": self.enums,
        }

    def _message(self, cls: type, entry: Entry, name: str) -> dict[str, Any]:
        found: dict[str, Any] = {"is_a": _KINDS[entry.kind][0]}
        about = description_of(cls)
        if about:
            found["description"] = about
        found["annotations"] = {
            "stored_name": entry.name,
            "stored_version": entry.version,
            "fingerprint": entry.fingerprint,
        }
        return found | self._attributes(entry.schema["fields"], name, (name,), plan_of(cls))

    def _attributes(
        self, fields: list[dict[str, Any]], owner: str, above: tuple[str, ...], plan: Plan
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for field in fields:
            members, nullable = _members(field["type"])
            hidden = plan.get(field["name"], False)
            slot = self._slot(members, f"{owner}_{field['name']}", above, hidden)
            if hidden is True:
                slot["annotations"] = {"secret": True}
            elif "default" in field:
                slot["annotations"] = {"default": to_json(field["default"]).decode()}
            if "default" not in field and not nullable:
                slot["required"] = True
            found[field["name"]] = slot
        return {"attributes": found} if found else {}

    def _slot(self, members: list[Type], hint: str, above: tuple[str, ...], hidden: Secrecy) -> dict[str, Any]:
        if len(members) != 1:
            return self._any_of(members, hint, above, hidden)
        (kind,) = members
        match kind:
            case {"list": inner}:
                return {
                    "multivalued": True,
                    "list_elements_ordered": True,
                    **self._element(inner, hint, above, hidden),
                }
            case {"set": inner}:
                return {"multivalued": True, "list_elements_unique": True, **self._element(inner, hint, above, hidden)}
            case {"tuple": inner}:
                element = self._element({"any of": inner} if len(inner) != 1 else inner[0], hint, above, hidden)
                size = {"exact_cardinality": len(inner)}
                return {"multivalued": True, "list_elements_ordered": True, **size, **element}
        return self._range(kind, hint, above, hidden)

    def _element(self, kind: Type, hint: str, above: tuple[str, ...], hidden: Secrecy) -> dict[str, Any]:
        """The range of the elements of a list: LinkML has no list in a list."""
        members, nullable = _members(kind)
        if nullable or any(isinstance(member, dict) and {"list", "set", "tuple"} & member.keys() for member in members):
            return {"range": _ANY}
        found = (
            self._range(members[0], hint, above, hidden)
            if len(members) == 1
            else self._any_of(members, hint, above, hidden)
        )
        return {**found, "inlined_as_list": True} if found.pop("inlined", False) else found

    def _any_of(self, members: list[Type], hint: str, above: tuple[str, ...], hidden: Secrecy) -> dict[str, Any]:
        ranges = [self._range(member, hint, above, hidden) for member in members]
        named = list(dict.fromkeys(str(found["range"]) for found in ranges))
        if not named or _ANY in named or any({"list", "set", "tuple"} & set(m) for m in members if isinstance(m, dict)):
            return {"range": _ANY}
        if len(named) == 1:
            return ranges[0]
        return {"range": _ANY, "any_of": [{"range": name} for name in named]}

    def _range(self, kind: Type, hint: str, above: tuple[str, ...], hidden: Secrecy) -> dict[str, Any]:
        match kind:
            case str():
                return {"range": _WORDS.get(kind, _ANY), **_MORE.get(kind, {})}
            case {"literal": values}:
                return self._enum(hint, {str(value): value for value in values})
            case {"enum": name, "values": values}:
                return self._enum(name, values)
            case {"up": levels}:
                return {"range": above[len(above) - 1 - levels], "inlined": True}
            case {"class": wanted, "fields": fields}:
                plan = hidden if isinstance(hidden, dict) else {}
                name, new = self.names.take(wanted, {**kind, "secret": plan} if plan else kind)
                if new:
                    self.classes[name] = {}  # its place, before those that it holds
                    self.classes[name] = self._attributes(fields, name, (*above, name), plan)
                return {"range": name, "inlined": True}
        return {"range": _ANY}

    def _enum(self, wanted: str, values: dict[str, Any]) -> dict[str, Any]:
        if not all(isinstance(value, str) for value in values.values()):
            return {"range": _ANY}
        name, _ = self.names.take(wanted, {"enum of": sorted(values.values())})
        self.enums[name] = {
            "permissible_values": {value: ({} if text == value else {"title": text}) for text, value in values.items()}
        }
        return {"range": name}


def _members(kind: Type) -> tuple[list[Type], bool]:
    """The members of a type without None, and whether that was among them."""
    members: list[Type] = kind["any of"] if isinstance(kind, dict) and "any of" in kind else [kind]
    found = [member for member in members if member != "None"]
    return found, len(found) < len(members)
