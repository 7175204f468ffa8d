-- Steps whose workflow has stopped them, for those whose next heartbeat, which brings the same, is far: of each part of a run
-- the newest one, and with it all before. Only that run writes it, each of its steps has a greater number than those before,
-- and no other run's means anything to a step: so a row never ends a step that its workflow wants, nor does it have to go.
create table sluice.stopped_step (
  run text not null,
  part text not null,
  number int not null,
  stopped_at timestamptz not null default now(),
  primary key (run, part)
);
