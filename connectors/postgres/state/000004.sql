-- Up to where a lane's dead letters are void: the table was truncated there. A worker that stood still meanwhile, with a
-- refused event in its hands, must not write its letter after that; where the lane's fence is another store's, only this tells.
create table sluice.void_letters (
  pipeline text not null,
  lane text not null,
  below text collate "C" not null,
  primary key (pipeline, lane)
);
