"""Every knob: its default, its bounds and what it does.

Settings that are made in code are checked as those that are read from a file and the environment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal

import attrs

from procession.errors import SettingsError
from procession.http_settings import HttpSettings
from procession.knob import Knob, Value, float_knob, int_knob, knob_field, knob_of, texts_knob
from procession.telemetry_settings import TelemetrySettings

ENVIRONMENT_PREFIX = "PROCESSION_"
NOT_SETTINGS = frozenset({"PROCESSION_ATTEMPT", "PROCESSION_CI", "PROCESSION_COMMAND_ID", "PROCESSION_CONFIG"})
"""Variables with the prefix that other parts read: the tests, the command line, and programs that a gateway runs."""


def _check_backoff(group: str, initial_s: float, longest_s: float) -> None:
    if initial_s > longest_s:
        found = f"is {initial_s!r}, over backoff_max_s, which is {longest_s!r}"
        raise SettingsError(f"{group}.backoff_initial_s", found, "make it the smaller one")


@attrs.frozen(kw_only=True)
class JournalSettings:
    """The durable record."""

    path: str = knob_field(
        "procession.db", Knob(str, "The journal's file, from the working directory.", "procession.db")
    )
    synchronous: Literal["FULL", "NORMAL"] = knob_field(
        "FULL",
        Knob(str, "NORMAL is faster and may lose the last commits at power loss.", "FULL", choices=("FULL", "NORMAL")),
    )
    readers: int = int_knob(2, 1, 64, "Connections that read beside the writer.")
    wal_pages_max: int = int_knob(4_000, 100, 1_000_000, "The write-ahead log is folded back when it is longer.")
    careful_after: int = int_knob(2, 2, 1_000_000, "So many unclean ends in a row make the next start a careful one.")
    unclean_period_s: float = float_knob(
        600, 1, 86_400, "An unclean end counts if its last commit was no longer ago than this."
    )


@attrs.frozen(kw_only=True)
class IntakeSettings:
    """What is accepted from outside."""

    events_max: int = int_knob(10_000, 1, 1_000_000, "Events that wait for their commit; senders wait beyond it.")
    publish_batch_max: int = int_knob(1_000, 1, 100_000, "Events in one publish; more is refused at once.")
    payload_bytes_max: int = int_knob(1_048_576, 1_024, 67_108_864, "The data of one event, as JSON.")
    payload_bytes_warn: int = int_knob(
        262_144, 1_024, 67_108_864, "More data of one event or command is taken, counted, and told once for each type."
    )
    keys_per_event_max: int = int_knob(100, 1, 10_000, "Flows of one process that one event may concern.")
    key_bytes_max: int = int_knob(512, 1, 512, "The length of a key in UTF-8.")


@attrs.frozen(kw_only=True)
class CommitSettings:
    """How the writer commits."""

    rows_max: int = int_knob(5_000, 100, 100_000, "Events in one commit; outside senders wait for the next.")
    outcome_wait_s: float = float_knob(
        30, 0.1, 3_600, "After a failed commit senders wait this long to hear its outcome."
    )
    probe_interval_s: float = float_knob(1, 0.01, 60, "After a failed commit the journal is tried again this often.")


@attrs.frozen(kw_only=True)
class FlowsSettings:
    """The flows in memory."""

    awake_max: int = int_knob(2_000, 1, 100_000, "Flows that are at work at one time.")
    cached_max: int = int_knob(3_072, 1, 1_000_000, "Flows whose state is kept in memory after their work.")
    mailbox_max: int = int_knob(256, 1, 100_000, "Deliveries in one mailbox; the rest is read from the journal.")
    turn_slice_ms: int = int_knob(10, 1, 1_000, "A flow lets others run after this long.")
    turn_returns_s: float = float_knob(0.5, 0.1, 3_600, "A turn that takes longer is named, and its flow suspected.")
    effects_per_turn_max: int = int_knob(1_000, 1, 100_000, "Effects that one reaction may yield.")
    load_slice_steps: int = int_knob(256, 1, 100_000, "Steps folded before others may run, when a flow is loaded.")
    snapshot_every_steps: int = int_knob(
        200, 1, 1_000_000, "A snapshot is taken each time a flow has so many more steps."
    )
    state_bytes_max: int = int_knob(
        4_194_304, 1_024, 268_435_456, "The state of one flow, as JSON; measured at each snapshot."
    )
    waiting_events_max: int = int_knob(1_000, 1, 1_000_000, "Events that wait for the start of one flow.")
    waiting_age_max_s: float = float_knob(86_400, 1, 31_536_000, "An event that waited this long for a start is shown.")


@attrs.frozen(kw_only=True)
class ProcessesSettings:
    """When a whole process is paused, so that a bad deployment sets few flows aside."""

    pause_failures_min: int = int_knob(
        20, 1, 1_000_000, "Flows that must fail at one handler before its process pauses."
    )
    pause_share: float = float_knob(0.5, 0.01, 1, "And the share of the flows that came there.")


@attrs.frozen(kw_only=True)
class AggregatesSettings:
    """The aggregates in memory."""

    cached_max: int = int_knob(3_072, 1, 1_000_000, "Aggregates whose state is kept in memory after their work.")
    commands_loaded_max: int = int_knob(2_000, 1, 1_000_000, "Flows' commands in memory; the rest is in the journal.")
    events_per_decision_max: int = int_knob(1_000, 1, 100_000, "Events that one decision may return.")
    snapshot_every_events: int = int_knob(200, 1, 1_000_000, "A snapshot is taken after so many more events.")
    state_bytes_max: int = int_knob(
        4_194_304, 1_024, 268_435_456, "The state of one aggregate, as JSON; measured at each snapshot."
    )


@attrs.frozen(kw_only=True)
class TimersSettings:
    """Deadlines."""

    loaded_max: int = int_knob(2_000, 1, 1_000_000, "Next deadlines in memory; the rest is read when they are near.")
    check_interval_s: float = float_knob(1, 0.01, 1, "Deadlines are compared with the wall clock at least this often.")


@attrs.frozen(kw_only=True)
class GatewaySettings:
    """How one gateway is driven."""

    concurrency: int = int_knob(16, 1, 10_000, "Attempts at one time.")
    rate_per_s: float | None = knob_field(
        None, Knob(float, "Attempts begun in a second; no limit if left out.", None, 0.001, 1_000_000)
    )
    timeout_s: float = float_knob(30, 0.001, 86_400, "An attempt is cancelled after this; its outcome is unknown then.")
    attempts_max: int = int_knob(10, 1, 1_000, "A command is given up after so many attempts.")
    backoff_initial_s: float = float_knob(0.5, 0.001, 3_600, "The wait before the second attempt.")
    backoff_max_s: float = float_knob(60, 0.001, 86_400, "The longest wait between two attempts.")
    backoff_factor: float = float_knob(2, 1, 10, "Each wait is so much longer than the one before.")
    jitter: float = float_knob(0.2, 0, 1, "Each wait is longer or shorter by up to this share, by chance.")
    retry_later_max_s: float = float_knob(3_600, 0.001, 604_800, "The longest wait that a gateway may ask for.")
    breaker_failures: int = int_knob(10, 1, 10_000, "So many failures one after another stop all attempts.")
    breaker_cooldown_s: float = float_knob(30, 0.001, 86_400, "Then one attempt is made after this long.")
    commands_loaded_max: int = int_knob(2_000, 1, 1_000_000, "Commands in memory; the rest is read from the journal.")
    paused: bool = knob_field(default=False, knob=Knob(bool, "Commands wait, and use no attempts.", default=False))

    def __attrs_post_init__(self) -> None:
        """Hold what two knobs must hold together."""
        _check_backoff(type(self).__name__, self.backoff_initial_s, self.backoff_max_s)


def _overrides(by_name: Mapping[str, Mapping[str, object]]) -> Mapping[str, Mapping[str, Value]]:
    """A copy that nobody can change, each value checked."""
    return MappingProxyType(
        {
            name: MappingProxyType(
                {
                    key: find_knob(("gateways", name, key)).checked(f"gateways.{name}.{key}", raw)
                    for key, raw in set_.items()
                }
            )
            for name, set_ in by_name.items()
        }
    )


@attrs.frozen(kw_only=True)
class GatewaysSettings(GatewaySettings):
    """How gateways are driven that say nothing themselves, and what is set for some of them by name."""

    by_name: Mapping[str, Mapping[str, Value]] = attrs.field(factory=dict, converter=_overrides)

    def of(self, name: str, declared: Mapping[str, Value]) -> GatewaySettings:
        """What holds for one gateway: these defaults, over them what its class declares, over them what is set by name.

        A declared None says nothing.

        Raises:
            SettingsError: a declared value is out of its bounds, or two values do not fit.
        """
        said = {key: value for key, value in declared.items() if value is not None} | dict(self.by_name.get(name, {}))
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in attrs.fields(GatewaySettings)}
        for key, value in said.items():
            values[key] = find_knob(("gateways", name, key)).checked(f"gateways.{name}.{key}", value)
        _check_backoff(f"gateways.{name}", values["backoff_initial_s"], values["backoff_max_s"])
        return GatewaySettings(**values)

    def check_names(self, names: Iterable[str]) -> None:
        """Refuse what is set for a gateway that is not among these names.

        Raises:
            SettingsError: there is no such gateway.
        """
        known = sorted(names)
        for name in self.by_name:
            if name not in known:
                from difflib import get_close_matches  # noqa: PLC0415 - only for a refusal

                near = get_close_matches(name, known, n=1)
                cure = f"did you mean gateways.{near[0]}?" if near else f"gateways are {', '.join(known) or 'none'}"
                raise SettingsError(f"gateways.{name}", "is the name of no gateway", cure)


@attrs.frozen(kw_only=True)
class InvariantsSettings:
    """How invariants are watched, in a runtime that has any."""

    flows_due_max: int = int_knob(
        10_000, 1, 1_000_000, "Flows that wait to be judged in memory; the rest is found in the journal."
    )
    turns_cached_max: int = int_knob(20_000, 1, 10_000_000, "Turns in histories that are kept in memory.")
    turns_per_flow_max: int = int_knob(10_000, 1, 1_000_000, "A flow with a longer history is not judged any more.")
    look_back_s: float = float_knob(
        60, 0, 86_400, "At start, flows that changed in so long before the journal's last event are judged again."
    )


@attrs.frozen(kw_only=True)
class ProjectorsSettings:
    """How projections are folded and asked."""

    folder: str | None = knob_field(
        None, Knob(str, "Where their stores lie; if left out, in a folder beside the journal, made where needed.", None)
    )
    batch_rows_max: int = int_knob(5_000, 1, 100_000, "Events that are read and folded at once.")
    batch_ms: int = int_knob(50, 1, 10_000, "A commit holds what is folded in about so long.")
    rows_max: int = int_knob(10_000, 1, 1_000_000, "Rows that one query, or one statement of a handler, may return.")
    queries_max: int = int_knob(4, 1, 64, "Queries that are answered at one time, each in a thread of its own.")
    look_interval_s: float = float_knob(
        2, 0.05, 3_600, "So often it is looked whether `procession projections rebuild` has finished a store beside it."
    )


@attrs.frozen(kw_only=True)
class SupervisionSettings:
    """How often what fails is started again."""

    restarts_max: int = int_knob(5, 0, 1_000, "Restarts within the period; one more and the supervisor gives up.")
    period_s: float = float_knob(60, 0.1, 86_400, "The period in which restarts are counted.")
    backoff_initial_s: float = float_knob(0.1, 0.001, 60, "The wait before the first restart; it doubles each time.")
    backoff_max_s: float = float_knob(5, 0.001, 3_600, "The longest wait before a restart.")

    def __attrs_post_init__(self) -> None:
        """Hold what two knobs must hold together."""
        _check_backoff(type(self).__name__, self.backoff_initial_s, self.backoff_max_s)


@attrs.frozen(kw_only=True)
class ShutdownSettings:
    """How the runtime ends."""

    grace_s: float = float_knob(5, 0, 3_600, "Calls under way may take this long to answer.")
    last_commit_s: float = float_knob(
        2, 0.1, 10, "The last commit may take this long when the host cancels the runtime."
    )


@attrs.frozen(kw_only=True)
class ResourcesSettings:
    """What gateways and injectors are given."""

    open_s: float = float_knob(30, 0.001, 3_600, "One resource may take this long to open.")
    close_s: float = float_knob(5, 0.001, 3_600, "One resource may take this long to close.")


@attrs.frozen(kw_only=True)
class PuritySettings:
    """How turns are watched."""

    guard: Literal["report", "raise", "off"] = knob_field(
        "report",
        Knob(str, "What becomes of a turn that does work.", "report", choices=("report", "raise", "off")),
    )
    shadow_replay_ratio: float = float_knob(0, 0, 1, "This share of turns runs again in a second process.")
    shadow_queue_max: int = int_knob(1_000, 1, 1_000_000, "Turns that wait for it; the rest is left out and counted.")


@attrs.frozen(kw_only=True)
class LogSettings:
    """What `procession run` writes to standard error."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = knob_field(
        "INFO", Knob(str, "What is less is not written.", "INFO", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    )


