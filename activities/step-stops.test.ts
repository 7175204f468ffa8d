import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isStopped, type NumberedStep, type StoppedSteps } from '../core/stopped-steps.ts';
import { StepStops } from './step-stops.ts';

const at = (run: string, part: string, number: number): NumberedStep => ({ run, part, number });

describe('E26: a step is stopped', () => {
  test.each([
    ['by its own number', [at('r', 'a', 3)], true],
    ['by a later step of its part: it was stopped before that began', [at('r', 'a', 7)], true],
    ['by no earlier step', [at('r', 'a', 2)], false],
    ['by no other part', [at('r', 'b', 3)], false],
    ['by no other run, which numbers its steps anew', [at('before', 'a', 9)], false],
    ['by nothing', [], false],
  ])('%s', (_, stopped, expected) => {
    expect(isStopped(at('r', 'a', 3), stopped)).toBe(expected);
  });
});

type Doing =
  | { readonly tag: 'begin' | 'end'; readonly part: string }
  /** An attempt of the step that the run began last: the one before it was lost with its worker. */
  | { readonly tag: 'retry'; readonly part: string }
  /** The row is written; `heard` says whether the notification arrives. */
  | { readonly tag: 'stop'; readonly part: string; readonly heard: boolean }
  /** The workflow rotates, is reset, or is started anew: its numbers begin anew. */
  | { readonly tag: 'new run' }
  | { readonly tag: 'away'; readonly is: boolean };

const part = fc.constantFrom('capture', 'aggregate');
const doings = (losses: boolean): fc.Arbitrary<Doing[]> =>
  fc.array(
    fc.oneof(
      fc.record({ tag: fc.constantFrom('begin' as const, 'end' as const, 'retry' as const), part }),
      fc.record({ tag: fc.constant('stop' as const), part, heard: losses ? fc.boolean() : fc.constant(true) }),
      fc.record({ tag: fc.constant('new run' as const) }),
      ...(losses ? [fc.record({ tag: fc.constant('away' as const), is: fc.boolean() })] : []),
    ),
    { maxLength: 20 },
  );

/** What is true of a step, told apart from others by being itself. `follows`: the step of the same run and part before it. */
type Begun = { readonly step: NumberedStep; readonly follows: Begun | undefined; unwanted: boolean };
type Attempt = { readonly of: Begun; told: number; wrongly: boolean; ended: boolean; unwatch: () => void };

/** Runs that begin and stop steps, the rows they write, and one worker that has attempts of the steps. */
class Scene {
  readonly attempts: Attempt[] = [];
  readonly #stops: StepStops;
  readonly #rows = new Map<string, NumberedStep>();
  readonly #newest = new Map<string, Begun>();
  #run = 1;
  #begun = 0;
  #away = false;

  constructor(scheduler: fc.Scheduler) {
    const read = scheduler.scheduleFunction(async (runs: readonly string[]) => {
      if (this.#away) throw new Error('no connection');
      return [...this.#rows.values()].filter(({ run }) => runs.includes(run));
    });
    const arrive = scheduler.scheduleFunction(async (rows: StoppedSteps) => rows);
    this.#stops = new StepStops(async (runs) => arrive(await read(runs)));
  }

  do(what: Doing): void {
    switch (what.tag) {
      case 'begin': {
        const step = at(`run ${this.#run}`, what.part, ++this.#begun);
        this.#newest.set(what.part, { step, follows: this.#newest.get(what.part), unwanted: false });
        return this.#attempt(what.part);
      }
      case 'retry':
        return this.#attempt(what.part);
      case 'end':
        for (const attempt of this.attempts) {
          if (attempt.of.step.part !== what.part) continue;
          attempt.ended = true;
          attempt.unwatch();
        }
        return;
      case 'stop':
        return this.#stop(what.part, what.heard);
      case 'new run':
        this.#run++;
        this.#begun = 0;
        this.#newest.clear();
        return;
      case 'away':
        this.#away = what.is;
        // a connection that is there again rings
        if (!what.is) void this.#stops.ring();
    }
  }

  #stop(name: string, heard: boolean): void {
    const newest = this.#newest.get(name);
    if (!newest) return;
    for (let each: Begun | undefined = newest; each; each = each.follows) each.unwanted = true;
    this.#rows.set(`${newest.step.run}/${name}`, newest.step);
    if (heard) void this.#stops.ring();
  }

  #attempt(name: string): void {
    const of = this.#newest.get(name);
    if (!of) return;
    const attempt: Attempt = { of, told: 0, wrongly: false, ended: false, unwatch: () => {} };
    this.attempts.push(attempt);
    attempt.unwatch = this.#stops.watch(of.step, () => {
      attempt.told++;
      attempt.wrongly ||= attempt.ended || !of.unwanted;
    });
  }
}

/** In any order of what happens, of the reads, and of their answers. */
async function toldInTheEnd(scheduler: fc.Scheduler, happens: readonly Doing[]): Promise<void> {
  const scene = new Scene(scheduler);
  scheduler.scheduleSequence(happens.map((what) => ({ label: what.tag, builder: async () => scene.do(what) })));
  await scheduler.waitIdle();
  for (const { of, told, wrongly, ended } of scene.attempts) {
    expect(wrongly).toBe(false);
    if (!ended) expect(told).toBe(of.unwanted ? 1 : 0);
  }
}

describe('E26: however stops and reads fall together, every step that was stopped is told once, and none that is wanted', () => {
  test('while every notification arrives', async () => {
    await fc.assert(fc.asyncProperty(fc.scheduler(), doings(false), toldInTheEnd), { numRuns: 1_000 });
  });

  test('when the connection is there again, though notifications were lost', async () => {
    const back: Doing = { tag: 'away', is: false };
    await fc.assert(fc.asyncProperty(fc.scheduler(), doings(true), (scheduler, happens) => toldInTheEnd(scheduler, [...happens, back])), { numRuns: 1_000 });
  });
});
