-- What was loaded, as JSON in the order in which it was written (core/define/definition-hash.ts): what a destroy takes away, and
-- what an apply compares with, whatever pipelines/ says by then. Missing if an earlier release loaded it.
alter table sluice.shard add column definition json;

-- Pipelines that are being destroyed, and those that were and have not been applied since. As long as `ended_at` is missing none
-- of them may begin. Afterwards this is all that is left of one: whatever a worker that stood still may write later has no
-- greater epoch than this, and results that were kept, or could not be reached, have no greater number of the outbox. So what
-- is loaded later begins above both.
create table sluice.destroyed (
  pipeline text not null primary key,
  epoch bigint not null,
  outbox_seq bigint not null,
  ended_at timestamptz
);
