import { defineCommand } from 'citty';
import { followBootstrap, startBootstrap } from '../client/bootstrap.ts';
import { findingLines, needsOtherWorker, type BootstrapRequest, type BootstrapStatus } from '../core/bootstrap.ts';
import type { Config } from '../core/config.ts';
import { typed } from '../infra/supervisor/checkout.ts';
import { restart } from '../infra/supervisor/restart.ts';
import { dataArg, dataDirOf, instanceConfig } from './instance.ts';
import { pipelineArg, pipelineName } from './pipeline-name.ts';

export default defineCommand({
  meta: { name: 'apply', description: 'Let a pipeline run as it is defined: look whether it can, start it or take over what changed, wait until it streams. Exit code 0 it does, 1 it does not, 2 refused' },
  args: {
    name: pipelineArg,
    'dry-run': { type: 'boolean', description: 'Only say what is not as it must be, and what would be done' },
    allow: { type: 'boolean', description: 'What loses results may be done in place, and what cannot be changed in place be dropped, and made from nothing' },
    'keep-results': { type: 'boolean', description: 'Of sinks that end when it is changed in place, what was written stays' },
    detach: { type: 'boolean', description: 'Do not wait for its end' },
    json: { type: 'boolean', description: 'As JSON' },
    ...dataArg,
  },
  async run({ args }) {
    const name = pipelineName('apply', args.name);
    const config = instanceConfig(args);
    const choice = { pipeline: name, ...(args.allow ? { allow: true } : {}), ...(args['keep-results'] ? { keepResults: true } : {}), ...(args['dry-run'] ? { dryRun: true } : {}) };
    if (args.detach) {
      const started = await startBootstrap(config, choice);
      return console.log(args.json ? JSON.stringify(started) : `started; see ./sluice status, or ${started.workflowUrl ?? started.workflowId}`);
    }
    const left = new AbortController();
    for (const each of ['SIGINT', 'SIGTERM'] as const) process.once(each, () => left.abort());
    const tell = (line: string) => {
      if (!args.json) console.error(line);
    };
    let status = await applied(config, choice, tell, left.signal);
    if (needsOtherWorker(status)) {
      tell(`${status.error}\nIt starts anew…`);
      await restart(dataDirOf(args), ['worker', 'api'], tell);
      status = await applied(config, choice, tell, left.signal);
    }
    if (args.json) console.log(JSON.stringify(status, undefined, 2));
    else console.log(endText(status, (command) => typed(command, dataDirOf(args))));
    process.exitCode = status.state === 'done' || left.signal.aborted ? 0 : 1;
  },
});

/** Ctrl-C stops looking, not what was begun. */
async function applied(config: Config, choice: Omit<BootstrapRequest, 'written'>, tell: (line: string) => void, signal: AbortSignal): Promise<BootstrapStatus> {
  const { workflowId, workflowUrl } = await startBootstrap(config, choice);
  tell(`applying ${choice.pipeline}; see ${workflowUrl ?? workflowId}`);
  const told = new Set<string>();
  const once = (line: string) => {
    if (!told.has(line)) tell(line);
    told.add(line);
  };
  return followBootstrap(
    config,
    workflowId,
    ({ state, said, findings, phase }) => {
      for (const sentence of said) once(`  ${sentence}`);
      for (const finding of findings) if (finding.state === 'warning') for (const line of findingLines(finding)) once(`  warning${line}`);
      if (state === 'running') once(`  … ${phase}`);
    },
    signal,
  );
}

function endText({ pipeline, state, dryRun, error }: BootstrapStatus, command: (words: string) => string): string {
  if (state === 'running') return `It goes on without this command: ${command('status')}`;
  if (state !== 'done') return error ?? `It was ${state}.`;
  return dryRun ? `Nothing was changed. Do it with: ${command(`apply ${pipeline}`)}` : `See how it goes with ${command('status')}, and whether everything is equal with ${command(`verify ${pipeline}`)}.`;
}
