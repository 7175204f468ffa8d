import { defineCommand } from 'citty';
import { followDestroy, startDestroy } from '../client/destroy.ts';
import { pipelines } from '../client/pipelines.ts';
import { BadInput } from '../core/bad-input.ts';
import type { Config } from '../core/config.ts';
import { nameProblems } from '../core/define/invalid-pipeline.ts';
import { destroyedText, hasNothing, planText, type DestroyRequest, type DestroyStatus } from '../core/destroy.ts';
import { typedName } from './ask.ts';
import { dataArg, instanceConfig } from './instance.ts';
import { pipelineArg } from './pipeline-name.ts';

export default defineCommand({
  meta: { name: 'destroy', description: 'End a pipeline, and drop all that it has made: slot, publication, results, state, spool. Shows it first. Exit code 0 all is gone, 1 something is left, 2 refused' },
  args: {
    name: pipelineArg,
    yes: { type: 'boolean', description: 'Do not ask for its name' },
    'keep-results': { type: 'boolean', description: 'Result tables, ClickHouse tables and Redis keys stay; a later apply brings them up to date' },
    'dry-run': { type: 'boolean', description: 'Only show what would be dropped' },
    json: { type: 'boolean', description: 'As JSON' },
    ...dataArg,
  },
  async run({ args }) {
    const pipeline = destroyName(args.name);
    const config = instanceConfig(args);
    const request = { pipeline, keepResults: args['keep-results'] ?? false };
    const left = new AbortController();
    const planned = await ended(config, { ...request, dryRun: true }, () => {}, left.signal);
    const isOver = planned.plan === null || hasNothing(planned.plan);
    if (args['dry-run'] || isOver) return show(args.json ?? false, planned, planned.plan ? planText(pipeline, planned.plan) : (planned.error ?? ''));
    if (!args.json) console.error(planText(pipeline, planned.plan!));
    if (!args.yes) await typedName(pipeline, `./sluice destroy ${pipeline} --yes`);
    for (const each of ['SIGINT', 'SIGTERM'] as const) process.once(each, () => left.abort());
    const told = new Set<string>();
    const status = await ended(
      config,
      request,
      ({ phase, state }) => {
        if (!args.json && state === 'running' && !told.has(phase)) console.error(`… ${phase}`);
        told.add(phase);
      },
      left.signal,
    );
    show(args.json ?? false, status, left.signal.aborted ? `It goes on without this command, by the workflow destroy/${pipeline}.` : destroyedText(status));
  },
});

/** Also one that pipelines/index.ts does not list any more: its workers know what was loaded. */
function destroyName(given: string | undefined): string {
  const names = Object.keys(pipelines);
  if (given === undefined) throw new BadInput(`Which pipeline? ${names.join(', ')}. For example: ./sluice destroy ${names[0]} --dry-run`);
  const [problem] = nameProblems('pipeline', [given]);
  if (problem !== undefined) throw new BadInput(`${problem}. The pipelines are ${names.join(', ')}.`);
  return given;
}

async function ended(config: Config, request: DestroyRequest, onStatus: (status: DestroyStatus) => void, signal: AbortSignal): Promise<DestroyStatus> {
  const { workflowId, workflowUrl } = await startDestroy(config, request);
  if (!request.dryRun) console.error(`see ${workflowUrl ?? workflowId}`);
  return followDestroy(config, workflowId, onStatus, signal);
}

function show(json: boolean, status: DestroyStatus, text: string): void {
  if (json) console.log(JSON.stringify(status, undefined, 2));
  else console.log(text);
  // refused: nothing was done
  process.exitCode = status.state === 'failed' && status.dropped.length === 0 ? 2 : status.state === 'done' || status.state === 'running' ? 0 : 1;
}
