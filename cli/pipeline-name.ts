import { assertPipeline, pipelines } from '../client/pipelines.ts';
import { BadInput } from '../core/bad-input.ts';

/** Not required by the option parser, whose sentence would name no pipeline. */
export const pipelineArg = { type: 'positional', description: 'The pipeline', required: false } as const;

/** Throws with what there is, before an instance is looked for. `rest`: what the command needs besides. */
export function pipelineName(command: string, given: string | undefined, rest = ''): string {
  const names = Object.keys(pipelines);
  if (given === undefined) throw new BadInput(`Which pipeline? ${names.join(', ')}. For example: ./sluice ${command} ${names[0]}${rest}`);
  assertPipeline(given);
  return given;
}
