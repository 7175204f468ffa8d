import { parseArgs } from 'node:util';
import { BadInput } from '../core/bad-input.ts';
import type { Case } from './case.ts';

export type Options = {
  readonly cases: readonly Case[];
  readonly full: boolean;
  readonly json: boolean;
  readonly rounds: number;
  readonly rows: number;
  readonly portBase: number;
  /** A file for a CPU profile of the worker. */
  readonly profile: string | undefined;
  /** Files of earlier runs, out of which docs/performance.md is made: nothing is measured. */
  readonly document: readonly string[];
};

/** Throws BadInput with what to type. */
export function parseBenchOptions(args: readonly string[], known: readonly Case[]): Options {
  const { values } = parsed(args);
  return {
    cases: values.only === undefined ? known.filter(({ short }) => short || values.full) : chosen(values.only, known),
    full: values.full,
    json: values.json,
    profile: values['cpu-prof'],
    document: values.document?.split(',') ?? [],
    rounds: whole('--rounds', values.rounds, 1, 100),
    rows: whole('--rows', values.rows, 1_000, 100_000_000),
    portBase: whole('--port-base', values['port-base'], 1_024, 65_000),
  };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        full: { type: 'boolean', default: false },
        only: { type: 'string' },
        json: { type: 'boolean', default: false },
        rounds: { type: 'string', default: '5' },
        rows: { type: 'string', default: '1000000' },
        'port-base': { type: 'string', default: '7600' },
        'cpu-prof': { type: 'string' },
        document: { type: 'string' },
      },
    });
  } catch (error) {
    throw new BadInput(`${(error as Error).message} See ./sluice bench --help`);
  }
}

/** In the order in which they always run. */
function chosen(names: string, known: readonly Case[]): readonly Case[] {
  const wanted = names.split(',');
  for (const name of wanted) {
    if (!known.some((each) => each.name === name)) throw new BadInput(`There is no case ${name}. There are: ${known.map((each) => each.name).join(', ')}. For example: ./sluice bench --only ${known[0]!.name}`);
  }
  return known.filter(({ name }) => wanted.includes(name));
}

function whole(option: string, text: string, least: number, most: number): number {
  const value = Number(text.replaceAll(/[_,]/g, ''));
  if (text.trim() !== '' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new BadInput(`${option} ${text} is not a whole number from ${least} to ${most}. For example: ./sluice bench --rounds 5 --rows 1000000`);
}
