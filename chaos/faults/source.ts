import { chown, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pausePipeline, resumePipeline } from '../../client/pipelines.ts';
import { sourceNames } from '../../connectors/postgres/source-catalog.ts';
import { unprivilegedUser } from '../../infra/embedded/nobody.ts';
import { DidNotStrike, type Fault } from '../fault.ts';
import { selectRight } from '../source-role.ts';
import { until } from '../until.ts';
import type { World } from '../world.ts';

/** As `pg_ctl stop -m fast`: it waits for what its walsenders have not confirmed. */
const fast = [{ signal: 'SIGINT' as const, waitMs: 60_000 }];
/** E7: a clean shutdown takes so long without us. */
const longestStopMs = 5_000;

const restarted: Fault = {
  name: 'source/restart',
  what: 'PostgreSQL is stopped cleanly (pg_ctl stop -m fast) and started again; source and state are in it.',
  expected: 'It does not wait for us (E7): the capture lets go at once, and comes back.',
  drawn: true,
  async strike(world, _, signal) {
    const ms = await stopFast(world);
    await world.processes.start('postgres', signal);
    return { evidence: `a clean stop took ${(ms / 1000).toFixed(1)} s` };
  },
};

async function stopFast(world: World): Promise<number> {
  const ms = await world.processes.stop('postgres', fast);
  if (ms > longestStopMs) throw new Error(`A clean stop of PostgreSQL took ${(ms / 1000).toFixed(1)} s: something held it up (E7).`);
  return ms;
}

const walsender: Fault = {
  name: 'source/walsender-terminated',
  what: 'The walsender of the pipeline is ended by pg_terminate_backend.',
  expected: 'The capture connects again and goes on at the end of the spool.',
  drawn: true,
  async strike(world, _, signal) {
    const { slot } = sourceNames(world.name);
    let pid: number | undefined;
    const ended = async () => {
      const { rows } = await world.source.query<{ pid: number; ended: boolean }>('select active_pid as pid, pg_terminate_backend(active_pid, 5000) as ended from pg_replication_slots where slot_name = $1 and active', [slot]);
      pid = rows[0]?.pid;
      return rows[0]?.ended ?? false;
    };
    await until('a walsender to end', ended, { timeoutMs: 20_000, signal });
    return { evidence: `the walsender ${pid} was ended` };
  },
};

const anew = 'It parks and says so; loaded anew by the way that its sentence names, everything is equal.';

const dropped: Fault = {
  name: 'source/slot-dropped',
  what: 'The replication slot is dropped under a running capture.',
  expected: anew,
  drawn: true,
  alone: true,
  forgets: true,
  async strike(world, _, signal) {
    const { slot } = sourceNames(world.name);
    const gone = async () => {
      await world.source.query('select pg_terminate_backend(active_pid, 5000) from pg_replication_slots where slot_name = $1 and active', [slot]);
      await world.source.query('select pg_drop_replication_slot($1)', [slot]);
      return true;
    };
    await until('the slot to be dropped', gone, { timeoutMs: 20_000, everyMs: 1, signal });
    const sentence = await world.untilParked('capture', /replication slot .* gone/s, signal);
    await world.loadAnew(signal);
    return { evidence: `the capture said: ${sentence}` };
  },
};

const invalidated: Fault = {
  name: 'source/slot-invalidated',
  what: 'The pipeline is paused until its slot holds back more than max_slot_wal_keep_size, and the source invalidates it.',
  expected: anew,
  drawn: false,
  forgets: true,
  async strike(world, _, signal) {
    const { slot } = sourceNames(world.name);
    const more = ['-c', 'max_slot_wal_keep_size=16MB'];
    world.instance.postgresArguments.push(...more);
    let status: string | undefined;
    let sentence: string;
    try {
      await restartPostgres(world, signal);
      await until('the pipeline to be paused', () => pausePipeline(world.config, world.name).then(() => true), { timeoutMs: 60_000, signal });
      const lost = async () => {
        await world.source.query("select pg_logical_emit_message(false, 'chaos', repeat('x', 1 << 20)) from generate_series(1, 20)");
        await world.source.query('select pg_switch_wal()');
        await world.source.query('checkpoint');
        const { rows } = await world.source.query<{ status: string }>('select wal_status as status from pg_replication_slots where slot_name = $1', [slot]);
        status = rows[0]?.status;
        return status === 'lost';
      };
      await until('the slot to be invalidated', lost, { timeoutMs: 60_000, everyMs: 500, signal });
      // it parks instead of running, which resumePipeline says too
      await resumePipeline(world.config, world.name).catch(() => {});
      sentence = await world.untilParked('capture', /replication slot .* invalidated/s, signal);
    } finally {
      world.instance.postgresArguments.splice(-more.length);
      await restartPostgres(world, signal);
    }
    await world.loadAnew(signal);
    return { evidence: `its wal_status was ${status}, and the capture said: ${sentence}` };
  },
};