@attrs.frozen(kw_only=True)
class Settings:
    """Every knob of one runtime."""

    modules: tuple[str, ...] = texts_knob("The modules that hold the flows, by their full names.")
    import_paths: tuple[str, ...] = texts_knob(
        "Folders that modules are imported from; in a file, seen from its folder.", is_path=True
    )
    journal: JournalSettings = JournalSettings()
    intake: IntakeSettings = IntakeSettings()
    commit: CommitSettings = CommitSettings()
    flows: FlowsSettings = FlowsSettings()
    processes: ProcessesSettings = ProcessesSettings()
    aggregates: AggregatesSettings = AggregatesSettings()
    timers: TimersSettings = TimersSettings()
    gateways: GatewaysSettings = GatewaysSettings()
    invariants: InvariantsSettings = InvariantsSettings()
    projectors: ProjectorsSettings = ProjectorsSettings()
    supervision: SupervisionSettings = SupervisionSettings()
    shutdown: ShutdownSettings = ShutdownSettings()
    purity: PuritySettings = PuritySettings()
    log: LogSettings = LogSettings()
    resources: ResourcesSettings = ResourcesSettings()
    http: HttpSettings = HttpSettings()  # noqa: RUF009 - it is frozen
    telemetry: TelemetrySettings = TelemetrySettings()  # noqa: RUF009 - as above


