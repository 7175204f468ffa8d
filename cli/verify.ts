import { defineCommand } from 'citty';
import { pipelines } from '../client/pipelines.ts';
import { explainWindow } from '../client/reconciliations.ts';
import { verifyPipeline } from '../client/verify.ts';
import { BadInput } from '../core/bad-input.ts';
import { explainedText, explainRequest } from '../core/explained-window.ts';
import { verificationText } from '../core/verification.ts';
import { dataArg, instanceConfig } from './instance.ts';
import { pipelineArg, pipelineName } from './pipeline-name.ts';
import { parseTime } from './time.ts';

export default defineCommand({
  meta: { name: 'verify', description: 'Compare every sink of a pipeline with its source; exit code 0 equal, 1 unequal, 2 could not compare' },
  args: {
    name: pipelineArg,
    window: { type: 'string', valueHint: 'TIME', description: 'Hold nothing, and explain one window: the first that ends then or later. 2026-11-01T10:30 (UTC), or 90m for so long ago' },
    view: { type: 'string', valueHint: 'VIEW', description: 'Of which view; the first one by default' },
    json: { type: 'boolean', description: 'As JSON' },
    ...dataArg,
  },
  async run({ args }) {
    const name = pipelineName('verify', args.name);
    if (args.view !== undefined && args.window === undefined) throw new BadInput(`--view is for one window: ./sluice verify ${name} --view ${args.view} --window 10m`);
    if (args.window !== undefined) return explain(name, args.window, args);
    const stopped = new AbortController();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => (console.error('stopping the comparison…'), stopped.abort()));
    try {
      const verification = await verifyPipeline(instanceConfig(args), name, { signal: stopped.signal, onStarted: (workflowId, url) => console.error(`comparing; see ${url ?? workflowId}`) });
      console.log(args.json ? JSON.stringify(verification, undefined, 2) : verificationText(verification));
      process.exitCode = verification.equal ? 0 : 1;
    } catch (error) {
      console.error(process.env['SLUICE_LOG_LEVEL'] === 'debug' ? error : (error as Error).message);
      process.exitCode = 2;
    }
  },
});

type Given = { readonly view?: string | undefined; readonly json?: boolean | undefined; readonly data?: string | undefined };

async function explain(name: string, window: string, args: Given): Promise<void> {
  const nowMs = Date.now();
  const request = explainRequest(pipelines[name]!, parseTime('--window', window, nowMs), args.view, nowMs);
  try {
    const explained = await explainWindow(instanceConfig(args), request, ({ workflowId, workflowUrl }) => console.error(`comparing; see ${workflowUrl ?? workflowId}`));
    console.log(args.json ? JSON.stringify(explained, undefined, 2) : explainedText(explained));
    process.exitCode = explained.compared.some(({ different }) => different > 0) ? 1 : explained.compared.some(({ problem }) => problem !== undefined) ? 2 : 0;
  } catch (error) {
    console.error(process.env['SLUICE_LOG_LEVEL'] === 'debug' ? error : (error as Error).message);
    process.exitCode = 2;
  }
}
