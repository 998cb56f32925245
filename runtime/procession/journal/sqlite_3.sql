-- Schema 3 of a journal.

-- In order of id within each outcome, so that a page of the rarest costs the same as one of the commonest. It grows by
-- a row for each flow that ends, about 4 bytes for an event of a flow of four.
create index flow_outcome on flow (outcome) where outcome is not null;
