/** What `sluice verify` found: the source as it was at one position, and every sink held there. */
export type Verification = {
  readonly pipeline: string;
  /** Every event below this position is in what was compared, and no other (E17). */
  readonly position: string;
  readonly equal: boolean;
  readonly checks: readonly Check[];
};

export type Check = {
  readonly sink: string;
  readonly what: string;
  readonly expected: Digest;
  readonly actual: Digest;
  readonly equal: boolean;
  /** The first ones, by key. */
  readonly differences: readonly Difference[];
  /** Of all differences the windows, if they were asked for: milliseconds since 1970, ascending. */
  readonly windows?: readonly number[];
  /** Why this sink cannot be compared at all, or what was left out; unequal without differences: dead letters wait. */
  readonly note?: string;
};

/** `checksum`: the sum of all rows' 64-bit hashes, which does not depend on their order. */
export type Digest = { readonly rows: number; readonly checksum: string };

export type Difference = {
  /** missing: the sink lacks the row. extra: only the sink has it. repeated: the sink has the key more than once. */
  readonly kind: 'missing' | 'extra' | 'changed' | 'repeated';
  readonly key: Texts;
  /** The columns that differ; of a missing or an extra row, all. */
  readonly expected?: Texts;
  readonly actual?: Texts;
};

export type Texts = Readonly<Record<string, string | null>>;

/** Failure type of a verification that could not be made. */
export const notComparable = 'NotComparable';

/**
 * What the first attempts of one verify workflow's run hold the pipeline by, in their order. Each has an id of its own: the
 * next one releases it for good, whatever the one before still has on its way.
 */
export function holdIds(runId: string, attempts: number): readonly string[] {
  return Array.from({ length: attempts }, (_, index) => `${runId}/${index + 1}`);
}

/** Failure type of an attempt that could not let the pipeline go: the next one does that first. */
export const notLetGo = 'NotLetGo';

/** A table of the checks, and below it the differences in words. */
export function verificationText({ pipeline, position, equal, checks }: Verification): string {
  const rows = checks.map(({ sink, what, expected, actual, equal: same, note }) => [sink, what, String(expected.rows), String(actual.rows), same ? (expected.rows + actual.rows === 0 && note ? '-' : 'yes') : 'NO']);
  const unequal = checks.filter((check) => !check.equal);
  const notes = checks.filter(({ note }) => note !== undefined);
  return [
    `${pipeline} at ${position}: ${equal ? 'everything is equal' : `${unequal.length} of ${checks.length} checks found differences`}`,
    '',
    ...tableLines([['sink', 'what', 'expected', 'actual', 'equal'], ...rows]),
    ...unequal.filter(({ differences }) => differences.length > 0).flatMap(({ sink, what, differences }) => ['', `${sink}, ${what}:`, ...differences.map((difference) => `  ${differenceText(difference)}`)]),
    ...(notes.length > 0 ? ['', ...notes.map(({ sink, what, note }) => `${sink}, ${what}: ${note}`)] : []),
  ].join('\n');
}

/** `changed id=5: title is 'a', expected 'b'`. */
export function differenceText({ kind, key, expected = {}, actual = {} }: Difference): string {
  const where = textsText(key);
  switch (kind) {
    case 'missing':
      return `missing ${where}: expected ${textsText(expected)}`;
    case 'extra':
      return `extra ${where}: ${textsText(actual)}`;
    case 'repeated':
      return `repeated ${where}: ${textsText(actual)}`;
    case 'changed':
      return `changed ${where}: ${Object.keys(actual).map((name) => `${name} is ${valueText(actual[name])}, expected ${valueText(expected[name])}`).join('; ')}`;
  }
}

/** `id=5 title='a b'`. */
export function textsText(texts: Texts): string {
  return Object.entries(texts).map(([name, value]) => `${name}=${valueText(value)}`).join(' ');
}

function valueText(value: string | null | undefined): string {
  return value == null ? 'NULL' : /^[-\w.:]+$/.test(value) ? value : `'${value}'`;
}

function tableLines(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const isNumber = (column: number) => column === 2 || column === 3;
  return rows.map((row) => row.map((cell, column) => (isNumber(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!))).join('  ').trimEnd());
}
