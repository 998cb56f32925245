"""Settings as they are read: the environment over a file, the file over the defaults.

    settings = load_settings(Path("config/procession.toml"), os.environ)

A variable is the path of its setting in capitals, `PROCESSION_JOURNAL__SYNCHRONOUS=NORMAL`; a list is separated by
commas. An unknown key is refused with its path, a number out of its bounds with the range.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from procession.errors import SettingsError
from procession.knob import Value
from procession.settings import ENVIRONMENT_PREFIX, KNOBS, NOT_SETTINGS, TABLES, Settings, find_knob


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings of a file and of the environment, over the defaults.

    Raises:
        SettingsError: a key is unknown, a value is malformed or out of its bounds, or the file can't be read.
    """
    values: dict[tuple[str, ...], Value] = {}
    if path is not None:
        for keys, raw in _flat(_read(path)):
            values[keys] = find_knob(keys).read(".".join(keys), raw, path.parent)
    for name in sorted(environ):
        if name.startswith(ENVIRONMENT_PREFIX) and name not in NOT_SETTINGS:
            keys = tuple(name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"))
            values[keys] = find_knob(keys, name).parsed(name, environ[name])
    return _built(values)


def _read(path: Path) -> dict[str, Any]:
    try:
        import tomllib  # noqa: PLC0415 - only where there is a file

        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(str(path), f"can't be read: {error.strerror}", "name a file that can be read") from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(str(path), f"is no TOML: {error}", "mend the file") from error


def _flat(table: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    for key, raw in table.items():
        keys = (*above, key)
        named_gateway = above == ("gateways",) and keys not in KNOBS
        if isinstance(raw, dict) and (keys in TABLES or named_gateway):
            yield from _flat(raw, keys)
        elif keys in TABLES:
            raise SettingsError(key, f"is {raw!r}", f"write it as a table, [{key}]")
        else:
            yield keys, raw


def _built(values: Mapping[tuple[str, ...], Value]) -> Settings:
    top: dict[str, Any] = {keys[0]: value for keys, value in values.items() if len(keys) == 1}
    groups: dict[str, dict[str, Any]] = {}
    by_name: dict[str, dict[str, Value]] = {}
    for keys, value in values.items():
        if len(keys) > 1:
            group = groups.setdefault(keys[0], {}) if len(keys) == 2 else by_name.setdefault(keys[1], {})  # noqa: PLR2004
            group[keys[-1]] = value
    if by_name:
        groups.setdefault("gateways", {})["by_name"] = by_name
    for name, group in groups.items():
        try:
            top[name] = type(getattr(Settings(), name))(**group)
        except SettingsError as error:
            raise SettingsError(f"{name}.{error.path.partition('.')[2]}", error.found, error.cure) from None
    return Settings(**top)
