import type { ColumnType } from '../../core/columns/vector.ts';
import type { TableChanges } from '../../core/migration/plan.ts';
import type { SourceColumns } from '../../core/migration/schema-change.ts';
import { fits, tableNames, tableOf, type Shape } from '../../core/migration/shape.ts';
import { sourceChanges, type SourceColumn } from '../../core/migration/source-changes.ts';
import { nameInSource, type Pipeline, type Table } from '../../core/pipeline.ts';
import type { Lsn, Position } from '../../core/position.ts';
import type { Relation } from './pgoutput/relation.ts';
import type { Source } from './source.ts';

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
  /** Not as the pipeline has it; all that was committed before is in the stream below `seenAt`. */
  #awaited: { readonly columns: SourceColumns; readonly seenAt: Lsn } | undefined;

  constructor(pipeline: Pipeline, record: ColumnRecord, catalogue: SourceColumns) {
    this.#pipeline = pipeline;
    this.#record = record;
    this.#known = record.known;
    this.#latest = catalogue;
  }

  /** A type by its OID, also of columns that the catalogue has no more. */
  typeOf(oid: number): ColumnType | undefined {
    return [this.#latest, this.#known ?? {}].flatMap((columns) => Object.values(columns).flat()).find((column) => column.oid === oid)?.type;
  }

  async look(source: Source): Promise<void> {
    const pipeline = this.#pipeline;
    this.#latest = await source.columns();
    const changes = this.#changesTo(this.#latest);
    // one that is gone altogether, the publication lacks
    const fit = tableNames(pipeline).every((name) => this.#latest[name] === undefined || fits(tableOf(pipeline, name)!, this.#latest[name]));
    if (!fit || this.#record.concerns(changes)) {
      if (JSON.stringify(this.#awaited?.columns) !== JSON.stringify(this.#latest)) this.#awaited = { columns: this.#latest, seenAt: await source.walEnd() };
      return;
    }
    this.#awaited = undefined;
    if (this.#known === undefined) await this.#record.keep(this.#latest);
    else if (changes.length > 0) await this.#record.record({ columns: this.#latest, changes, position: null });
    this.#known = this.#latest;
  }

  /** What the source has become without a row that shows it, once the stream has passed that. */
  passed(streamAt: Lsn): FoundColumns | undefined {
    if (this.#awaited === undefined || streamAt < this.#awaited.seenAt) return undefined;
    const { columns } = this.#awaited;
    return { columns, changes: this.#changesTo(columns) };
  }

  /** What a relation of the stream says of its table. */
  found(table: string, { columns }: Relation): FoundColumns {
    const latest = this.#latest[table] ?? [];
    const now = columns.map(({ name, typeOid }): SourceColumn => {
      const inCatalogue = latest.find((column) => column.name === name);
      const type = this.typeOf(typeOid) ?? 'other';
      if (inCatalogue?.oid === typeOid) return inCatalogue;
      return { name, type, typeName: type, oid: typeOid, ...(inCatalogue?.number === undefined ? {} : { number: inCatalogue.number }) };
    });
    const all = { ...this.#before(), [table]: now };
    return { columns: all, changes: this.#changesTo(all) };
  }

  #changesTo(columns: SourceColumns): TableChanges[] {
    const before = this.#before();
    return Object.entries(columns).flatMap(([table, now]): TableChanges[] => {
      const changes = sourceChanges(before[table] ?? [], now);
      return changes.length > 0 ? [{ table, changes }] : [];
    });
  }

  /** If nobody has looked: what the pipeline itself says, and nothing of other columns. */
  #before(): SourceColumns {
    const pipeline = this.#pipeline;
    return this.#known ?? Object.fromEntries(tableNames(pipeline).map((name) => [name, declared(tableOf(pipeline, name)!)]));
  }
}

function declared(table: Table): SourceColumn[] {
  return Object.entries(table.columns).flatMap(([column, { type }]) => {
    const name = nameInSource(table, column);
    return name === undefined ? [] : [{ name, type, typeName: type }];
  });
}
