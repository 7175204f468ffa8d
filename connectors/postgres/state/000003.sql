-- The timeline on which `confirmed_lsn` was confirmed: the spool's claims say it too, but a spool can be lost (E1).
alter table sluice.shard add column timeline int;
