-- Schema 2 of a journal: flows that ended long ago lie in archive files beside it. What goes leaves a tombstone, which
-- holds its place in the order and in the CRC chain; ids of outside events stay, so that nothing is accepted again.

-- One row for each archive file: how many of its blocks are done with, and whether (1) that is all of them.
create table archive (
    number integer primary key,
    sha256 blob not null check (length(sha256) = 32),
    bytes integer not null,
    flows integer not null,
    steps integer not null,
    commands integer not null,
    events integer not null,
    last_command integer not null,
    made_us integer not null,
    moved integer not null,
    whole integer not null check (whole in (0, 1))
) strict;

-- Whose steps and commands went, into which file, and up to which version. The row of the flow itself stays.
create table archived_flow (
    flow integer not null,
    archive integer not null,
    version integer not null,
    primary key (flow, archive)
) strict, without rowid;

create table archived_id (
    source text not null,
    source_id text not null,
    position integer not null,
    digest blob,
    primary key (source, source_id)
) strict, without rowid;

-- How many went: events by type, commands by state, steps.
create table archived_count (
    kind text not null,
    name text not null,
    number integer not null,
    primary key (kind, name)
) strict, without rowid;

-- One row for each run of events that went into one file, with nothing that stayed between them; `crc` is the chain's
-- value after the last of them.
create table event_tombstone (
    first integer primary key,
    last integer not null,
    number integer not null,
    crc integer not null,
    archive integer not null
) strict;

create table step_tombstone (
    first integer primary key,
    last integer not null,
    number integer not null,
    crc integer not null,
    archive integer not null
) strict;

-- Few flows at any time have not ended. The test is the cheapest that says so: it is made at every change of a flow.
create index flow_not_ended on flow (status) where status <> 'ended';

drop trigger event_undeleted;

drop trigger step_undeleted;

create trigger event_undeleted before delete on event
when coalesce((select last from event_tombstone where first <= old.position order by first desc limit 1), 0)
    < old.position
begin select raise(abort, 'events are never deleted, only archived: a tombstone stands for them then'); end;

create trigger step_undeleted before delete on step
when coalesce((select last from step_tombstone where first <= old.seq order by first desc limit 1), 0) < old.seq
begin select raise(abort, 'steps are never deleted, only archived: a tombstone stands for them then'); end;
