import type { ColumnType } from '../../core/columns/vector.ts';
import type { TableChanges } from '../../core/migration/plan.ts';
import type { SourceColumns } from '../../core/migration/schema-change.ts';
import { fits, tableNames, tableOf, type Shape } from '../../core/migration/shape.ts';
import { sourceChanges, type SourceColumn } from '../../core/migration/source-changes.ts';
import { nameInSource, type Pipeline, type Table } from '../../core/pipeline.ts';
import type { Lsn, Position } from '../../core/position.ts';
import type { SchemaChanged } from './pgoutput/relation.ts';
import type { Source } from './source.ts';
import { builtInType } from './source-catalog.ts';

/** What is on record of the columns of a pipeline's source. */
export type ColumnRecord = {
  /** What migrations have made of the definition's columns, of which the pipeline is the result, and how many. */
  readonly shape: { readonly number: number; readonly columns: Shape };
  /** As they were where the stream goes on; undefined: nobody has looked since the load. */
  readonly known: SourceColumns | undefined;
  keep(columns: SourceColumns): Promise<void>;
  /** Whether a column of the definition is concerned, also one that is not read any more. */
  concerns(changes: readonly TableChanges[]): boolean;
  /** Returns the number of the change. `position`: everything above it is of the new form; null: it concerns no column of the pipeline. */
  record(found: FoundColumns & { readonly position: Position | null }): Promise<number>;
};

export type FoundColumns = { readonly columns: SourceColumns; readonly changes: readonly TableChanges[] };

/** For a capture of which nothing is kept. */
export const noRecord: ColumnRecord = { shape: { number: 0, columns: {} }, known: undefined, keep: async () => {}, concerns: () => false, record: async () => 1 };

/**
 * Knows the columns of the source's tables where the stream is, and finds changes of them that no row shows. The catalogue
 * may be ahead of the stream: what it says counts only when the stream is beyond the place where it was asked.
 */
export class ColumnWatch {
  readonly #pipeline: Pipeline;
  readonly #record: ColumnRecord;
  #known: SourceColumns | undefined;
  #latest: SourceColumns;
  /** Not as they are known; all that was committed before is in the stream below `seenAt`. */
  #awaited: (FoundColumns & { readonly seenAt: Lsn; readonly isConcerned: boolean }) | undefined;

  constructor(pipeline: Pipeline, record: ColumnRecord, catalogue: SourceColumns) {
    this.#pipeline = pipeline;
    this.#record = record;
    this.#known = record.known;
    this.#latest = catalogue;
  }

  /** A type by its OID, also of columns that the catalogue has no more. */
  typeOf(oid: number): ColumnType | undefined {
    return [this.#latest, this.#known ?? {}].flatMap((columns) => Object.values(columns).flat()).find((column) => column.oid === oid)?.type ?? builtInType(oid);
  }

  /** The names of a table's columns in the order that they have in the source; undefined: nobody has looked since the load. */
  namesOf(table: string): readonly string[] | undefined {
    return this.#known?.[table]?.map(({ name }) => name);
  }

  async look(source: Pick<Source, 'columns'>): Promise<void> {
    const { columns, seenAt } = await source.columns();
    this.#latest = columns;
    const pipeline = this.#pipeline;
    // one that is gone altogether, the publication lacks
    const fit = tableNames(pipeline).every((name) => columns[name] === undefined || fits(tableOf(pipeline, name)!, columns[name]));
    if (this.#known === undefined && fit) {
      await this.#record.keep(columns);
      this.#known = columns;
    }
    const changes = this.#changesTo(columns);
    if (fit && changes.length === 0) this.#awaited = undefined;
    else if (JSON.stringify(this.#awaited?.columns) !== JSON.stringify(columns)) this.#awaited = { columns, changes, seenAt, isConcerned: !fit || this.#record.concerns(changes) };
  }

  /** What the source has become without a row that shows it, once the stream has passed that. */
  passed(streamAt: Lsn): FoundColumns | undefined {
    return this.#awaited?.isConcerned && streamAt >= this.#awaited.seenAt ? this.#awaited : undefined;
  }

  /** Puts on record what concerns no column of the pipeline, once a capture that begins anew would begin beyond it. */
  async settle(spooledTo: Lsn): Promise<void> {
    const awaited = this.#awaited;
    if (!awaited || awaited.isConcerned || spooledTo < awaited.seenAt) return;
    this.#awaited = undefined;
    await this.#record.record({ columns: awaited.columns, changes: awaited.changes, position: null });
    this.#known = awaited.columns;
  }

  /** What a relation of the stream says of its table, beside what the catalogue says now. */
  async found(source: Pick<Source, 'columns'>, { table, relation }: Pick<SchemaChanged, 'table' | 'relation'>): Promise<FoundColumns> {
    this.#latest = (await source.columns()).columns;
    const latest = new Map((this.#latest[table] ?? []).map((column) => [column.name, column]));
    // if not, the catalogue is ahead of the stream, and what has a name there is another column than here
    const isInOrder = ascend(relation.columns.flatMap(({ name }) => latest.get(name)?.number ?? []));
    const now = relation.columns.map(({ name, typeOid: oid }): SourceColumn => {
      const inCatalogue = latest.get(name);
      const type = this.typeOf(oid) ?? 'other';
      const typeName = inCatalogue?.oid === oid ? inCatalogue.typeName : type;
      return { name, type, typeName, oid, ...(isInOrder && inCatalogue?.number !== undefined ? { number: inCatalogue.number } : {}) };
    });
    const columns = { ...this.#before(), [table]: now };
    return { columns, changes: this.#changesTo(columns) };
  }

  #changesTo(columns: SourceColumns): TableChanges[] {
    const before = this.#before();
    return Object.entries(columns).flatMap(([table, now]): TableChanges[] => {
      const changes = sourceChanges(before[table] ?? [], now, { inOrder: this.#known !== undefined });
      return changes.length > 0 ? [{ table, changes }] : [];
    });
  }

  /** If nobody has looked: what the pipeline itself says, and nothing of other columns. */
  #before(): SourceColumns {
    const pipeline = this.#pipeline;
    return this.#known ?? Object.fromEntries(tableNames(pipeline).map((name) => [name, declared(tableOf(pipeline, name)!)]));
  }
}

function ascend(numbers: readonly number[]): boolean {
  return numbers.every((number, index) => index === 0 || number > numbers[index - 1]!);
}

function declared(table: Table): SourceColumn[] {
  return Object.entries(table.columns).flatMap(([column, { type }]) => {
    const name = nameInSource(table, column);
    return name === undefined ? [] : [{ name, type, typeName: type }];
  });
}
