import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import type { ColumnType } from '../../core/columns/vector.ts';
import { lastTimeText } from '../../core/columns/wide-columns.ts';
import { nameInSource, type Pipeline, type Table } from '../../core/pipeline.ts';
import type { Lsn } from '../../core/position.ts';
import { emitCanary } from '../postgres/canary.ts';
import { keptAlive } from '../postgres/keep-alive.ts';
import { leave } from '../postgres/leave.ts';
import { textSettings } from '../postgres/replication-stream.ts';
import { fileNodes } from '../postgres/snapshot-reader.ts';
import type { SnapshotSlot } from '../postgres/snapshot-slot.ts';
import { createSnapshotSlot } from '../postgres/snapshot-slot.ts';
import { quote, quoteRelation } from '../postgres/source-catalog.ts';
import { NotComparable } from './not-comparable.ts';
import { fillTable, makeTable } from './working-database.ts';

/** The source's tables as they were at one place of its stream (E17). */
export class SourceSnapshot {
  readonly #source: Client;
  readonly #pipeline: string;
  readonly #slot: SnapshotSlot;
  readonly #files: ReadonlyMap<string, string>;

  private constructor(source: Client, pipeline: string, slot: SnapshotSlot, files: ReadonlyMap<string, string>) {
    this.#source = source;
    this.#pipeline = pipeline;
    this.#slot = slot;
    this.#files = files;
  }

  /** Waits for the source's running write transactions, at most `waitMs`. `statementMs`: no statement takes longer; 0: as long as it needs. Throws NotComparable. */
  static async take(url: string, pipeline: Pipeline, waitMs: number, statementMs = 0): Promise<SourceSnapshot> {
    const source = new Client({ connectionString: url, application_name: `sluice ${pipeline.name} verify`, connectionTimeoutMillis: 10_000, ...keptAlive, options: `${textSettings} -c lock_timeout=10s -c statement_timeout=${statementMs}` });
    source.on('error', () => {});
    await source.connect();
    try {
      const files = new Map<string, string>();
      for (const { relation } of tablesOf(pipeline)) files.set(relation, await filesOf(source, relation));
      const slot = await takeSlot(source, url, pipeline.name, waitMs);
      // lanes come to that place with what follows it, which on a quiet source may take long
      await Promise.race([emitCanary(source, pipeline.name), slot.lost]).catch(async (error: unknown) => {
        await slot.close();
        throw error;
      });
      return new SourceSnapshot(source, pipeline.name, slot, files);
    } catch (error) {
      await leave(source);
      throw error;
    }
  }

  /** S: an event is in the snapshot exactly if its commit LSN is below. */
  get consistentPoint(): Lsn {
    return this.#slot.consistentPoint;
  }

  /** Copies a table's rows, as they were then, into a temporary table of the working database; `where`: only those. */
  async copy(table: Table, database: Client, into: string, signal: AbortSignal, where = 'true'): Promise<void> {
    const columns = Object.entries(table.columns);
    await makeTable(database, into, columns.map(([name, { type }]) => ({ name, type: sourceType(type) })));
    await Promise.race([this.#copy(table, database, into, signal, where), this.#slot.lost]);
  }

  async close(): Promise<void> {
    await this.#slot.close();
    await leave(this.#source);
  }

  /** A transaction a table: none is longer than its own reading, for DDL waits behind it (E19). */
  async #copy(table: Table, database: Client, into: string, signal: AbortSignal, where: string): Promise<void> {
    const source = this.#source;
    const { relation, columns } = table;
    await source.query('begin isolation level repeatable read read only');
    try {
      await source.query(`set transaction snapshot '${this.#slot.snapshot}'`);
      await source.query(`lock table ${quoteRelation(relation)} in access share mode`);
      if ((await fileNodes(source, relation)) !== this.#files.get(relation)) {
        throw new TableGone(`Table ${relation} was truncated or rewritten while it was read, so its snapshot shows nothing any more. Run verify again.`);
      }
      const list = Object.entries(columns).map(([name, { type }]) => read(nameInSource(table, name), type)).join(', ');
      const rows = source.query(copyTo(`copy (select ${list} from ${quoteRelation(relation)} where ${where}) to stdout (format binary)`));
      await fillTable(database, into, rows, 'binary', signal);
      await source.query('commit');
    } catch (error) {
      // not a ROLLBACK: a COPY that no one reads any more would never let it come to its turn
      void leave(source);
      if ((error as { code?: string }).code !== undefinedColumn) throw error;
      throw new NotComparable(`Table ${relation} is not as ${this.#pipeline} knows it: ${(error as Error).message}. Compare it when its stream has followed: see ./sluice status, and ./sluice migrations ${this.#pipeline}`, { cause: error });
    }
  }
}

const undefinedColumn = '42703';

/** Another snapshot can be compared. */
export class TableGone extends NotComparable {}

export function tablesOf({ source }: Pipeline): readonly Table[] {
  return [source.events, ...Object.values(source.dimensions)];
}

function sourceType(type: ColumnType): string {
  return type === 'other' ? 'text' : type;
}

function read(name: string | undefined, type: ColumnType): string {
  return name === undefined ? `null::${sourceType(type)}` : asType(quote(name), type);
}

/** Enums, domains and other relatives as the type itself; texts as they are put out, a char's blanks included. A composite of NULLs is no NULL. */
function asType(column: string, type: ColumnType): string {
  if (type === 'text' || type === 'other') return `case when ${column} is distinct from null then concat(${column}) end`;
  if (type === 'timestamp' || type === 'timestamptz') return `case when isfinite(${column}) then least(${column}::${type}, '${lastTimeText}'::${type}) else ${column}::${type} end`;
  return `${column}::${type}`;
}

async function takeSlot(source: Client, url: string, pipeline: string, waitMs: number): Promise<SnapshotSlot> {
  const slot = `sluice_verify_${randomBytes(6).toString('hex')}`;
  const creation = createSnapshotSlot({ url, slot, temporary: true, applicationName: slot });
  const timeout = Promise.withResolvers<'timeout'>();
  const timer = setTimeout(() => timeout.resolve('timeout'), waitMs);
  try {
    const created = await Promise.race([creation, timeout.promise]);
    if (created !== 'timeout') return created;
    const { rows } = await source.query<{ who: string }>(
      `select format('pid %s (%s, since %s)', pid, coalesce(nullif(application_name, ''), usename), date_trunc('second', xact_start)) as who
         from pg_stat_activity where backend_xid is not null order by xact_start limit 3`,
    );
    await source.query('select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1', [slot]);
    await creation.then((late) => late.close(), () => {});
    throw new NotComparable(`The source has write transactions that did not end within ${waitMs / 1000} s, and a snapshot must wait for them: ${rows.map(({ who }) => who).join(', ') || 'prepared ones, see pg_prepared_xacts'}. Let them end, then run verify again.`);
  } catch (error) {
    // it may still come
    void creation.then((late) => late.close(), () => {});
    if ((error as { code?: string }).code === '53400') {
      throw new NotComparable(`The source has no spare replication slot, and a comparison needs one for a moment: ${(error as Error).message}. Type in the source: ALTER SYSTEM SET max_replication_slots = 20; then restart that server.`, { cause: error });
    }
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function filesOf(source: Client, relation: string): Promise<string> {
  const files = await fileNodes(source, relation);
  if (files === undefined) throw new NotComparable(`Table ${relation} does not exist in the source. Create it, or correct the pipeline's definition.`);
  return files;
}
