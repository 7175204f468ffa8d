-- Closed panes lack late changes, or a min or max, and no apply has told of it: a backfill left them so, or a letter that was replayed. The next apply tells.
alter table sluice.aggregate add column is_stale boolean not null default false;
