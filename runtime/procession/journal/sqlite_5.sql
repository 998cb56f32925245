-- Schema 5 of a journal: rows that may change, or that nothing else tells again, have a checksum of their own, so that
-- no damage to them goes unnoticed. What a row has before its checksum is made is one that does not fit.
alter table flow add column crc integer not null default -1;

alter table command add column crc integer not null default -1;

alter table type add column crc integer not null default -1;

alter table concern add column crc integer not null default -1;

-- The sum of the checksums of all types and concerns, so that one that is not there any more shows.
alter table owner add column names integer not null default 0;
