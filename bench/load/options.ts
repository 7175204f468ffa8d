import { BadInput } from '../../core/bad-input.ts';

export type LoadOptions = {
  /** Undefined: all of them. */
  readonly pipeline: WorkloadName | undefined;
  /** Events per second of each pipeline: inserts, updates and deletes together. */
  readonly rate: number;
  /** Events written first, as fast as they can be. */
  readonly burst: number;
  /** Parts of all events, from 0 to 1. */
  readonly updates: number;
  readonly deletes: number;
  /** Part of the inserts. */
  readonly late: number;
  /** Undefined: until it is stopped. */
  readonly durationMs: number | undefined;
};

export type WorkloadName = (typeof workloadNames)[number];
export const workloadNames = ['engagement', 'trending'] as const;

export const loadFlags = ['pipeline', 'rate', 'burst', 'updates', 'deletes', 'late', 'duration'] as const;
export type LoadFlags = { readonly [K in (typeof loadFlags)[number]]?: string | undefined };

/** Throws InvalidFlag with what to type. */
export function parseLoadOptions(flags: LoadFlags): LoadOptions {
  const options = {
    pipeline: flags.pipeline === undefined ? undefined : workloadName(flags.pipeline),
    rate: flags.rate === undefined ? 0 : amount('--rate', flags.rate, 'a number of events per second', '3333'),
    burst: flags.burst === undefined ? 0 : Math.floor(amount('--burst', flags.burst, 'a number of events', '100000')),
    updates: percent('--updates', flags.updates),
    deletes: percent('--deletes', flags.deletes),
    late: percent('--late', flags.late),
    durationMs: flags.duration === undefined ? undefined : duration(flags.duration),
  };
  if (flags.rate === undefined && flags.burst === undefined) throw new InvalidFlag('Neither --rate nor --burst is given, so there is nothing to write. For example: ./sluice load --pipeline engagement --rate 3333');
  if (options.updates + options.deletes > 0.9) throw new InvalidFlag('--updates and --deletes are more than 90% together: there would be too few rows to change. For example: --updates 3% --deletes 1%');
  return options;
}

export class InvalidFlag extends BadInput {
  override readonly name = 'InvalidFlag';
}

function workloadName(text: string): WorkloadName {
  const name = workloadNames.find((each) => each === text);
  if (name) return name;
  throw new InvalidFlag(`There is no load for a pipeline ${text}. There is for: ${workloadNames.join(', ')}`);
}

function amount(flag: string, text: string, what: string, example: string): number {
  const value = Number(text.replaceAll(/[_,]/g, ''));
  if (text.trim() !== '' && Number.isFinite(value) && value >= 0 && value <= 10_000_000) return value;
  throw new InvalidFlag(`${flag} ${text} is not ${what} from 0 to 10,000,000. For example: ${flag} ${example}`);
}

function percent(flag: string, text: string | undefined): number {
  if (text === undefined) return 0;
  const match = /^(\d+(?:\.\d+)?)%?$/.exec(text.trim());
  const value = Number(match?.[1]);
  if (match && value <= 100) return value / 100;
  throw new InvalidFlag(`${flag} ${text} is not a percentage from 0% to 100%. For example: ${flag} 3%`);
}

function duration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(s|m|h)?$/.exec(text.trim());
  const value = Number(match?.[1]) * { s: 1_000, m: 60_000, h: 3_600_000 }[match?.[2] ?? 's']!;
  if (match && value > 0) return value;
  throw new InvalidFlag(`--duration ${text} is not a time. For example: --duration 60s, 5m or 1h`);
}
