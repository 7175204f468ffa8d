import { dateFromText, timestampFromText } from '../columns/parse-text.ts';
import { rowSchema } from '../define/row-schema.ts';
import type { ColumnSchema, Pipeline, Text } from '../pipeline.ts';
import type { TextRow } from '../segment-builder.ts';
import type { LetterContent, LetterOp } from './dead-letter.ts';
import { InvalidContent } from './invalid-content.ts';

/**
 * The content with some values changed, Postgres texts: of the new row, or of the old one where there is only that.
 * Enriched columns are values like others and are not computed anew. What finds the row again in its destination stays
 * as it is, as a newer change would not find it there. Throws InvalidContent.
 */
export function editContent(pipeline: Pipeline<Text>, lane: string, { op, content }: { readonly op: LetterOp; readonly content: LetterContent }, changes: TextRow): LetterContent {
  if (pipeline.sinks[lane]?.kind === 'redis-live') throw new InvalidContent(`lane ${lane} shows the panes of the aggregate lane: edit the letter of that lane`);
  const schema = op === 'delete' ? pipeline.source.events.columns : rowSchema(pipeline);
  const image = op === 'delete' ? 'before' : 'after';
  const row = content[image] ?? {};
  const known = Object.keys(schema).filter((name) => name in row);
  const fixed = fixedColumns(pipeline, lane);
  for (const [name, value] of Object.entries(changes)) {
    if (!known.includes(name)) throw new InvalidContent(`there is no column ${name} in this row; it has ${known.join(', ')}`);
    if (fixed.has(name)) throw new InvalidContent(`column ${name} finds the row in its destination and cannot be edited: change the row in the source instead, and drop the letter`);
    const problem = valueProblem(schema[name]!, value);
    if (problem !== undefined) throw new InvalidContent(`column ${name} ${problem}`);
  }
  return { ...content, [image]: { ...row, ...changes } };
}

/** Columns that are made out of others, and that an edit therefore leaves as they were: those of the row, without what was `changed`. */
export function notComputedAnew(pipeline: Pipeline<Text>, { op, content }: { readonly op: LetterOp; readonly content: LetterContent }, changed: readonly string[]): string[] {
  if (op === 'delete') return [];
  const isMade = (name: string) => {
    const expression = pipeline.row[name];
    return expression?.op !== 'column' || expression.table !== 'events';
  };
  return Object.keys(content.after ?? {}).filter((name) => isMade(name) && !changed.includes(name));
}

function fixedColumns(pipeline: Pipeline<Text>, lane: string): ReadonlySet<string> {
  const sink = pipeline.sinks[lane];
  return new Set([pipeline.source.events.key, ...(sink?.kind === 'clickhouse' ? [...sink.orderBy, sink.partitionBy] : [])]);
}

/** Why the column cannot hold the text. */
function valueProblem({ type, nullable }: ColumnSchema, value: string | null): string | undefined {
  if (value === null) return nullable ? undefined : 'is NOT NULL';
  if (!isText[type](value)) return `is of type ${type}, and ${JSON.stringify(value.slice(0, 80))} is not`;
  return undefined;
}

const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$|^(NaN|-?Infinity)$/i;

const isText: Readonly<Record<ColumnSchema['type'], (text: string) => boolean>> = {
  bool: (text) => ['t', 'f', 'true', 'false'].includes(text),
  int2: (text) => isInteger(text, -(2n ** 15n), 2n ** 15n),
  int4: (text) => isInteger(text, -(2n ** 31n), 2n ** 31n),
  int8: (text) => isInteger(text, -(2n ** 63n), 2n ** 63n),
  oid: (text) => isInteger(text, 0n, 2n ** 32n),
  float4: (text) => number.test(text),
  float8: (text) => number.test(text),
  numeric: (text) => /^-?\d+(\.\d+)?$|^(NaN|-?Infinity)$/.test(text),
  date: (text) => parses(() => dateFromText(text)),
  timestamp: (text) => parses(() => timestampFromText(text)),
  timestamptz: (text) => parses(() => timestampFromText(text)),
  uuid: (text) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text),
  json: (text) => parses(() => JSON.parse(text)),
  jsonb: (text) => parses(() => JSON.parse(text)),
  bytea: (text) => /^\\x([0-9a-f]{2})*$/i.test(text),
  text: (text) => !text.includes('\0'),
  other: (text) => !text.includes('\0'),
};

function isInteger(text: string, least: bigint, above: bigint): boolean {
  return /^-?\d{1,20}$/.test(text) && BigInt(text) >= least && BigInt(text) < above;
}

function parses(parse: () => unknown): boolean {
  try {
    parse();
    return true;
  } catch {
    return false;
  }
}
