"""What must follow from the events and steps of a SQLite journal, as questions: each row of an answer is a fault.

Columns that are in an index too need none: SQLite's own check compares both copies. Words are at least two bits apart.
"""

# SQL in several lines is one string.
# ruff: noqa: ISC004

from __future__ import annotations

from typing import get_args

import attrs

from procession.journal.row_crc import NAMES
from procession.journal.rows import CommandState, DeliveryState, FlowStatus, UnhandledReason

RESTORE = "restore a backup"
_REBUILD = "stop the owner and restore a backup; the events and steps are whole, so nothing that happened is lost"
_RECORDED_AGAIN = (
    "nothing is lost; start it with the classes as they were when it was written, which are recorded again then"
)
US_MAX = 253_402_300_799_999_999
"""The end of the year 9999."""
MARKS_MAX = 5
"""How often a delivery may be marked before its flow is set aside."""


def _words(kind: object) -> str:
    return ", ".join(f"'{word}'" for word in get_args(kind))


@attrs.frozen
class Keys:
    """The keys of a table, by which a question goes through it."""

    table: str
    column: str


_EVENTS, _STEPS = Keys("event", "position"), Keys("step", "seq")
_FLOWS, _COMMANDS = Keys("flow", "id"), Keys("command", "seq")
_TIMERS, _DELIVERIES = Keys("timer", "flow"), Keys("delivery", "flow")

