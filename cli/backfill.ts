import { defineCommand } from 'citty';
import { BackfillFailed, followBackfill, listBackfills, signalBackfill, startBackfill, type ListedBackfill } from '../client/backfills.ts';
import { pipelines } from '../client/pipelines.ts';
import { backfillRequest, planText, progressText, rangeText, type BackfillRequest, type BackfillStatus } from '../core/backfill.ts';
import { BadInput } from '../core/bad-input.ts';
import type { Config } from '../core/config.ts';
import { dataArg, instanceConfig } from './instance.ts';
import { pipelineName } from './pipeline-name.ts';
import { parseTime } from './time.ts';

const verbs = ['list', 'pause', 'resume', 'cancel'] as const;
type Verb = (typeof verbs)[number];

export default defineCommand({
  meta: {
    name: 'backfill',
    description: 'Compute the windows of a time anew from the source, while the stream goes on: backfill NAME --from --to; also backfill list|pause|resume|cancel NAME. Exit code 0 done, 1 failed or cancelled, 2 refused',
  },
  args: {
    which: { type: 'positional', description: 'A pipeline, or list, pause, resume or cancel', required: false },
    name: { type: 'positional', description: 'After these, the pipeline', required: false },
    from: { type: 'string', valueHint: 'TIME', description: '2026-11-01, 2026-11-01T10:30 (UTC), or 90m for so long ago' },
    to: { type: 'string', valueHint: 'TIME', description: 'Likewise; windows must have closed by then' },
    views: { type: 'string', valueHint: 'a,b', description: 'Only these views, and no rows unless --sinks names some' },
    sinks: { type: 'string', valueHint: 'x,y', description: 'Only the rows of these destinations, and no windows unless --views names some' },
    'chunk-rows': { type: 'string', valueHint: 'N', description: 'About so many rows are read in one transaction of the source (100000)' },
    speed: { type: 'string', valueHint: 'ROWS/S', description: 'At most so many rows are read a second' },
    'dry-run': { type: 'boolean', description: 'Only say which windows and how many rows' },
    detach: { type: 'boolean', description: 'Do not wait for its end' },
    wait: { type: 'boolean', description: 'With list: until all that run have ended' },
    json: { type: 'boolean', description: 'As JSON' },
    ...dataArg,
  },
  async run({ args }) {
    const verb = verbs.find((each) => each === args.which);
    if (!verb && args.name !== undefined) throw new BadInput(`backfill ${args.which} ${args.name}? Type ./sluice backfill ${args.which} --from … --to …, or ${verbs.map((each) => `backfill ${each} ${args.name}`).join(', ')}.`);
    const name = verb ? pipelineName(`backfill ${verb}`, args.name) : pipelineName('backfill', args.which, ' --from 3h --to 1h');
    if (verb === 'list') return list(instanceConfig(args), name, args);
    if (verb) return signal(instanceConfig(args), name, verb);
    const request = requestOf(name, args);
    const config = instanceConfig(args);
    try {
      const { workflowId, workflowUrl } = await startBackfill(config, request);
      if (args.detach && !request.dryRun) return console.log(args.json ? JSON.stringify({ workflowId, workflowUrl }) : `started; see ./sluice backfill list ${name}, or ${workflowUrl ?? workflowId}`);
      await follow(config, request, workflowId, workflowUrl, args.json ?? false);
    } catch (error) {
      if (!(error instanceof BackfillFailed)) throw error;
      console.error(error.message);
      process.exitCode = 2;
    }
  },
});

type Given = Readonly<Partial<Record<'from' | 'to' | 'views' | 'sinks' | 'chunk-rows' | 'speed', string | undefined>>> & { readonly 'dry-run'?: boolean | undefined };

