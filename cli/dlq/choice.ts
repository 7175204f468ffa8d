import type { LetterChoice } from '../../client/dead-letters.ts';
import { pipelines } from '../../client/pipelines.ts';
import { BadInput } from '../../core/bad-input.ts';
import { lanesOf } from '../../core/define/lanes.ts';

/** `17` is a letter; a name is a pipeline, or with `--lane` one lane of it. Throws with what there is. */
export function letterChoice(which: string, lane: string | undefined): LetterChoice {
  if (/^\d+$/.test(which)) {
    if (lane !== undefined) throw new BadInput(`${which} is one letter, and needs no --lane`);
    return { id: Number(which) };
  }
  return pipelineChoice(which, lane);
}

export function pipelineChoice(name: string | undefined, lane: string | undefined): LetterChoice {
  if (name === undefined) return { lane };
  const pipeline = Object.hasOwn(pipelines, name) ? pipelines[name] : undefined;
  if (!pipeline) throw new BadInput(`There is no pipeline ${name}. The pipelines are ${Object.keys(pipelines).join(', ')}; a single letter goes by its number, see ./sluice dlq list.`);
  const lanes = lanesOf(pipeline).flatMap((each) => (each.reads === 'segments' ? [each.name] : []));
  if (lane !== undefined && !lanes.includes(lane)) throw new BadInput(`${name} has no lane ${lane} that keeps dead letters. It has ${lanes.join(', ')}.`);
  return { pipeline: name, lane };
}

export function letterId(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new BadInput(`${text} is not the number of a dead letter. See them with ./sluice dlq list.`);
}

export const which = { type: 'positional', description: 'The number of a letter, or a pipeline for all of its letters that wait', required: true } as const;
export const laneArg = { type: 'string', valueHint: 'LANE', description: 'Only the letters of this lane' } as const;