COMPARISONS: tuple[tuple[str, str, str, Keys | None], ...] = (
    (
        "routing",
        _REBUILD,
        "select printf('event %d for %s %s is handled, waiting and set aside %d times in all, not once',"
        " position, process, key, found) from ("
        " select event.position, named.key as process, keyed.value as key,"
        " (select count(*) from step where step.flow = flow.id and step.position = event.position)"
        " + (select count(*) from delivery where delivery.flow = flow.id and delivery.position = event.position)"
        " + (select count(*) from unhandled where unhandled.position = event.position"
        "    and unhandled.process = named.key and unhandled.key = keyed.value) as found"
        " from event cross join json_each(event.keys) as named cross join json_each(named.value) as keyed"
        " left join flow on flow.process = named.key and flow.key = keyed.value"
        " where event.position > :after and event.position <= :until) as routed where found <> 1"
        " and not (found = 0 and exists (select 1 from archived_flow as gone join flow on flow.id = gone.flow"
        " where flow.process = routed.process and flow.key = routed.key))",
        _EVENTS,
    ),
    (
        "flow_version",
        _REBUILD,
        "select printf('flow %d is at version %d, its %d steps end at version %d', id, version, steps, last) from ("
        " select id, version, gone, gone + (select count(*) from step where step.flow = whose.id) as steps,"
        " max(gone, (select coalesce(max(step.version), 0) from step where step.flow = whose.id)) as last from ("
        " select id, version, (select coalesce(max(archived.version), 0) from archived_flow as archived"
        " where archived.flow = flow.id) as gone from flow where id > :after and id <= :until) as whose)"
        " where version <> last or version <> steps",
        _FLOWS,
    ),
    (
        "step_alone",
        RESTORE,
        "select printf('step %d has no flow or no event', seq) from step where seq > :after and seq <= :until"
        " and (not exists (select 1 from flow where flow.id = step.flow)"
        " or not exists (select 1 from event where event.position = step.position))",
        _STEPS,
    ),
    (
        "command_step",
        _REBUILD,
        "select printf('command %d is not what its step yielded', seq) from command"
        " where seq > :after and seq <= :until"
        " and not exists (select 1 from step where step.flow = command.flow and step.position = command.position"
        " and json_extract(step.effects, '$[' || command.idx || '].command') = command.type"
        " and json_extract(step.effects, '$[' || command.idx || '].id') = lower(hex(command.id)))",
        _COMMANDS,
    ),
    (
        "command_missing",
        _REBUILD,
        "select printf('effect %d of step %d is a command that is not kept', effect.key, step.seq)"
        " from step cross join json_each(step.effects) as effect where step.seq > :after and step.seq <= :until"
        " and json_extract(effect.value, '$.command') is not null and not exists (select 1 from command"
        " where command.flow = step.flow and command.position = step.position and command.idx = effect.key)",
        _STEPS,
    ),
    (
        "timer_step",
        _REBUILD,
        # The last that its flow said of a deadline of this name; it may also have been to cancel it.
        "select printf('timer %s of flow %d is not what a step of a running flow set', name, flow) from (select"
        " timer.*, (select json_extract(effect.value, '$.timer', '$.id', '$.due_us', '$.event', '$.version', '$.data')"
        " || lower(hex(coalesce(event.correlation, event.id)))"
        " from flow as whose cross join step on step.flow = whose.id cross join json_each(step.effects) as effect"
        " join event on event.position = step.position"
        " where whose.id = timer.flow and whose.status not in ('ended', 'cancelled')"
        " and timer.name in (json_extract(effect.value, '$.timer'), json_extract(effect.value, '$.cancel'))"
        " order by step.version desc, effect.key desc limit 1) as said"
        " from timer where flow > :after and flow <= :until)"
        " where said is not json_array(name, lower(hex(id)), due_us, type, version, json(payload))"
        " || iif(correlation is null, coalesce(substr(said, -32), ''), lower(hex(correlation)))",
        _TIMERS,
    ),
    (
        "archived_rest",
        _REBUILD,
        "select printf('flow %d was archived up to version %d, and something of that is still here', flow, version)"
        " from archived_flow as gone where flow > :after and flow <= :until"
        " and (exists (select 1 from step where step.flow = gone.flow and step.version <= gone.version)"
        " or exists (select 1 from command where command.flow = gone.flow)"
        " or exists (select 1 from timer where timer.flow = gone.flow))",
        Keys("archived_flow", "flow"),
    ),
    (
        "archived_count",
        _REBUILD,
        "select printf('tombstones stand for %d events and %d steps, counted were %d and %d', e, s, ce, cs)"
        " from (select"
        " (select coalesce(sum(number), 0) from event_tombstone) as e,"
        " (select coalesce(sum(number), 0) from step_tombstone) as s,"
        " (select coalesce(sum(number), 0) from archived_count where kind = 'event') as ce,"
        " (select coalesce(sum(number), 0) from archived_count where kind = 'step') as cs"
        " where :after < :until) where e <> ce or s <> cs",
        None,
    ),
    (
        "delivery_alone",
        _REBUILD,
        "select printf('a delivery of event %d to flow %d has no flow, no event, or a step already', position, flow)"
        " from delivery where flow > :after and flow <= :until"
        " and (not exists (select 1 from flow as whose where whose.id = delivery.flow)"
        " or not exists (select 1 from event where event.position = delivery.position)"
        " or exists (select 1 from step where step.flow = delivery.flow and step.position = delivery.position))",
        _DELIVERIES,
    ),
    (
        "flow_row",
        _REBUILD,
        "select printf('flow %d is %s, with the outcome %s and the reason %s, changed at %d: this can''t be', id,"
        " status, coalesce(outcome, '-'), coalesce(reason, '-'), updated_us)"
        " from flow where id > :after and id <= :until"
        f" and (status not in ({_words(FlowStatus)})"
        " or (status = 'quarantined') <> (reason is not null)"
        " or (status in ('ended', 'cancelled') and outcome is null)"
        " or (status in ('active', 'unstarted') and outcome is not null)"
        f" or updated_us not between 0 and {US_MAX})",
        _FLOWS,
    ),
    (
        "flow_start",
        _REBUILD,
        "select printf('flow %d began at %d, the event that it began with was accepted at %d', id, started_us, began)"
        " from (select id, started_us, coalesce((select event.recorded_us from step"
        " join event on event.position = step.position where step.flow = flow.id"
        " and (step.outcome = 'handled' or (flow.status = 'cancelled' and step.name = 'cancel'))"
        " order by step.version limit 1), 0) as began from flow where id > :after and id <= :until and version > 0"
        " and not exists (select 1 from archived_flow as gone where gone.flow = flow.id)) where started_us <> began",
        _FLOWS,
    ),
    (
        "command_row",
        _REBUILD,
        "select printf('command %d is %s after %d attempts, due at %d, and its log is %s: this can''t be', seq, state,"
        " attempts, due_us, coalesce(log, '-')) from (select seq, state, attempts, due_us, log, coalesce(case"
        " when json_valid(log) then json_extract(log, '$[#-1].n') end, 0) as tried from command"
        " where seq > :after and seq <= :until)"
        f" where state not in ({_words(CommandState)})"
        f" or due_us not between 0 and {US_MAX} or (log is not null and not json_valid(log))"
        # A cancelled attempt is not counted, an answered one is not in the log, and one that is sent again begins anew.
        " or (attempts not between tried - 1 and tried + 1 and (attempts not in (0, 1)"
        " or coalesce(json_extract(log, '$[0].sent_again'), 0) = 0))",
        _COMMANDS,
    ),
    (
        "delivery_row",
        _REBUILD,
        "select printf('the delivery of event %d to flow %d is %s, marked %d times, of timer %s: this can''t be',"
        " position, flow, state, marked, coalesce(timer, '-')) from (select delivery.*, event.caused_by, (select"
        " json_extract(effect.value, '$.timer') from step cross join json_each(step.effects) as effect"
        " where step.flow = delivery.flow and event.caused_by is not null"
        " and json_extract(effect.value, '$.timer') is not null"
        " and json_extract(effect.value, '$.id') = lower(hex(event.caused_by))) as fired"
        " from delivery join event using (position) where flow > :after and flow <= :until)"
        f" where state not in ({_words(DeliveryState)}) or marked not between 0 and {MARKS_MAX}"
        " or (timer is not fired and caused_by is not null)",
        _DELIVERIES,
    ),
    (
        "unhandled_row",
        _REBUILD,
        "select printf('why event %d was not handled by %s/%s is given as %s, which is no reason', position, process,"
        " key, reason) from unhandled where position > :after and position <= :until"
        f" and reason not in ({_words(UnhandledReason)})",
        Keys("unhandled", "position"),
    ),
    (
        "names",
        _RECORDED_AGAIN,
        "select 'the list of types, or that of concerns, is not the one that was written last' from owner"
        f" where :after < :until and names <> {NAMES}",
        None,
    ),
    (
        "type_missing",
        _RECORDED_AGAIN,
        "select printf('%s version %d is in use, and not in the list of types', type, version) from (select distinct"
        " type, version from event where position > :after and position <= :until) as used"
        " where type not like 'procession.%' and exists (select 1 from type where kind = 'event')"
        " and not exists (select 1 from type where kind in ('event', 'failure') and type.name = used.type"
        " and type.version = used.version)",
        _EVENTS,
    ),
)
