import type { Client } from 'pg';
import { BadInput } from '../../core/bad-input.ts';
import { pause } from '../../core/clock.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import { rangesOf, type Compared, type Mend } from '../../core/reconcile.ts';
import type { Check } from '../../core/verification.ts';
import type { AggregateSink } from '../aggregate/aggregate-sink.ts';
import { NotComparable } from '../verification/not-comparable.ts';
import { TableGone } from '../verification/source-snapshot.ts';
import type { Addresses } from '../verification/verify-pipeline.ts';
import type { Waiting } from './lane-at.ts';
import { Again } from './marked.ts';

/** What is compared, where, and on which connection of the state database. */
export type Place = Waiting & {
  readonly database: Client;
  readonly pipeline: Pipeline;
  readonly addresses: Addresses;
  readonly panes: Pick<AggregateSink, 'readFence' | 'markCompared'>;
  /** Under which panes are marked. */
  readonly name: string;
  /** Lanes that cannot be compared for the moment, and why: they are not asked again for each range. */
  readonly unavailable: Map<string, string>;
};

/** No statement takes longer. */
export const statementMs = 300_000;

/** A check as what was found of that many windows, each so long. */
export function comparedOf({ sink, what, differences, windows: different = [], note }: Check, windows: number, lengthMs: number, mend: Mend): Compared {
  return { sink, what, windows, different: different.length, differing: rangesOf(different, lengthMs), differences, mend, ...(note === undefined ? {} : { note }) };
}

export function nothing(sink: string, what: string): Compared {
  return { sink, what, windows: 0, different: 0, differing: [], differences: [], mend: { tag: 'none' } };
}

/** A destination that does not answer, or whose lane stands still, is not a difference. */
export async function unlessAway(place: Place, lane: string, what: string, work: () => Promise<Compared>): Promise<Compared> {
  const known = place.unavailable.get(lane);
  if (known !== undefined) return { ...nothing(lane, what), problem: known };
  try {
    return await insisting(place, work);
  } catch (error) {
    if (place.signal.aborted) throw error;
    const isKnown = error instanceof NotComparable || error instanceof BadInput;
    const problem = isKnown ? error.message : `${lane} could not be read: ${sentence(error)}. See ./sluice status.`;
    if (!(error instanceof BadInput)) place.unavailable.set(lane, problem);
    return { ...nothing(lane, what), problem };
  }
}

/** What was changed by somebody else while it was compared is looked at again, a few times. */
export async function insisting<T>({ clock, signal }: Pick<Place, 'clock' | 'signal'>, work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Again || error instanceof TableGone)) throw error;
      if (tries === mostTries) throw new NotComparable(`It could not be compared, ${mostTries} times: ${error.message.replace(/\.$/, '')}. The next reconcile will tell, or: ./sluice reconcile`, { cause: error });
      await pause(clock, restMs, signal);
      signal.throwIfAborted();
    }
  }
}

const mostTries = 5;
const restMs = 500;

function sentence(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error && !message.includes(cause.message) ? `${message} (${cause.message})` : message;
}
