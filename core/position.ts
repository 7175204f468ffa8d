/**
 * A place in a shard's stream: epoch (32 bits) · commit LSN (64) · ordinal of the event in its transaction (32),
 * as 32 hexadecimal digits, so that text order is stream order (EXACTNESS E1, E2).
 * Ordinal 0 is before every event of its transaction: snapshot rows and canaries have it.
 */
export type Position = string & { readonly brand: 'Position' };

export type Lsn = bigint;

export function position(epoch: number, lsn: Lsn, ordinal: number): Position {
  return (hex(epoch, 8) + hex(lsn, 16) + hex(ordinal, 8)) as Position;
}

export function parsePosition(text: Position): { epoch: number; lsn: Lsn; ordinal: number } {
  return {
    epoch: Number.parseInt(text.slice(0, 8), 16),
    lsn: BigInt(`0x${text.slice(8, 24)}`),
    ordinal: Number.parseInt(text.slice(24), 16),
  };
}

/** Checks a text that came from outside (a sink, a file, a user). Throws a TypeError with the text in it. */
export function toPosition(text: string): Position {
  if (!isPosition(text)) throw new TypeError(`not a position: ${JSON.stringify(text)} (32 hexadecimal digits)`);
  return text;
}

export function isPosition(text: string): text is Position {
  return /^[0-9a-f]{32}$/.test(text);
}

export const origin = '0'.repeat(32) as Position;

/** As four 32-bit words from low to high: the bytes of a ClickHouse UInt128. */
export function positionWords(text: Position): [ordinal: number, lsnLow: number, lsnHigh: number, epoch: number] {
  const word = (at: number) => Number.parseInt(text.slice(at, at + 8), 16);
  return [word(24), word(16), word(8), word(0)];
}

export function positionAt(words: Uint32Array, row: number): Position {
  const at = row * 4;
  return (hex(words[at + 3]!, 8) + hex(words[at + 2]!, 8) + hex(words[at + 1]!, 8) + hex(words[at]!, 8)) as Position;
}

/** The number of leading rows whose position is at or below `limit`; positions ascend. */
export function rowsUpTo(words: Uint32Array, rows: number, limit: Position): number {
  const bound = positionWords(limit);
  let low = 0;
  let high = rows;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isAbove(words, middle, bound)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function isAbove(words: Uint32Array, row: number, bound: readonly [number, number, number, number]): boolean {
  for (let word = 3; word >= 0; word--) {
    const difference = words[row * 4 + word]! - bound[word]!;
    if (difference !== 0) return difference > 0;
  }
  return false;
}

/** Below 0: the position at `row` is before that at `otherRow` of other words. */
export function comparePositions(words: Uint32Array, row: number, others: Uint32Array, otherRow: number): number {
  for (let word = 3; word >= 0; word--) {
    const difference = words[row * 4 + word]! - others[otherRow * 4 + word]!;
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Postgres' own notation, `16/B374D848`. */
export function lsnText(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16)}/${(lsn & 0xffffffffn).toString(16)}`.toUpperCase();
}

export function parseLsn(text: string): Lsn {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text);
  if (!match) throw new TypeError(`not an LSN: ${JSON.stringify(text)}`);
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`);
}

function hex(value: number | bigint, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}