async function restartPostgres(world: World, signal: AbortSignal): Promise<void> {
  await stopFast(world);
  await world.processes.start('postgres', signal);
}

const publication: Fault = {
  name: 'source/publication-dropped',
  what: 'The publication is dropped: the stream goes on without the tables\' changes.',
  expected: anew,
  drawn: false,
  forgets: true,
  async strike(world, _, signal) {
    const { publication: name } = sourceNames(world.name);
    await world.source.query(`drop publication ${name}`);
    const sentence = await world.untilParked('capture', /publication/, signal);
    await world.loadAnew(signal);
    return { evidence: `the capture said: ${sentence}` };
  },
};

const revoked: Fault = {
  name: 'source/select-revoked',
  what: 'The worker\'s user loses SELECT on the events before a first load.',
  expected: 'The stream needs no SELECT; the load parks and names the right that is missing, and goes on when it was granted and the pipeline is resumed.',
  drawn: false,
  forgets: true,
  async strike(world, _, signal) {
    await world.source.query(selectRight('revoke', world.pipeline));
    let sentence: string;
    try {
      await world.loadAnew(signal);
      sentence = await world.untilParked('capture', /permission denied.*GRANT/s, signal);
    } finally {
      await world.source.query(selectRight('grant', world.pipeline));
    }
    await resumePipeline(world.config, world.name);
    return { evidence: `the load said: ${sentence}` };
  },
};

const noSlot: Fault = {
  name: 'source/no-free-slot',
  what: 'A first load finds every replication slot of the server taken.',
  expected: 'The load tries again, and goes on by itself once a slot is free.',
  drawn: false,
  forgets: true,
  async strike(world, _, signal) {
    const { slot } = sourceNames(world.name);
    let evidence = '';
    const takeAll = async () => {
      // the worker has ended, but its walsender may not have noticed
      await world.source.query('select pg_terminate_backend(active_pid, 5000) from pg_replication_slots where slot_name = $1 and active', [slot]);
      await world.source.query('select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1', [slot]);
      const { rows } = await world.source.query<{ taken: string }>(
        "select count(*)::text as taken from (select pg_create_physical_replication_slot('chaos_' || g) from generate_series(1, current_setting('max_replication_slots')::int - (select count(*)::int from pg_replication_slots)) g) s",
      );
      evidence = `${rows[0]!.taken} slots were taken away`;
    };
    try {
      await world.loadAnew(signal, takeAll);
      const log = world.log('worker');
      const said = await log.line(/all replication slots are in use|replication slots are in use/, signal);
      evidence += `, and the worker said: ${said}`;
    } finally {
      await world.source.query("select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name like 'chaos\\_%'");
    }
    return { evidence };
  },
};

const promoted: Fault = {
  name: 'source/promotion',
  what: 'The source becomes a standby and is promoted with its slot, onto a new timeline; until then it cannot be reached.',
  expected: 'The capture goes on at the same position (E1): the timeline is no part of it, and nothing taken lies beyond the promotion.',
  drawn: true,
  async strike(world, _, signal) {
    const { source, state } = world.proxies;
    const timeline = async () => (await world.source.query<{ timeline: number }>('select timeline_id as timeline from pg_control_checkpoint()')).rows[0]!.timeline;
    const before = await timeline();
    const { rows } = await world.source.query<{ data_directory: string }>('show data_directory');
    source.down();
    state.down();
    try {
      await world.processes.stop('postgres', fast);
      const file = join(rows[0]!.data_directory, 'standby.signal');
      await writeFile(file, '');
      const user = unprivilegedUser();
      if (user) await chown(file, user.uid, user.gid);
      await world.processes.start('postgres', signal);
      await until('the promotion', async () => (await world.source.query<{ done: boolean }>('select pg_promote(true, 30) as done')).rows[0]!.done, { timeoutMs: 60_000, signal });
      await world.source.query('checkpoint');
    } finally {
      source.set({ tag: 'pass' });
      state.set({ tag: 'pass' });
    }
    const after = await timeline();
    if (after <= before) throw new DidNotStrike(`The timeline is still ${after}.`);
    return { evidence: `timeline ${before} became ${after}` };
  },
};

export const sourceFaults: readonly Fault[] = [restarted, walsender, promoted, dropped, invalidated, publication, revoked, noSlot];
