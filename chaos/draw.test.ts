import { describe, expect, test } from 'vitest';
import { drawTurns, hitBy, inOrder, type Turn } from './draw.ts';
import type { Fault } from './fault.ts';
import { faults } from './faults/index.ts';

const drawn = faults.filter((fault) => fault.drawn);

function first(count: number, turns: Iterator<Turn>): Turn[] {
  return Array.from({ length: count }, () => turns.next().value as Turn);
}

const names = (turns: readonly Turn[]) => turns.map(({ faults: some, ...rest }) => ({ ...rest, faults: some.map(({ name }) => name) }));

describe('what a seed draws', () => {
  test('is the same each time, and another for another seed', () => {
    expect(names(first(100, drawTurns(7, drawn)))).toEqual(names(first(100, drawTurns(7, drawn))));
    expect(names(first(100, drawTurns(7, drawn)))).not.toEqual(names(first(100, drawTurns(8, drawn))));
  });

  test('has every fault once before any comes again', () => {
    const turns = first(drawn.length, drawTurns(3, drawn)).flatMap((turn) => turn.faults);
    expect(new Set(turns.slice(0, drawn.length)).size).toBe(drawn.length);
  });

  test('has backfills, migrations, other definitions and slot loss in ten seeds in a row, of as many turns as five minutes have', () => {
    const ofTen = new Set(Array.from({ length: 10 }, (_, seed) => first(20, drawTurns(seed + 1, drawn))).flat().flatMap((turn) => turn.faults.map(({ name }) => name)));
    for (const kind of [/^backfill\//, /^migration\//, /^apply\//, /^source\/slot-dropped$/]) expect([...ofTen].filter((name) => kind.test(name))).not.toEqual([]);
  });

  test('sometimes lets two overlap, never two of one process, nor one that is to be alone', () => {
    const pairs = first(400, drawTurns(1, drawn)).filter((turn) => turn.faults.length > 1);
    expect(pairs.length).toBeGreaterThan(40);
    expect(pairs.length).toBeLessThan(140);
    for (const { faults: [one, other] } of pairs) {
      expect(hitBy(one!)).not.toBe(hitBy(other!));
      expect([one!.alone, other!.alone]).not.toContain(true);
    }
    expect(drawn.filter(({ alone }) => alone).map(({ name }) => name)).toEqual(['worker/kill-in-first-load', 'worker/kill-at-handoff', 'source/slot-dropped', 'clickhouse/table-dropped', 'redis/detached', 'clickhouse/detached']);
  });

  test('given faults come once each, in their order', () => {
    const given: Fault[][] = [[faults[3]!], [faults[1]!, faults[2]!], [faults[3]!]];
    expect([...inOrder(1, given)].map((turn) => turn.faults)).toEqual(given);
  });
});

describe('the faults', () => {
  test('have names of their own: kind/what', () => {
    expect(new Set(faults.map(({ name }) => name)).size).toBe(faults.length);
    for (const { name } of faults) expect(name).toMatch(/^(worker|temporal|source|redis|clickhouse|state|http|data|time|backfill|migration|apply)\/[a-z0-9-]+$/);
  });

  test('say in sentences what is done and what comes of it', () => {
    for (const { what, expected } of faults) for (const text of [what, expected]) expect(text).toMatch(/^[A-Z].*\.$/);
  });
});
