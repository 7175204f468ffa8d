import { parseArgs, type ParseArgsConfig } from 'node:util';
import { pipelines } from '../client/pipelines.ts';
import { BadInput } from '../core/bad-input.ts';
import './laboratory/pipeline.ts';
import type { Fault } from './fault.ts';

export type ChaosOptions = {
  readonly seed: number;
  readonly minutes: number;
  readonly pipeline: string;
  /** Only these, once each in this order, those with + between them at once; none: drawn from the seed. */
  readonly faults: readonly string[];
  readonly json: boolean;
  readonly list: boolean;
  readonly portBase: number;
};

/** Throws BadInput with what to type. */
export function parseChaosOptions(args: readonly string[], faults: readonly Fault[], randomSeed: number): ChaosOptions {
  const values = flags('chaos', args, {
    seed: { type: 'string' },
    minutes: { type: 'string', default: '5' },
    pipeline: { type: 'string', default: 'engagement' },
    fault: { type: 'string', multiple: true, default: [] },
    json: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    'port-base': { type: 'string', default: '7700' },
  });
  const { pipeline } = values;
  if (!Object.hasOwn(pipelines, pipeline)) throw new BadInput(`There is no pipeline ${pipeline}. There is: ${Object.keys(pipelines).join(', ')}`);
  for (const name of values.fault.flatMap((given) => given.split('+'))) {
    if (!faults.some((fault) => fault.name === name)) throw new BadInput(`There is no fault ${name}. See all of them with: ./sluice chaos --list`);
  }
  return {
    seed: values.seed === undefined ? randomSeed : amount('--seed', values.seed, { least: 0, most: 0xffff_ffff, example: '7' }),
    minutes: amount('--minutes', values.minutes, { least: 0.1, most: 24 * 60, example: '5', whole: false }),
    pipeline,
    faults: values.fault,
    json: values.json,
    list: values.list,
    portBase: amount('--port-base', values['port-base'], portBases),
  };
}

/** Throws BadInput with what to type. */
export function flags<Options extends NonNullable<ParseArgsConfig['options']>>(command: string, args: readonly string[], options: Options) {
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    throw new BadInput(`${(error as Error).message} See ./sluice ${command} --help`);
  }
}

export type Amount = { readonly least: number; readonly most: number; readonly example: string; readonly command?: string; readonly whole?: boolean };

export const portBases = { least: 1_024, most: 65_000, example: '7700' };

/** Throws BadInput with what to type. */
export function amount(option: string, text: string, { least, most, example, command = 'chaos', whole = true }: Amount): number {
  const value = Number(text);
  if (text.trim() !== '' && (!whole || Number.isInteger(value)) && value >= least && value <= most) return value;
  throw new BadInput(`${option} ${text} is not a ${whole ? 'whole ' : ''}number from ${least} to ${most}. For example: ./sluice ${command} ${option} ${example}`);
}
