import { decideMigration, listMigrations, type ListedMigration } from '../../client/migrations.ts';
import { struckMs, type Fault } from '../fault.ts';
import { until } from '../until.ts';
import type { World } from '../world.ts';

const column = 'duration_ms';

const retyped: Fault = {
  name: 'migration/retyped',
  what: 'The type of a column changes under load: from integer to bigint, and at the next time back.',
  expected: 'What came before is applied as it was, then the tables of destinations change; a wider type is followed without asking, a narrower one when somebody approves.',
  drawn: true,
  unfit: (world) => (world.pipeline.source.events.columns[column] ? undefined : `Pipeline ${world.name} has no column ${column}.`),
  async strike(world, _, signal) {
    const before = (await listMigrations(world.config, world.name))[0]?.number ?? 0;
    const type = await retype(world, signal);
    let migration: ListedMigration | undefined;
    const done = async () => {
      migration = (await listMigrations(world.config, world.name)).find(({ number }) => number > before);
      if (!migration) throw new Error('none is on record');
      if (migration.state === 'waiting') await decideMigration(world.config, world.name, 'approve', migration.number);
      if (migration.state !== 'done') throw new Error(`migration ${migration.number} is ${migration.state}${migration.error ? `: ${migration.error}` : ''}`);
      return true;
    };
    await until('the pipeline to follow', done, { timeoutMs: struckMs, everyMs: 200, signal });
    const { number, position, detected, ended, decision } = migration!;
    return { evidence: `${column} became ${type}; migration ${number} at ${position} was done ${((Date.parse(ended!) - Date.parse(detected)) / 1000).toFixed(1)} s after it was met${decision === null ? '' : ` (${decision})`}` };
  },
};

export const migrationFaults: readonly Fault[] = [retyped];

/** Between two transactions of the load: whoever waits for the table makes others wait. */
async function retype({ source, pipeline }: World, signal: AbortSignal): Promise<string> {
  const { relation } = pipeline.source.events;
  let type = '';
  const changed = async () => {
    const client = await source.connect();
    try {
      const { rows } = await client.query<{ type: string }>('select format_type(atttypid, null) as type from pg_attribute where attrelid = $1::regclass and attname = $2', [relation, column]);
      type = rows[0]!.type === 'integer' ? 'bigint' : 'integer';
      await client.query("set lock_timeout = '2s'");
      await client.query(`alter table ${relation} alter column ${column} type ${type}`);
      return true;
    } finally {
      client.release(true);
    }
  };
  await until('the table to be changed', changed, { timeoutMs: struckMs, everyMs: 500, signal });
  return type;
}
