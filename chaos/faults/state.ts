import type { PoolClient } from 'pg';
import { DidNotStrike, type Fault } from '../fault.ts';
import { until } from '../until.ts';
import type { World } from '../world.ts';

const deadlock: Fault = {
  name: 'state/deadlock',
  what: 'Another transaction in the state database takes the aggregate lane\'s rows in the opposite order.',
  expected: 'Postgres ends the lane\'s transaction (40P01); the lane tries again from its fence.',
  drawn: true,
  strike(world, _, signal) {
    return inSession(world, async (client) => {
      const log = world.log('postgres');
      // it must not be us who gives in
      await client.query("set deadlock_timeout = '1min'");
      const strike = async () => {
        await client.query('begin');
        await client.query('select 1 from sluice.aggregate where pipeline = $1 for update', [world.name]);
        await untilBlocked(world, client, signal);
        // the lane holds its fence and waits for us; now we wait for the fence. Beside another fault it may be a load that waits, which does not
        await client.query("select 1 from sluice.fence where pipeline = $1 and lane = 'aggregate' for update", [world.name]);
        await client.query('rollback');
      };
      const line = await untilSaid(strike, () => log.line(/deadlock detected/, signal, 2_000), 'The server never ended a transaction for a deadlock.');
      return { evidence: `the server's log says: ${line}` };
    });
  },
};

const serialization: Fault = {
  name: 'state/serialization-failure',
  what: 'Transactions in the state database are serializable for a while, and another one changes a row under the aggregate lane.',
  expected: 'Postgres refuses the lane\'s transaction (40001); the lane tries again from its fence.',
  drawn: true,
  strike(world, _, signal) {
    return inSession(world, async (client) => {
      const log = world.log('postgres');
      const database = client.escapeIdentifier(new URL(world.config.stateUrl).pathname.slice(1));
      try {
        await client.query(`alter database ${database} set default_transaction_isolation = 'serializable'`);
        // only new connections take it over
        await client.query("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'sluice state'");
        const strike = async () => {
          await client.query('begin isolation level read committed');
          await client.query('update sluice.fence set moved_at = now() where pipeline = $1 and lane = $2', [world.name, 'aggregate']);
          await untilBlocked(world, client, signal);
          await client.query('commit');
        };
        const line = await untilSaid(strike, () => log.line(/could not serialize access/, signal, 2_000), 'The server never refused a transaction for its isolation.');
        return { evidence: `the server's log says: ${line}` };
      } finally {
        // on another connection: this one may be gone
        await world.state.query(`alter database ${database} reset default_transaction_isolation`);
        await world.state.query("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'sluice state'");
      }
    });
  },
};

/** Strikes again if the server does not say it: whoever waited for our lock need not be the lane. */
async function untilSaid(strike: () => Promise<void>, said: () => Promise<string>, never: string): Promise<string> {
  for (let attempt = 1; attempt <= attempts; attempt++) {
    await strike();
    const line = await said().catch(() => undefined);
    if (line !== undefined) return line;
  }
  throw new DidNotStrike(never);
}

const attempts = 5;

/** Until somebody waits for a lock that this session holds. */
async function untilBlocked(world: World, client: PoolClient, signal: AbortSignal): Promise<void> {
  const { rows: [own] } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  const blocked = async () => {
    const { rows } = await world.state.query('select 1 from pg_stat_activity where $1 = any(pg_blocking_pids(pid))', [own!.pid]);
    return rows.length > 0;
  };
  await until('the lane to wait for a lock', blocked, { timeoutMs: 30_000, everyMs: 10, signal });
}

async function inSession<T>(world: World, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await world.state.connect();
  try {
    return await work(client);
  } finally {
    // with its settings and locks
    client.release(true);
  }
}

export const stateFaults: readonly Fault[] = [deadlock, serialization];
