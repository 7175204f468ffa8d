import type { ColumnRecord, FoundColumns } from '../../connectors/postgres/column-watch.ts';
import { ConfigurationError } from '../../connectors/sink.ts';
import { planMigration } from '../../core/migration/plan.ts';
import type { SourceColumns } from '../../core/migration/schema-change.ts';
import { reshaped } from '../../core/migration/shape.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import type { Position } from '../../core/position.ts';

export type Shaped = { readonly pipeline: Pipeline; readonly shape: ColumnRecord['shape'] };
type Found = FoundColumns & { readonly position: Position | null };
/** open: found. decided: it stays as it was read. */
type Change = Found & { readonly number: number; readonly state: 'open' | 'decided' | 'cancelled' | 'done' | 'unneeded' };

/** What is on record of changes of the source's columns, as schema-changes.ts keeps it, and what they make of the pipeline. */
export class SchemaChanges {
  readonly #definitions: Shaped[];
  readonly #changes: Change[] = [];
  /** Of the source, where the stream goes on. */
  columns: SourceColumns | undefined;

  constructor(pipeline: Pipeline) {
    this.#definitions = [{ pipeline, shape: { number: 0, columns: {} } }];
  }

  /** With the migrations up to this one. */
  definition(number: number): Shaped {
    return this.#definitions.find(({ shape }) => shape.number === number)!;
  }

  /** What keeps a capture of a definition from beginning: a change that is not over, or that it does not know of. */
  due(number: number): number | undefined {
    const { shape } = this.#definitions.at(-1)!;
    return shape.number > number ? shape.number : this.#changes.find(({ state }) => state === 'open' || state === 'decided')?.number;
  }

  change(number: number): Change {
    return this.#changes[number - 1]!;
  }

  record({ shape, ...found }: Found & { readonly shape: number }): number {
    const { columns, position } = found;
    const { shape: newest } = this.#definitions.at(-1)!;
    if (newest.number > shape) return newest.number;
    if (position !== null) this.assertNotBefore(position);
    const same = this.#changes.findLast((each) => position !== null && each.position === position && each.state !== 'done' && each.state !== 'unneeded');
    if (same?.state === 'decided') return same.number;
    const number = same?.number ?? this.#changes.length + 1;
    this.#changes[number - 1] = { ...found, number, state: position === null ? 'unneeded' : 'open' };
    if (position === null) this.columns = columns;
    return number;
  }

  assertNotBefore(position: Position): void {
    const later = this.#changes.find((each) => each.state === 'done' && each.position! > position);
    if (later) throw new ConfigurationError(`The stream would go on at ${position}, which is before migration ${later.number} at ${later.position}`);
  }

  decide(number: number): void {
    this.#become(number, 'decided');
  }

  cancel(number: number): void {
    this.#become(number, 'cancelled');
  }

  /** It was approved, and every lane has what came before it. */
  settle(number: number): void {
    const { pipeline } = this.#definitions[0]!;
    const { columns, changes } = this.change(number);
    const { approve } = planMigration(pipeline, this.#definitions.at(-1)!.shape.columns, changes);
    if (!approve.possible) throw new TypeError(`migration ${number} cannot be approved: ${approve.why.join(' ')}`);
    this.#definitions.push({ pipeline: reshaped(pipeline, approve.shape), shape: { number, columns: approve.shape } });
    this.columns = columns;
    this.#become(number, 'done');
  }

  #become(number: number, state: Change['state']): void {
    this.#changes[number - 1] = { ...this.change(number), state };
  }
}
