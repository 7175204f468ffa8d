import type { Random } from '../bench/load/random.ts';
import type { World } from './world.ts';

/** Something bad that happens to a running pipeline, for real, and is mended again. */
export type Fault = {
  /** 'worker/kill-after-link', as it stands in logs, in docs/guarantees.md and after --fault. */
  readonly name: string;
  /** One sentence: what is done. */
  readonly what: string;
  /** One sentence: what happens then. */
  readonly expected: string;
  /** Drawn at random; false: only by name, and in the full run (it takes minutes, or parks the pipeline). */
  readonly drawn: boolean;
  /** No other one overlaps it: it has the pipeline loaded anew, and others wait for lanes, which do not run meanwhile. */
  readonly alone?: boolean;
  /**
   * It has a sink made anew out of the source or the panes, which hides what was lost there before: everything is compared
   * before it strikes.
   */
  readonly forgets?: boolean;
  /** Why this world cannot have it (a pipeline without such a sink, a machine that does not let us mount). */
  readonly unfit?: (world: World) => string | undefined;
  /**
   * Does it and mends it. Returns when the cause is over (not the recovery), with evidence that it really struck; throws
   * if it did not strike. Whatever happens, nothing of the cause is left behind. `beside`: whether another one overlaps.
   */
  strike(world: World, random: Random, signal: AbortSignal, beside: boolean): Promise<Struck>;
};

/** `after`: what must have come of it once every fence has moved again; returns that as more evidence. */
export type Struck = { readonly evidence: string; readonly after?: () => Promise<string> };

/** How long a fault may take to meet somebody: one beside it may have the pipeline loaded anew. */
export const struckMs = 150_000;

/** It was done, and nothing came of it: the laboratory is wrong, or the product has changed. */
export class DidNotStrike extends Error {
  override readonly name = 'DidNotStrike';
}
