-- Schema 1 of a journal. Times are microseconds since 1970 in UTC, ids are 16 bytes, payloads are JSON text.
-- Every index costs throughput: each one below serves a question that is asked while the runtime works.

create table journal (
    one integer primary key check (one = 1),
    id blob not null check (length(id) = 16),
    created_us integer not null
) strict;

-- One row. Each commit renews it `where epoch = ?`; it also holds the ends of both chains, so that a lost tail shows.
create table owner (
    one integer primary key check (one = 1),
    epoch integer not null,
    pid integer not null,
    host text not null,
    started_us integer not null,
    renewed_us integer not null,
    clean integer not null,
    unclean_starts integer not null,
    position integer not null,
    event_crc integer not null,
    step_seq integer not null,
    step_crc integer not null
) strict;

create table event (
    position integer primary key,
    id blob not null,
    source text,
    source_id text,
    digest blob,
    type text not null,
    version integer not null,
    payload text not null,
    keys text not null,
    caused_by blob,
    correlation blob,
    recorded_us integer not null,
    trace text,
    crc integer not null
) strict;

create unique index event_source on event (source, source_id) where source_id is not null;

-- (flow, version) needs no index: a commit compares the version of the flow row, and a flow has few steps to sort.
create table step (
    seq integer primary key,
    flow integer not null,
    version integer not null,
    position integer not null,
    outcome text not null,
    name text not null,
    effects text,
    crc integer not null
) strict;

create unique index step_position on step (flow, position);

create table flow (
    id integer primary key,
    process text not null,
    key text not null,
    version integer not null,
    status text not null,
    outcome text,
    reason text,
    started_us integer not null,
    updated_us integer not null
) strict;

create unique index flow_key on flow (process, key);

-- Ids of commands are hashes, and an index on them would be written at random places; (flow, position, idx) is what
-- an id is derived from, so it keeps them unique for less.
create table command (
    seq integer primary key,
    id blob not null,
    flow integer not null,
    position integer not null,
    idx integer not null,
    type text not null,
    gateway text not null,
    state text not null,
    attempts integer not null,
    due_us integer not null,
    log text
) strict;

create unique index command_step on command (flow, position, idx);

create index command_open on command (gateway, due_us, seq) where state = 'open';

create table timer (
    flow integer not null,
    name text not null,
    id blob not null,
    due_us integer not null,
    type text not null,
    version integer not null,
    payload text not null,
    correlation blob,
    primary key (flow, name)
) strict, without rowid;

create index timer_due on timer (due_us, flow, name);

create table delivery (
    flow integer not null,
    position integer not null,
    state text not null,
    timer text,
    marked integer not null,
    primary key (flow, position)
) strict, without rowid;

create index delivery_state on delivery (state, flow);

create table unhandled (
    position integer not null,
    process text not null,
    key text not null,
    reason text not null,
    primary key (position, process, key)
) strict, without rowid;

create index unhandled_key on unhandled (process, key, position);

create table snapshot (
    flow integer primary key,
    version integer not null,
    fingerprint text not null,
    state text not null
) strict;

create table type (
    kind text not null,
    name text not null,
    version integer not null,
    shape text not null,
    primary key (kind, name, version)
) strict, without rowid;

create table concern (
    process text not null,
    type text not null,
    since integer not null,
    primary key (process, type)
) strict, without rowid;

create trigger event_unchanged before update on event begin select raise(abort, 'events are never changed'); end;
create trigger event_undeleted before delete on event begin select raise(abort, 'events are never deleted'); end;
create trigger step_unchanged before update on step begin select raise(abort, 'steps are never changed'); end;
create trigger step_undeleted before delete on step begin select raise(abort, 'steps are never deleted'); end;
