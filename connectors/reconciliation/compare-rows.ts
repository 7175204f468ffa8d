import type { Readable } from 'node:stream';
import { rowSchema } from '../../core/define/row-schema.ts';
import { lostRowsText } from '../../core/migration/lost.ts';
import type { SinkDefinition } from '../../core/pipeline.ts';
import { parseLsn, parsePosition, position, type Position } from '../../core/position.ts';
import { mostNamed, sliceMs as sliceMsOf, type Compared } from '../../core/reconcile.ts';
import type { PaneRange } from '../../core/views/fold.ts';
import { clickhouseSink, sinkTable } from '../clickhouse/clickhouse-sink.ts';
import { connect, thoroughMs } from '../clickhouse/insert.ts';
import { quoted, tableName } from '../clickhouse/table.ts';
import { quote } from '../postgres/source-catalog.ts';
import { withSource } from '../postgres/with-source.ts';
import { clickhouseRows, compareClickHouseRows, copyClickHouseRows, selectedValue } from '../verification/check-clickhouse.ts';
import { explained, type LaneLetters } from '../verification/dead-letters.ts';
import { enrichedColumns } from '../verification/enriched-rows.ts';
import { fillTable, makeTable } from '../verification/working-database.ts';
import { laneAt } from './lane-at.ts';
import { comparedOf, type Place } from './place.ts';

type Definition = Extract<SinkDefinition, { kind: 'clickhouse' }>;
type OfRows = { readonly lane: string; readonly definition: Definition; readonly base: Position; readonly letters: LaneLetters | undefined };

/**
 * ClickHouse's rows of a range, now, and the source's at the snapshot. A key of which anything was written from the snapshot on
 * is left out: a row, or the tombstone of one that is gone or has moved. Not what claims a place that the stream has not come to.
 */
export async function compareRowsNow(place: Place, range: PaneRange, { lane, definition, base, letters }: OfRows): Promise<Compared> {
  const { database, pipeline, addresses, signal } = place;
  const sink = clickhouseSink(pipeline, lane, definition, addresses.clickhouseUrl);
  try {
    await laneAt(lane, () => sink.readFence(), base, place);
  } finally {
    await sink.close();
  }
  await copyClickHouseRows(database, pipeline, definition, addresses.clickhouseUrl, signal, range);
  const [key] = enrichedColumns(pipeline);
  const end = await endOfStream(place, base);
  await makeTable(database, later, [key!]);
  await database.query(`insert into pg_temp.${quote(later)} select ${quote(key!.name)} from pg_temp.${quote(clickhouseRows)} where " position" >= '${base}' and " position" < '${end}'`);
  const sliceMs = sliceMsOf(pipeline);
  const compareThem = () =>
    compareClickHouseRows(database, pipeline, lane, definition, `${quote(key!.name)} not in (select ${quote(key!.name)} from pg_temp.${quote(later)})`, {
      listed: mostNamed,
      windowOf: (alias) => `(floor(extract(epoch from ${alias}.${quote(pipeline.source.events.eventTime)}) * 1000 / ${sliceMs}) * ${sliceMs})::bigint`,
    });
  let check = await compareThem();
  if (!check.equal) {
    await copyLaterKeys(place, definition, base, await endOfStream(place, base));
    check = await compareThem();
  }
  const lost = lostRowsText(pipeline);
  const compared = comparedOf(explained(check, pipeline.name, lane, letters), (range.toMs - range.fromMs) / sliceMs, sliceMs, lost === undefined ? { tag: 'rows' } : { tag: 'none' });
  if (lost === undefined || compared.different === 0) return compared;
  return { ...compared, note: [...(compared.note === undefined ? [] : [compared.note]), `they cannot be repaired alone: ${lost}`].join('; ') };
}

/** The temporary table of keys that have changed since the snapshot. */
const later = 'later keys';

/** Also those that are not there any more: of what was deleted or moved a tombstone tells. */
async function copyLaterKeys({ database, pipeline, addresses, signal }: Place, definition: Definition, base: Position, end: Position): Promise<void> {
  const [key] = enrichedColumns(pipeline);
  const client = connect(addresses.clickhouseUrl, thoroughMs);
  try {
    const { stream } = await client.exec({
      query: `SELECT DISTINCT ${selectedValue(quoted(key!.name), rowSchema(pipeline)[key!.name]!.type)} FROM ${tableName(sinkTable(pipeline, definition))} WHERE _position >= {base:UInt128} AND _position < {end:UInt128} FORMAT TabSeparated`,
      query_params: { base: BigInt(`0x${base}`).toString(), end: BigInt(`0x${end}`).toString() },
      abort_signal: signal,
    });
    await makeTable(database, later, [key!]);
    await fillTable(database, later, stream as Readable, 'text', signal);
  } finally {
    await client.close();
  }
}

/** Nothing that was written until now has a position as great as this. */
function endOfStream({ pipeline, addresses }: Place, base: Position): Promise<Position> {
  return withSource(addresses.sourceUrl, `sluice ${pipeline.name} reconcile`, async (source) => {
    const { rows } = await source.query<{ lsn: string }>('select pg_current_wal_insert_lsn()::text as lsn');
    return position(parsePosition(base).epoch, parseLsn(rows[0]!.lsn) + 1n, 0);
  });
}