def knobs() -> Iterator[tuple[tuple[str, ...], Knob]]:
    """Every knob by its path, in the order of the file."""
    for field in attrs.fields(Settings):
        if knob := knob_of(field):
            yield (field.name,), knob
        else:
            group: type[attrs.AttrsInstance] = type(getattr(Settings(), field.name))
            for inner in attrs.fields(group):
                if knob := knob_of(inner):
                    yield (field.name, inner.name), knob


KNOBS = dict(knobs())
"""Every knob by its path."""
TABLES = {path[:1] for path in KNOBS if len(path) > 1}
"""Groups of knobs, each a table of the file."""


def find_knob(keys: tuple[str, ...], variable: str = "") -> Knob:
    """The knob at a path.

    Args:
        keys: the path.
        variable: of the environment, that names it; a refusal speaks of it then.

    Raises:
        SettingsError: there is none; names the nearest.
    """
    at = (keys[0], keys[2]) if keys[0] == "gateways" and len(keys) == 3 else keys  # noqa: PLR2004 - [gateways.NAME] key
    if at in KNOBS:
        return KNOBS[at]
    from difflib import get_close_matches  # noqa: PLC0415 - as above

    known = {".".join(path): path for path in (KNOBS if variable or len(at) > 1 else [*TABLES, *KNOBS])}
    here = [path[-1] for path in KNOBS if path[:-1] == at[:-1]] or sorted(table for (table,) in TABLES)
    cure = f"known here are {', '.join(here)}"
    if near := get_close_matches(".".join(at), known, n=1, cutoff=0.7):
        found = known[near[0]]
        meant = (found[0], keys[1], *found[1:]) if at != keys and found[0] == "gateways" else found
        shown = ENVIRONMENT_PREFIX + "__".join(meant).upper() if variable else ".".join(meant)
        cure = f"did you mean {shown}?"
    raise SettingsError(variable or ".".join(keys), "is no setting", cure)
