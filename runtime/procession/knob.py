"""A knob: what one setting does, which values it takes, and how it becomes a field of a settings class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import attrs

from procession.errors import SettingsError
from procession.mask import without_credentials

Value = bool | int | float | str | tuple[str, ...] | None

_KNOB = "procession.knob"
_ITEMS_MAX = 1_000
_KINDS: Mapping[type, str] = {bool: "true or false", str: "a text", tuple: "a list of texts"}
_SWITCH = {"true": True, "1": True, "false": False, "0": False}

_T = TypeVar("_T")


@attrs.frozen
class Knob:
    """What one setting does, and which values it takes."""

    kind: type
    help: str
    default: Value
    low: float = 0
    high: float = 0
    choices: tuple[str, ...] = ()
    is_path: bool = False
    """What stands in a file is seen from the folder of that file."""

    @property
    def allowed(self) -> str:
        """The values it takes, in words: `1 to 64`."""
        if self.choices:
            return " or ".join(self.choices)
        if self.kind in (int, float):
            return f"{_shown(self.low)} to {_shown(self.high)}"
        return _KINDS[self.kind]

    def checked(self, path: str, value: object) -> Value:
        """The value, if it is of the right kind and in bounds.

        Raises:
            SettingsError: it is not; names what was found and what is allowed.
        """
        if value is None and self.default is None:
            return None
        if isinstance(value, bool | str):
            if type(value) is self.kind and value in (self.choices or (value,)) and value != "":
                return value
        elif isinstance(value, int | float) and self.low <= value <= self.high and self.kind in (float, type(value)):
            return float(value) if self.kind is float else value
        elif isinstance(value, list | tuple) and self.kind is tuple:
            items = tuple(item for item in value if isinstance(item, str) and item)
            if len(items) == len(value) <= _ITEMS_MAX:
                return items
        raise SettingsError(path, f"is {without_credentials(repr(value))}", f"give it {self._wanted()}")

    def read(self, path: str, value: object, folder: Path) -> Value:
        """As `checked`, of a value that stands in a file of this folder."""
        found = self.checked(path, value)
        if self.is_path and isinstance(found, tuple):
            return tuple(str(folder / one) for one in found)
        return str(folder / found) if self.is_path and isinstance(found, str) else found

    def parsed(self, path: str, text: str) -> Value:
        """The value that a text from the environment stands for; an empty text is None where None is the default.

        Raises:
            SettingsError: the text stands for no value that is allowed.
        """
        if not text and self.default is None:
            return None
        if self.kind is tuple:
            return self.checked(path, [item.strip() for item in text.split(",") if item.strip()])
        if self.kind is bool:
            return self.checked(path, _SWITCH.get(text.lower(), text))
        try:
            return self.checked(path, text if self.kind is str else self.kind(text))
        except ValueError:
            raise SettingsError(path, f"is {without_credentials(repr(text))}", f"give it {self._wanted()}") from None

    def _wanted(self) -> str:
        return f"a whole number, {self.allowed}" if self.kind is int else self.allowed


def _shown(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


def _check(group: object, field: attrs.Attribute[Any], value: object) -> None:
    field.metadata[_KNOB].checked(f"{type(group).__name__}.{field.name}", value)


def knob_field(default: _T, knob: Knob) -> _T:
    """A field of a settings class; a value that the knob does not take is refused when the class is made."""
    return attrs.field(default=default, validator=_check, metadata={_KNOB: knob})


def int_knob(default: int, low: int, high: int, help_text: str) -> int:
    return knob_field(default, Knob(int, help_text, default, low, high))


def float_knob(default: float, low: float, high: float, help_text: str) -> float:
    return knob_field(default, Knob(float, help_text, default, low, high))


def texts_knob(help_text: str, *, is_path: bool = False) -> tuple[str, ...]:
    return knob_field((), Knob(tuple, help_text, (), is_path=is_path))


def knob_of(field: attrs.Attribute[Any]) -> Knob | None:
    """The knob behind a field; None for a group of knobs."""
    found: Knob | None = field.metadata.get(_KNOB)
    return found
