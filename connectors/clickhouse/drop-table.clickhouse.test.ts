import { createServer } from 'node:http';
import { createClient } from '@clickhouse/client';
import { expect, test } from 'vitest';
import type { ColumnSchema } from '../../core/pipeline.ts';
import { position } from '../../core/position.ts';
import { throwAwayClickhouse } from '../../test/embedded/services.ts';
import { listen } from '../../test/sinks/servers.ts';
import { ClickHouseRows } from './clickhouse-rows.ts';
import { dropTable } from './drop-table.ts';
import type { SinkTable } from './table.ts';

const column = (type: ColumnSchema['type']): ColumnSchema => ({ type, nullable: false, interned: false });
const table = (name: string): SinkTable => ({ name, columns: { id: column('int8'), at: column('timestamptz') }, orderBy: ['at', 'id'], partitionBy: 'at' });
const at = position(1, 100n, 0);
const lane = { pipeline: 'p', lane: 'rows' };
const current = async () => {};

async function open() {
  const database = await throwAwayClickhouse();
  const client = createClient({ url: database.url });
  const opened: ClickHouseRows[] = [];
  const rowsOf = (name: string, of = lane) => {
    const rows = new ClickHouseRows(database.url, table(name), of);
    opened.push(rows);
    return rows;
  };
  return {
    url: database.url,
    rowsOf,
    /** A table with the lane's fence, and a backfill's mark. */
    loaded: async (name: string, of = lane) => {
      const rows = rowsOf(name, of);
      await rows.create();
      const target = await rows.target();
      await rows.writeFence(target, at);
      await rows.writeMark(target, { backfill: 'b', at });
      return target;
    },
    tables: async () => (await (await client.query({ query: "SELECT name FROM system.tables WHERE database = currentDatabase() AND name != 'sluice_fence' ORDER BY name", format: 'JSONEachRow' })).json<{ name: string }>()).map(({ name }) => name),
    async [Symbol.asyncDispose]() {
      for (const rows of opened) await rows.close();
      await client.close();
      await database[Symbol.asyncDispose]();
    },
  };
}

/** A way to the server that answers a DROP when that was done, and `meanwhile`. */
function slowly(to: string, meanwhile: () => Promise<unknown>) {
  return listen(createServer(async (incoming, outgoing) => {
    const query = Buffer.concat(await incoming.toArray());
    const answer = await fetch(new URL(incoming.url!, to), { method: 'POST', headers: { authorization: incoming.headers.authorization! }, body: query });
    if (query.toString().startsWith('DROP TABLE')) await meanwhile();
    outgoing.writeHead(answer.status).end(Buffer.from(await answer.arrayBuffer()));
  }));
}

test('the table goes with its fences and those of tables that are not there any more; what else the lane writes to, and other lanes, keep theirs', async () => {
  await using place = await open();
  const rows = place.rowsOf('t');
  const others = { pipeline: 'p', lane: 'rows2' };
  const [own, other, theirs] = [await place.loaded('t'), await place.loaded('other'), await place.loaded('theirs', others)];
  await rows.writeFence('a table that was', at);
  expect(await dropTable(place.url, lane, 't', current)).toMatchObject({ rows: 0, stays: undefined });
  expect(await place.tables()).toEqual(['other', 'theirs']);
  expect(await Promise.all([own, 'a table that was', other].map((target) => rows.readFence(target)))).toEqual([undefined, undefined, at]);
  expect(await rows.readMark(own, 'b')).toBeUndefined();
  expect(await place.rowsOf('theirs', others).readFence(theirs)).toBe(at);
});

test('E28: the fence of a table that was made again while the old one was being dropped is not taken with that', async () => {
  await using place = await open();
  const old = await place.loaded('t');
  let made = '';
  await using way = await slowly(place.url, async () => (made = await place.loaded('t')));
  const through = Object.assign(new URL(place.url), { host: new URL(way.address).host }).href;
  expect(await dropTable(through, lane, 't', current)).toMatchObject({ stays: undefined });
  expect(await place.tables()).toEqual(['t']);
  const rows = place.rowsOf('t');
  expect(await rows.readFence(made)).toBe(at);
  expect(await rows.readMark(made, 'b')).toBe(at);
  expect([await rows.readFence(old), await rows.readMark(old, 'b')]).toEqual([undefined, undefined]);
});

test('nothing goes when it is not to go any more, before the table or before its fences', async () => {
  await using place = await open();
  const target = await place.loaded('t');
  const passes = (count: number) => async () => {
    if (count-- === 0) throw new Error('it was applied anew');
  };
  await expect(dropTable(place.url, lane, 't', passes(0))).rejects.toThrow('it was applied anew');
  expect(await place.tables()).toEqual(['t']);
  await expect(dropTable(place.url, lane, 't', passes(1))).rejects.toThrow('it was applied anew');
  expect(await place.rowsOf('t').readFence(target)).toBe(at);
});
