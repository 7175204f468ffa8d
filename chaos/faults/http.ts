import { setTimeout as sleep } from 'node:timers/promises';
import { DidNotStrike, type Fault } from '../fault.ts';
import type { FrontMode } from '../http-front.ts';
import { othersGoOn } from '../others.ts';
import { duplicates, sentOnceMore } from '../sent-once-more.ts';
import { until } from '../until.ts';
import { needs } from './kill.ts';

type Bad = { readonly name: string; readonly what: string; readonly expected: string; readonly mode: FrontMode; readonly seconds: number; readonly drawn: boolean; readonly says?: RegExp; /** The receiver takes them all the same. */ readonly takes?: true };

const sentAgain = 'The same messages with the same ids are sent again until they are accepted.';

const passing: readonly Bad[] = [
  { name: '429', what: 'The receiver answers 429 with retry-after 3 for 10 s.', expected: `The lane waits as long as it is asked to. ${sentAgain}`, mode: { tag: 'answer', status: 429, headers: { 'retry-after': '3' } }, seconds: 10, drawn: true, says: /answered 429/ },
  { name: '500', what: 'The receiver answers 500 for 10 s.', expected: sentAgain, mode: { tag: 'answer', status: 500 }, seconds: 10, drawn: true, says: /answered 500/ },
  { name: 'accepted-but-500', what: 'The receiver takes every message and answers 500 all the same, for 10 s.', expected: `${sentAgain} The receiver knows them by their ids and takes them once.`, mode: { tag: 'lie', status: 500 }, seconds: 10, drawn: true, says: /answered 500/, takes: true },
  { name: 'half-accepting', what: 'The receiver accepts every second message and answers 503 to the others, for 10 s.', expected: 'Messages on their way beside a refused one are repeated with it, with the same ids.', mode: { tag: 'half' }, seconds: 10, drawn: true, says: /answered 503/ },
  { name: 'reset-in-body', what: 'Connections to the receiver are reset in the middle of the message, or of the answer, for 10 s.', expected: sentAgain, mode: { tag: 'reset' }, seconds: 10, drawn: true, says: /ECONNRESET|aborted|socket hang up|EPIPE/ },
  { name: 'hanging', what: 'The receiver takes no notice of messages for 35 s, longer than the timeout of 30 s.', expected: `The lane gives up after the timeout. ${sentAgain}`, mode: { tag: 'hang' }, seconds: 35, drawn: false, says: /time/i },
  { name: 'answers-after-timeout', what: 'The receiver takes every message, and its answers come after the timeout of 30 s.', expected: `${sentAgain} The receiver knows them by their ids and takes them once.`, mode: { tag: 'late', ms: 32_000 }, seconds: 36, drawn: false, says: /time/i, takes: true },
];

/** Answers that only a person can do something about. */
const final: readonly (Omit<Bad, 'seconds' | 'drawn' | 'says'> & { readonly says: RegExp })[] = [
  { name: '410', what: 'The receiver answers 410: it wants no more.', expected: 'The lane parks with a sentence, the others go on; resumed, it sends what was not accepted.', mode: { tag: 'answer', status: 410 }, says: /answered 410.*no more messages/ },
  { name: 'redirect', what: 'The receiver answers 307 with another location.', expected: 'The redirect is not followed: the lane parks with a sentence, the others go on; resumed, it sends what was not accepted.', mode: { tag: 'answer', status: 307, headers: { location: 'http://127.0.0.1:1/elsewhere' } }, says: /answered 307.*redirect/ },
];

export const httpFaults: readonly Fault[] = [
  ...passing.map(
    ({ name, what, expected, mode, seconds, drawn, says, takes }): Fault => ({
      name: `http/${name}`,
      what,
      expected,
      drawn,
      unfit: needs('http'),
      async strike(world, _, signal, beside) {
        const startedAt = performance.now();
        const duplicatesBefore = await duplicates(world);
        let evidence: string;
        let took = 0;
        world.front.set(mode);
        try {
          const said = await world.untilFailing(world.laneOf('http')!, says!, signal);
          const others = beside ? '' : await othersGoOn(world, 'http', signal);
          await sleep(Math.max(0, seconds * 1000 - (performance.now() - startedAt)), undefined, { signal });
          const { struck, taken } = world.front;
          took = taken;
          evidence = `${struck} messages met it${taken > 0 ? `, of which ${taken} were taken` : ''}; the lane said: ${said}${others}`;
        } finally {
          world.front.set({ tag: 'pass' });
        }
        if (!takes) return { evidence };
        if (took === 0) throw new DidNotStrike('The receiver took none of them.');
        return { evidence: `${evidence}; ${await sentOnceMore(world, duplicatesBefore, signal)}` };
      },
    }),
  ),
  ...final.map(
    ({ name, what, expected, mode, says }): Fault => ({
      name: `http/${name}`,
      what,
      expected,
      drawn: true,
      unfit: needs('http'),
      async strike(world, _, signal, beside) {
        const lane = world.laneOf('http')!;
        world.front.set(mode);
        let sentence: string;
        let others = '';
        try {
          sentence = await world.untilParked(lane, says, signal);
          if (!beside) others = await othersGoOn(world, 'http', signal);
          if (world.front.struck === 0) throw new DidNotStrike('No message met it.');
        } finally {
          world.front.set({ tag: 'pass' });
        }
        const resumed = async () => {
          await world.resumeParked([lane], signal);
          return (await world.status()).lanes.find(({ name: each }) => each === lane)?.state === 'running';
        };
        await until(`${lane} to be resumed`, resumed, { timeoutMs: 20_000, everyMs: 500, signal });
        return { evidence: `lane ${lane} parked and said: ${sentence}${others}` };
      },
    }),
  ),
];
