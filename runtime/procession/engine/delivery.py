"""Delivery: commands leave after their commit, each to its gateway, and open ones are read on from the journal."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
import trio

from procession.actors.supervisor import ActorInfo, Supervised
from procession.engine.answers import Answers
from procession.engine.clock import Clock
from procession.engine.command_window import Handle
from procession.engine.gateway_host import RELOADED, GatewayHost
from procession.engine.ledger import Batch, Ledger
from procession.engine.loader import Loader
from procession.engine.outbox import command_of
from procession.engine.turns import SentCommand
from procession.errors import NotFound, ProcessionError, SettingsError, WiringError
from procession.journal.rows import OpenCommand
from procession.knob import Value, knob_of
from procession.primitives.codec import from_json
from procession.primitives.definition import Definition
from procession.primitives.gateway import Gateway
from procession.primitives.registry import Registry
from procession.settings import GatewaySettings, GatewaysSettings
from procession.telemetry.measures import Measures
from procession.telemetry.names import Counters

logger = logging.getLogger("procession.gateways")
_HORIZON_US = 5_000_000
"""Commands that rest for longer than this stay in the journal while others wait for room."""
_PAGE = 500
_LIMITS = attrs.fields_dict(GatewaySettings)
_AHEAD_MAX = 1_000
"""Commands that are read before they may begin; their flows are in memory by then."""


class Gateways:
    """All gateways of one runtime."""

    def __init__(
        self,
        registry: Registry,
        settings: GatewaysSettings,
        answers: Answers,
        clock: Clock,
        counters: Counters,
        measures: Measures,
        spread: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._hosts = _hosts_of(registry.gateways, settings, answers, clock, counters, measures, spread=spread)
        self._answers = answers
        self._clock = clock
        self.actors = {name: Supervised(f"gateways/{name}") for name in self._hosts}

    def __iter__(self) -> Iterator[GatewayHost]:
        return iter(self._hosts.values())

    def host(self, name: str) -> GatewayHost:
        """A gateway by name.

        Raises:
            NotFound: there is none.
        """
        if name not in self._hosts:
            raise NotFound("gateway", name)
        return self._hosts[name]

    def reload(self, settings: GatewaysSettings) -> list[str]:
        """Other limits from now on; names what changed, `gateways.payments.concurrency` for instance.

        Raises:
            SettingsError: a gateway that is named is not there, or a value does not fit; nothing changed.
        """
        settings.check_names(self._hosts)
        drives = {host.name: settings.of(host.name, type(host.gateway).__gateway__.policy.declared()) for host in self}
        return [f"gateways.{host.name}.{knob}" for host in self for knob in host.reload(drives[host.name])]

    def checked_limits(self, name: str, limits: Mapping[str, Value]) -> dict[str, Any]:
        """Other limits for one gateway, as it would be driven by them.

        Raises:
            NotFound: there is no such gateway.
            SettingsError: a limit is none that may change while it runs, or a value does not fit.
        """
        host = self.host(name)
        checked: dict[str, Any] = {}
        for key, value in limits.items():
            knob = knob_of(_LIMITS[key]) if key in RELOADED else None
            if knob is None:
                cure = f"these may change while it runs: {', '.join(sorted(RELOADED))}"
                raise SettingsError(f"gateways.{name}.{key}", "is no limit of a gateway that runs", cure)
            checked[key] = knob.checked(f"gateways.{name}.{key}", value)
        attrs.evolve(host.drive, **checked)  # what two limits must hold together
        return checked

    def limit(self, name: str, checked: Mapping[str, Any]) -> list[str]:
        """Drive one gateway by other limits from now on, until the settings are loaded again; names what changed."""
        host = self.host(name)
        return host.reload(attrs.evolve(host.drive, **checked))

    def limits(self, name: str) -> dict[str, float | None]:
        """The limits of one gateway that may change while it runs, by name; raises as `host`."""
        drive = self.host(name).drive
        return {knob: getattr(drive, knob) for knob in sorted(RELOADED)}

    def attach(self, nursery: trio.Nursery) -> None:
        """Run attempts in this nursery."""
        for host in self:
            host.attach(nursery)

    def hold(self) -> None:
        """No attempt begins; running calls go on."""
        for host in self:
            host.open = False
            host.wake.set()

    def reset(self) -> None:
        """Forget what does not run: the journal was reopened and is read again."""
        for host in self:
            host.window.drop_waiting()

    def resume(self) -> None:
        """Attempts may begin."""
        for host in self:
            host.open = True
            host.wake.set()

    def send(self, ledger: Ledger, sent: SentCommand) -> None:
        """A turn asked for a command: it leaves when the batch that is filling now is durable."""
        receiver = self._registry.receivers[type(sent.command)]
        window, flow = self._hosts[receiver.name].window, sent.flow
        ledger.when_durable(
            Handle(
                window, sent.row, sent.command, flow.process, flow.key, sent.correlation, sent.trace, receiver.method
            )
        )

    def on_durable(self, batch: Batch) -> None:
        """Begin what a batch released."""
        if batch.commit.commands:
            for host in self:
                if host.window.known and not host.begin_ready():
                    host.wake.set()

    def idle(self) -> bool:
        """No command is open."""
        return not any(host.window.known or host.window.more or host.window.reading for host in self)

    def running(self) -> bool:
        """A call is under way."""
        return any(host.running for host in self)

    def cancel_running(self) -> None:
        """Stop every call at its next checkpoint; outcomes are unknown."""
        for host in self:
            for handle in list(host.window.known.values()):
                host.cancel(handle)

    def has_ready(self) -> bool:
        """A command is there that may begin now."""
        return any(handle.state == "ready" for host in self for handle in host.window.known.values())

    async def drive(self, name: str, ledger: Ledger, loader: Loader) -> None:
        """One gateway's loop: read on where there is more, begin what may begin, sleep until something may."""
        host = self._hosts[name]
        while True:
            host.wake = trio.Event()
            if host.open and host.window.more:
                host.window.drop_far(self._clock.now_us() + _HORIZON_US)
                ahead_max = self._ahead_max(host, loader)
                size = min(_PAGE, host.window.room, ahead_max - host.window.ready)
                if size >= max(1, min(_PAGE, ahead_max) // 2):
                    await self._read_on(host, ledger, loader, size)
            host.begin_ready()
            now = trio.current_time()
            wakes_at = host.next_wake(now, self._clock.now_us())
            if host.open and host.window.more and host.window.room:
                wakes_at = min(wakes_at, now + _HORIZON_US / 1_000_000)
            with trio.move_on_at(wakes_at):
                await host.wake.wait()

    def cancel(self, command: OpenCommand) -> bool:
        """Cancel an open command; one that runs is cancelled at its next checkpoint. False where it has ended.

        Call it between `begin_read` and `end_read`, with what was read in between.
        """
        host = self._hosts.get(command.row.gateway)
        if host is None or host.window.has_ended(command.row.seq):
            return False
        handle = host.window.known.get(command.row.seq) or self._handle(host, command)
        running = handle.state in ("running", "stuck")
        if not running:
            host.window.hold_back(handle)
        self._answers.cancelled(handle, unknown=running)
        if running:
            host.cancel(handle)
        return True

    def begin_read(self) -> None:
        """Somebody reads open commands: remember which end meanwhile."""
        for host in self:
            host.window.begin_read()

    def end_read(self) -> None:
        """What was read has been used."""
        for host in self:
            host.window.end_read()

    def check(self, command: OpenCommand) -> None:
        """Whether it can be read.

        Raises:
            InvalidPayload, UnknownType, WiringError: it can't be any more.
        """
        self._handle(self.host(command.row.gateway), command)

    def send_again(self, ledger: Ledger, command: OpenCommand) -> None:
        """Send a command again under the same id when the batch is durable; its attempts count anew."""
        row = command.row._replace(state="open", attempts=0, due_us=self._clock.now_us())
        host = self.host(row.gateway)
        ledger.when_durable(self._handle(host, command._replace(row=row)))
        ledger.when_durable(_Wake(host))

    def info(self) -> tuple[ActorInfo, ...]:
        """The gateways for the tree."""
        return tuple(self._info(name, host) for name, host in self._hosts.items())

    def _info(self, name: str, host: GatewayHost) -> ActorInfo:
        actor = self.actors[name]
        state = "paused" if host.paused else "held" if not host.open else actor.state
        detail = f"{host.running} running, {len(host.window)} open in memory, breaker {host.breaker.state}"
        if host.last_error:
            detail += f", last error: {host.last_error}"
        return ActorInfo(name, state, actor.restarts, (), detail)

    def _ahead_max(self, host: GatewayHost, loader: Loader) -> int:
        """How many commands may be in memory that could begin; ordered ones may have to wait for one that rests."""
        if host.ordered:
            return host.drive.commands_loaded_max
        return max(1, min(_AHEAD_MAX, host.drive.commands_loaded_max, loader.ahead_max // len(self._hosts)))

    async def _read_on(self, host: GatewayHost, ledger: Ledger, loader: Loader, size: int) -> None:
        """Take open commands from the journal into the window, those due first, when their flows are in memory."""
        window, journal = host.window, ledger.journal
        window.begin_read()
        window.more = False
        try:
            page = await journal.open_commands(host.name, self._clock.now_us() + _HORIZON_US, size, window.here())
            if not host.paused:
                await loader.prefetch(self._soon(page))
            self._take(host, page)
            full = len(page) >= size
            if not full:
                size = min(_PAGE, window.room) + 1
                page = await journal.open_commands(host.name, _FOREVER_US, size, window.here())
                full = len(page) >= size
                if not full:
                    self._take(host, page)
            window.more = window.more or full
        except BaseException:
            window.more = True  # what was not read is still there
            raise
        finally:
            window.end_read()

    def _soon(self, page: list[OpenCommand]) -> Iterator[tuple[Definition, str]]:
        """The flows whose commands may begin at once, and which therefore an answer will arrive for."""
        now_us = self._clock.now_us()
        for command in page:
            definition = self._registry.processes.get(command.process)
            if definition is not None and (command.row.due_us <= now_us or not command.row.attempts):
                yield definition, command.key

    def _take(self, host: GatewayHost, page: list[OpenCommand]) -> None:
        text, effects = "", []
        for command in page:
            if host.window.knows(command.row.seq):
                continue
            if command.effects is not text:  # commands of one step stand side by side: its effects are decoded once
                text, effects = command.effects, from_json(command.effects)
            self._take_one(host, command, effects[command.row.idx])

    def _take_one(self, host: GatewayHost, command: OpenCommand, effect: Mapping[str, Any]) -> None:
        try:
            host.window.add(self._handle(host, command, effect), self._clock.now_us())
        except ProcessionError as error:
            logger.error("command %s can't be sent: %s", command.row.id.hex(), error)  # noqa: TRY400 - no fault of ours

    def _handle(self, host: GatewayHost, command: OpenCommand, effect: Mapping[str, Any] | None = None) -> Handle:
        message = command_of(self._registry, effect or from_json(command.effects)[command.row.idx])
        if command.process not in self._registry.processes:
            raise WiringError(
                f"the process {command.process!r} that asked is not given", "give it, or its commands wait"
            )
        receiver = self._registry.receivers[type(message)]
        log = tuple(from_json(command.row.log)) if command.row.log else ()
        tracing = self._answers.tracing
        trace = command.trace if tracing is None else tracing.of_effect(command.trace, command.row.id)
        known = (command.process, command.key, command.correlation, trace, receiver.method)
        handle = Handle(host.window, command.row, message, *known)
        handle.attempts, handle.log = command.row.attempts, log
        return handle


@attrs.define(eq=False)
class _Wake:
    host: GatewayHost

    def durable(self) -> None:
        self.host.wake.set()

    def failed(self, error: Exception) -> None:
        """Nothing to do: the loops start anew."""


_FOREVER_US = 2**62


def _hosts_of(
    gateways: Mapping[str, Gateway | type[Gateway]],
    settings: GatewaysSettings,
    answers: Answers,
    clock: Clock,
    counters: Counters,
    measures: Measures,
    *,
    spread: Callable[[], float],
) -> dict[str, GatewayHost]:
    """A host for each gateway, driven as its class and the settings say.

    Raises:
        SettingsError: a value is out of its bounds, or is set for a gateway that is not there.
    """
    settings.check_names(gateways)
    hosts: dict[str, GatewayHost] = {}
    for name, gateway in gateways.items():
        assert isinstance(gateway, Gateway), "one that is given as a class is made before the engine is"
        policy = gateway.__gateway__.policy
        drive = settings.of(name, policy.declared())
        hosts[name] = GatewayHost(
            name,
            gateway,
            drive,
            policy.ordered,
            answers,
            clock,
            counters,
            measures.gateways[name],
            spread,
            on_host=policy.host,
        )
    return hosts
