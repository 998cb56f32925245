"""SIGHUP: what of the settings may change while the daemon runs, and what needs a new start.

The files that `http.tokens`, `http.tls_certificate` and `http.tls_key` name are read again beside this, whatever
becomes of the settings; that they are other files needs a new start.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

import attrs

from procession.engine.gateway_host import RELOADED
from procession.facade import Runtime
from procession.primitives.event import GatewayLimited
from procession.settings import GatewaySettings, Settings, knobs

_BY, _WHY = "configuration", "it was loaded again"


@attrs.frozen
class Reloaded:
    """What came of it."""

    changed: tuple[str, ...]
    """In force from now on."""
    waiting: tuple[str, ...]
    """They differ, and need a new start."""

    def __str__(self) -> str:
        said = f"in force: {', '.join(self.changed) or 'nothing new'}"
        return said + (f"; a new start is needed for {', '.join(self.waiting)}" if self.waiting else "")


def reload(runtime: Runtime, old: Settings, new: Settings) -> Reloaded:
    """Bring new settings into force as far as it goes.

    Raises:
        SettingsError: they name a gateway that is not there; nothing changed.
    """
    changed = list(runtime.reload_gateways(new.gateways))
    if new.log.level != old.log.level:
        logging.getLogger("procession").setLevel(new.log.level)
        changed.append("log.level")
    waiting = [".".join(path) for path, _ in knobs() if not _is_live(path) and _at(old, path) != _at(new, path)]
    fixed = {field.name for field in attrs.fields(GatewaySettings)} - RELOADED
    waiting += [
        f"gateways.{name}.{knob}"
        for name, values in new.gateways.by_name.items()
        for knob in sorted(fixed & values.keys())
        if values[knob] != old.gateways.by_name.get(name, {}).get(knob)
    ]
    return Reloaded(tuple(changed), tuple(waiting))


def limits_of(runtime: Runtime, changed: Iterable[str]) -> list[GatewayLimited]:
    """Which limits of gateways the configuration changed, as the acts that they are."""
    found: dict[str, list[str]] = {}
    for path in changed:
        kind, _, rest = path.partition(".")
        if kind == "gateways":
            name, _, knob = rest.rpartition(".")
            found.setdefault(name, []).append(f"{knob}={runtime.gateway_limits(name)[knob]}")
    return [GatewayLimited(name, tuple(limits), _BY, _WHY) for name, limits in sorted(found.items())]


def _is_live(path: tuple[str, ...]) -> bool:
    return path == ("log", "level") or (path[0] == "gateways" and path[-1] in RELOADED)


def _at(settings: Settings, path: tuple[str, ...]) -> object:
    found: object = settings
    for name in path:
        found = getattr(found, name)
    return found
