import type { Pipeline, Text } from '../pipeline.ts';
import type { Position } from '../position.ts';
import type { MigrationState } from './migration-state.ts';
import { changeText, type Decision, type MigrationPlan, type TableChanges } from './plan.ts';
import { tableOf } from './shape.ts';
import type { SourceColumn } from './source-changes.ts';

/** The columns of a pipeline's tables in the source, by the tables' names in the definition. */
export type SourceColumns = Readonly<Record<string, readonly SourceColumn[]>>;

/** A change of the source's schema as the state database has it. */
export type SchemaChange = {
  readonly pipeline: string;
  readonly number: number;
  /** Of the load that it was met after. */
  readonly epoch: number;
  /** Everything above it is of the new form; null: no column of the definition is concerned. */
  readonly position: Position | null;
  readonly changes: readonly TableChanges[];
  readonly state: MigrationState;
};

export function migrationWorkflowId(pipeline: string, number: number): string {
  return `migration/${pipeline}/${number}`;
}

/** A line for each, by the tables' names in the source. */
export function changeLines(pipeline: Pipeline<Text>, changes: readonly TableChanges[]): string[] {
  return changes.flatMap(({ table, changes: each }) => each.map((change) => changeText(tableOf(pipeline, table)?.relation ?? table, change)));
}

/** What a person reads who is to decide. `sinks`: what would be typed at each, by decision. */
export function planText({ verdict, changes, approve, reject }: MigrationPlan, statements: Readonly<Record<Decision, readonly string[]>>): string {
  const side = (decision: Decision, outcome: MigrationPlan['approve']) => [
    `${decision}:`,
    ...(outcome.possible ? [...outcome.says, ...statements[decision]] : [`cannot be done: ${outcome.why.join(' ')}`]).map((line) => `  ${line}`),
  ];
  return [...changes, ...(verdict === 'nothing' ? ['no column of the definition is concerned'] : [...side('approve', approve), ...(verdict === 'automatic' ? [] : side('reject', reject))])].join('\n');
}
