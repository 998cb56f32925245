-- Schema 4 of a journal.

-- What was paused and resumed, found at each start without reading other events. An act of an operator is a row; no other
-- event costs more than a look at its type. Questions name the types in these words: SQLite compares them.
create index event_pause on event (type) where type in ('procession.gateway_paused', 'procession.gateway_resumed', 'procession.process_paused', 'procession.process_resumed');
