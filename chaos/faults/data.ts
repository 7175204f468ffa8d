import type { PoolClient } from 'pg';
import { DidNotStrike, type Fault } from '../fault.ts';
import { hugeDevice } from '../laboratory/more-views.ts';
import { sampleTables } from '../random-transactions.ts';
import { until } from '../until.ts';
import type { World } from '../world.ts';

const rolledBack: Fault = {
  name: 'data/rollback',
  what: 'A transaction of 20,000 rows is rolled back, and one that rolls back to a savepoint is committed.',
  expected: 'What was rolled back is nowhere.',
  drawn: true,
  unfit: ofSample,
  async strike(world) {
    const { events, insert } = sampleTables[world.name]!;
    return inSession(world, async (client) => {
      const { rows: [before] } = await client.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn');
      await client.query('begin');
      await client.query(insert, [0, 20_000]);
      await client.query('rollback');
      const { rows: [wal] } = await client.query<{ bytes: string }>("select (pg_current_wal_insert_lsn() - $1::pg_lsn)::text as bytes", [before!.lsn]);
      await client.query('begin');
      await client.query(insert, [0, 10]);
      await client.query('savepoint s');
      await client.query(insert, [0, 5_000]);
      await client.query(`delete from ${events} where id in (select id from ${events} order by id desc limit 100)`);
      await client.query('rollback to savepoint s');
      await client.query('commit');
      if (Number(wal!.bytes) < 1 << 20) throw new DidNotStrike(`The transaction wrote ${wal!.bytes} bytes of WAL only.`);
      return { evidence: `${wal!.bytes} bytes of WAL were written for nothing` };
    });
  },
};

const subtransactions: Fault = {
  name: 'data/many-subtransactions',
  what: 'One transaction has 50,000 subtransactions, each with a row, every tenth of which is rolled back.',
  expected: 'It comes as one transaction, without the rows that were rolled back.',
  drawn: false,
  unfit: ofSample,
  async strike(world) {
    const { events, insert } = sampleTables[world.name]!;
    return inSession(world, async (client) => {
      const row = insert.replaceAll('$1', '0').replaceAll('$2', '1');
      const { rows: [last] } = await client.query<{ id: string }>(`select coalesce(max(id), 0)::text as id from ${events}`);
      await client.query('begin');
      await client.query(`do $do$ begin
        for number in 1..50000 loop
          begin
            ${row};
            if number % 10 = 0 then raise exception using errcode = 'SX001'; end if;
          exception when sqlstate 'SX001' then null;
          end;
        end loop; end $do$`);
      const { rows: [seen] } = await client.query<{ subtransactions: string }>(`select count(distinct xmin::text)::text as subtransactions from ${events} where id > $1 and xmin::text::bigint >= pg_current_xact_id()::text::bigint`, [last!.id]);
      await client.query('commit');
      // others write too
      if (Number(seen!.subtransactions) < 45_000) throw new DidNotStrike(`There were ${seen!.subtransactions} subtransactions.`);
      return { evidence: `its rows (and those that others wrote meanwhile) have ${seen!.subtransactions} different subtransactions, and 5,000 more were rolled back` };
    });
  },
};

const keyUpdate: Fault = {
  name: 'data/key-update',
  what: 'In one transaction 500 rows get other keys and their own again, two swap their keys, and 500 move for good.',
  expected: 'A change of a key is a delete and an insert with a place each; no row is lost or doubled.',
  drawn: true,
  unfit: ofSample,
  async strike(world) {
    const { events } = sampleTables[world.name]!;
    return inSession(world, async (client) => {
      await client.query('begin');
      // whoever holds one of the rows would be waited for, and could wait for us
      await client.query(`lock table ${events} in share row exclusive mode`);
      await client.query(`create temporary table chosen on commit drop as select id, row_number() over () as place from (select id from ${events} where id > 0 order by id desc limit 1000) newest`);
      const { rowCount } = await client.query(`update ${events} set id = -id where id in (select id from chosen where place <= 500)`);
      await client.query(`update ${events} set id = -id where -id in (select id from chosen where place <= 500)`);
      await client.query(`update ${events} set id = 0 where id = (select id from chosen where place = 1)`);
      await client.query(`update ${events} set id = (select id from chosen where place = 1) where id = (select id from chosen where place = 2)`);
      await client.query(`update ${events} set id = (select id from chosen where place = 2) where id = 0`);
      await client.query(`update ${events} set id = nextval(pg_get_serial_sequence('${events}', 'id')) where id in (select id from chosen where place > 500)`);
      await client.query('commit');
      if (!rowCount) throw new DidNotStrike('There was no row whose key could be changed.');
      return { evidence: `${rowCount} rows had another key for a while` };
    });
  },
};