function requestOf(pipeline: string, args: Given): BackfillRequest {
  const nowMs = Date.now();
  const choice = {
    fromMs: parseTime('--from', args.from, nowMs),
    toMs: parseTime('--to', args.to, nowMs),
    views: args.views?.split(','),
    sinks: args.sinks?.split(','),
    chunkRows: args['chunk-rows'] === undefined ? undefined : whole('--chunk-rows', args['chunk-rows']),
    rowsPerSecond: args.speed === undefined ? undefined : whole('--speed', args.speed),
  };
  return { ...backfillRequest(pipelines[pipeline]!, choice, nowMs), ...(args['dry-run'] ? { dryRun: true } : {}) };
}

function whole(option: string, text: string): number {
  const value = Number(text.replaceAll(/[_,]/g, ''));
  if (text.trim() !== '' && Number.isInteger(value) && value > 0) return value;
  throw new BadInput(`${option} ${text} is not a whole number of rows above 0. For example: ${option} 100000`);
}

/** Ctrl-C stops looking, not the backfill. */
async function follow(config: Config, request: BackfillRequest, workflowId: string, url: string | null, json: boolean): Promise<void> {
  const left = new AbortController();
  for (const each of ['SIGINT', 'SIGTERM'] as const) process.once(each, () => left.abort());
  let hasPlan = false;
  let told = '';
  const status = await followBackfill(
    config,
    workflowId,
    ({ plan, progress, state, started }) => {
      if (plan && !hasPlan && !json) console.error(`${planText(plan)}${request.dryRun ? '' : `\nsee ${url ?? workflowId}`}`);
      hasPlan ||= plan !== null;
      // one that waits says so once
      const now = JSON.stringify([state, progress]);
      if (progress && state !== 'done' && !json && now !== told) console.error(`${state}: ${progressText(progress, state, Date.now() - Date.parse(started))}`);
      told = now;
    },
    left.signal,
  );
  if (json) console.log(JSON.stringify(status, undefined, 2));
  else if (!request.dryRun) console.log(left.signal.aborted ? `It goes on without this command: ./sluice backfill list ${request.pipeline}; to end it: ./sluice backfill cancel ${request.pipeline}` : statusText(status));
  if (status.state === 'cancelled' || status.state === 'failed') process.exitCode = 1;
}

async function list(config: Config, name: string, { json, wait }: { readonly json?: boolean | undefined; readonly wait?: boolean | undefined }): Promise<void> {
  const found = await listBackfills(config, name);
  if (wait) {
    for (const { workflowId, status } of found) if (isGoingOn(status)) await followBackfill(config, workflowId, () => {});
    return list(config, name, { json });
  }
  if (json) console.log(JSON.stringify(found, undefined, 2));
  else console.log(found.length === 0 ? `${name}: no backfills` : found.map(listedText).join('\n'));
}

/** All that go on. */
async function signal(config: Config, name: string, verb: Exclude<Verb, 'list'>): Promise<void> {
  const running = (await listBackfills(config, name)).filter(({ status }) => isGoingOn(status));
  if (running.length === 0) throw new BadInput(`No backfill of ${name} is going on. See: ./sluice backfill list ${name}`);
  for (const { workflowId } of running) await signalBackfill(config, workflowId, verb);
  console.log(`${verb} was sent to ${running.map(({ workflowId }) => workflowId).join(', ')}`);
}

function isGoingOn({ state }: BackfillStatus): boolean {
  return state === 'running' || state === 'paused';
}

function listedText({ workflowId, status }: ListedBackfill): string {
  return `${workflowId.split('/').slice(2).join('/')}  ${statusText(status)}`;
}

function statusText({ state, progress, error, started, fromMs, toMs, views, sinks }: BackfillStatus): string {
  const far = progress && state !== 'done' ? `: ${progressText(progress, state, Date.now() - Date.parse(started))}` : '';
  return `${state}${far}; ${[...views, ...sinks].join(', ')} of ${rangeText(fromMs, toMs)}${progress && state === 'done' ? `; ${progress.rows.toLocaleString('en')} rows read` : ''}${error === null ? '' : `: ${error}`}`;
}
