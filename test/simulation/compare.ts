import { isDeepStrictEqual } from 'node:util';

/** Something that must never be. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

/** By key, in any order. */
export function same(what: string, actual: readonly (readonly [unknown, unknown])[], expected: readonly (readonly [unknown, unknown])[]): void {
  const wanted = new Map(expected);
  for (const [key, value] of actual) {
    if (!wanted.has(key)) throw new Violation(`${what}: ${key} is there and should not be: ${JSON.stringify(value)}`);
    if (!isDeepStrictEqual(value, wanted.get(key))) throw new Violation(`${what}: ${key} is ${JSON.stringify(value)}, expected ${JSON.stringify(wanted.get(key))}`);
    wanted.delete(key);
  }
  for (const [key, value] of wanted) throw new Violation(`${what}: ${key} is missing: ${JSON.stringify(value)}`);
}

export function sameList(what: string, actual: readonly unknown[], expected: readonly unknown[]): void {
  for (let index = 0; index < Math.max(actual.length, expected.length); index++) {
    if (!isDeepStrictEqual(actual[index], expected[index])) throw new Violation(`${what}: number ${index + 1} is ${JSON.stringify(actual[index])}, expected ${JSON.stringify(expected[index])}`);
  }
}

/** What has the same key together. */
export function merged<S>(entries: readonly (readonly [string, S])[], both: (one: S, other: S) => S): ReadonlyMap<string, S> {
  const all = new Map<string, S>();
  for (const [entry, sums] of entries) all.set(entry, all.has(entry) ? both(all.get(entry)!, sums) : sums);
  return all;
}