const truncated: Fault = {
  name: 'data/truncate',
  what: 'One transaction inserts 20 rows, truncates the table, and inserts 30.',
  expected: 'Every lane takes away all rows below the place of the TRUNCATE, and only those (E8).',
  drawn: true,
  forgets: true,
  unfit: ofSample,
  async strike(world) {
    const { events, insert } = sampleTables[world.name]!;
    return inSession(world, async (client) => {
      const { rows: [before] } = await client.query<{ count: string }>(`select count(*)::text as count from ${events}`);
      await client.query('begin');
      await client.query(insert, [0, 20]);
      await client.query(`truncate ${events}`);
      await client.query(insert, [0, 30]);
      const { rows: [after] } = await client.query<{ count: string }>(`select count(*)::text as count from ${events}`);
      await client.query('commit');
      if (after!.count !== '30') throw new DidNotStrike(`There were ${after!.count} rows afterwards.`);
      return { evidence: `of ${before!.count} rows and 20 new ones none was left, then there were 30` };
    });
  },
};

const toast: Fault = {
  name: 'data/toast',
  what: 'Six rows get values of 1 MB that lie out of line; then other columns change, keys change, and the values themselves.',
  expected: 'A value that an update did not touch is not sent again: it is taken from the old row.',
  drawn: true,
  unfit: (world) => (world.name === 'engagement' ? undefined : 'Only pipeline engagement has a column for such values.'),
  async strike(world) {
    return inSession(world, async (client) => {
      const value = "(select jsonb_build_object('big', string_agg(md5(random()::text), '')) from generate_series(1, 32768) where g is not null)";
      const { rows } = await client.query<{ id: string }>(
        `insert into public.engagement_events (event_type, event_ts, device, raw_payload) select 'pause', now(), 'toast', ${value} from generate_series(1, 6) g returning id::text as id`,
      );
      const ids = rows.map(({ id }) => id);
      const { rows: [stored] } = await client.query<{ bytes: string; chunked: boolean }>(
        `select sum(pg_column_size(raw_payload))::text as bytes, bool_and(pg_column_toast_chunk_id(raw_payload) is not null) as chunked from public.engagement_events where id = any($1::bigint[])`,
        [ids],
      );
      await client.query('update public.engagement_events set duration_ms = 7 where id = any($1::bigint[])', [ids]);
      await client.query("update public.engagement_events set id = nextval(pg_get_serial_sequence('public.engagement_events', 'id')), device = 'moved' where id = any($1::bigint[])", [ids.slice(0, 3)]);
      await client.query("update public.engagement_events set raw_payload = raw_payload || '{\"more\": 9007199254740993}' where id = any($1::bigint[])", [ids.slice(3, 5)]);
      await client.query('delete from public.engagement_events where id = any($1::bigint[])', [ids.slice(5)]);
      if (!stored!.chunked) throw new DidNotStrike('The values were not stored out of line.');
      return { evidence: `six values with ${stored!.bytes} bytes were stored out of line` };
    });
  },
};

const idleSource: Fault = {
  name: 'data/idle-source',
  what: 'Nothing is written to the pipeline\'s tables for 40 s, while another database of the same server writes 400 MB.',
  expected: 'The canary lets the slot advance: the source keeps no more for it than before.',
  drawn: false,
  async strike(world, _, signal) {
    const kept = async () => {
      const { rows: [slot] } = await world.source.query<{ kept: string; confirmed: string; end: string }>(
        "select (pg_current_wal_lsn() - restart_lsn)::text as kept, (confirmed_flush_lsn - '0/0')::text as confirmed, (pg_current_wal_lsn() - '0/0')::text as end from pg_replication_slots where slot_name = $1",
        [`sluice_${world.name}`],
      );
      return { kept: Number(slot!.kept), confirmed: Number(slot!.confirmed), end: Number(slot!.end) };
    };
    const written = await world.load.pausedWhile(async () => {
      const before = (await kept()).end;
      // in the state database: another one than the source
      await until('400 MB of WAL', async () => {
        await world.state.query("select pg_logical_emit_message(false, 'chaos', repeat('x', 1 << 20)) from generate_series(1, 4)");
        return (await kept()).end - before > 400e6;
      }, { timeoutMs: 90_000, everyMs: 400, signal });
      const { end } = await kept();
      await until('the slot to advance over it', async () => (await kept()).confirmed >= end, { timeoutMs: 30_000, signal });
      await until('the source to let it go', async () => (await kept()).kept < 100e6, { timeoutMs: 60_000, signal });
      return end - before;
    });
    return { evidence: `${Math.round(written / 1e6)} MB of WAL of another database went by, and the slot was confirmed beyond them` };
  },
};

const huge: Fault = {
  name: 'data/huge-transaction',
  what: 'One transaction inserts 5,000,000 rows.',
  expected: 'It goes through in segments of 50,000 rows; the worker stays under 512 MiB.',
  drawn: false,
  unfit: (world) => (world.name === 'engagement' ? undefined : 'Only pipeline engagement has lanes of every kind.'),
  async strike(world, _, signal) {
    const rows = 5_000_000;
    // nobody truncates the table meanwhile
    return world.load.pausedWhile(async () => {
      const startedAt = performance.now();
      const { end, sums, writtenMs } = await inSession(world, async (client) => {
        await client.query('set statement_timeout = 0');
        await client.query(hugeEngagement, [rows]);
        const ms = performance.now() - startedAt;
        const { rows: [seen] } = await client.query<{ end: string; sums: string }>(
          "select (pg_current_wal_lsn() - '0/0')::text as end, concat_ws(' ', count(*), sum(id), sum(duration_ms), count(distinct content_id)) as sums from public.engagement_events where device = $1",
          [hugeDevice],
        );
        return { ...seen!, writtenMs: ms };
      });
      await world.fences.passed(BigInt(end), { timeoutMs: 900_000, signal, onLook: async () => {} });
      const tookMs = performance.now() - startedAt - writtenMs;
      const answer = await world.clickhouse.query({ query: "select concat(toString(count()), ' ', toString(sum(id)), ' ', toString(sum(duration_ms)), ' ', toString(uniqExact(content_id))) as sums from engagement_enriched final where device = {huge:String}", query_params: { huge: hugeDevice }, format: 'JSONEachRow' });
      const [stored] = await answer.json<{ sums: string }>();
      if (!sums.startsWith(`${rows} `)) throw new DidNotStrike(`The source has ${sums} (rows, and sums of columns).`);
      if (stored!.sums !== sums) throw new Error(`ClickHouse has ${stored!.sums}, the source ${sums} (rows, and sums of columns).`);
      const peak = world.workerPeakMiB();
      if (peak >= 512) throw new Error(`The worker had ${Math.round(peak)} MiB.`);
      return { evidence: `${rows} rows were written in ${(writtenMs / 1000).toFixed(0)} s, every lane had them ${(tookMs / 1000).toFixed(0)} s later, and ClickHouse has the same number and sums; the worker had at most ${Math.round(peak)} MiB` };
    });
  },
};

const hugeEngagement = `insert into public.engagement_events (content_id, user_id, event_type, event_ts, duration_ms, device)
  select (array(select id from public.content order by id limit 300))[1 + g % 300], gen_random_uuid(), (array['play', 'pause', 'finish', 'click'])[1 + g % 4], now() - (g % 600) * interval '1 second', 1000 * (g % 700), '${hugeDevice}'
    from generate_series(1, $1::int) g`;

export const dataFaults: readonly Fault[] = [rolledBack, subtransactions, keyUpdate, truncated, toast, idleSource, huge];

function ofSample(world: World): string | undefined {
  return Object.hasOwn(sampleTables, world.name) ? undefined : `It needs the tables of a sample pipeline, not those of ${world.name}.`;
}

/** With a connection of its own, on which a transaction can fail without a trace. */
async function inSession<T>(world: World, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await world.source.connect();
  try {
    const result = await work(client);
    client.release();
    return result;
  } catch (error) {
    client.release(true);
    throw error;
  }
}
