import { defineCommand } from 'citty';
import { pipelines } from '../client/pipelines.ts';
import { ReconcileFailed, runReconcile } from '../client/reconciliations.ts';
import { reconcileRequest } from '../core/reconcile.ts';
import { reconcileText } from '../core/reconcile-report.ts';
import { dataArg, instanceConfig } from './instance.ts';
import { pipelineArg, pipelineName } from './pipeline-name.ts';
import { parseTime } from './time.ts';

export default defineCommand({
  meta: {
    name: 'reconcile',
    description: 'Compare closed windows of every sink with the source, while the stream goes on; exit code 0 equal or repaired, 1 different, 2 not all could be compared',
  },
  args: {
    name: pipelineArg,
    from: { type: 'string', valueHint: 'TIME', description: '2026-11-01, 2026-11-01T10:30 (UTC), or 90m for so long ago; without a range the last two hours (twice settings.reconcileEveryMs), or half of that if the event time has no index' },
    to: { type: 'string', valueHint: 'TIME', description: 'Likewise; windows must have closed by then' },
    repair: { type: 'boolean', description: 'Compute, say or make anew what differs, and compare it again' },
    json: { type: 'boolean', description: 'As JSON' },
    ...dataArg,
  },
  async run({ args }) {
    const name = pipelineName('reconcile', args.name);
    const nowMs = Date.now();
    const time = (option: 'from' | 'to') => (args[option] === undefined ? undefined : parseTime(`--${option}`, args[option], nowMs));
    const request = reconcileRequest(pipelines[name]!, { fromMs: time('from'), toMs: time('to'), repair: args.repair }, nowMs);
    try {
      const report = await runReconcile(instanceConfig(args), request, ({ workflowId, workflowUrl }) => console.error(`comparing; see ${workflowUrl ?? workflowId}`));
      console.log(args.json ? JSON.stringify(report, undefined, 2) : reconcileText(report));
      process.exitCode = { equal: 0, repaired: 0, different: 1, incomplete: 2 }[report.state];
    } catch (error) {
      if (!(error instanceof ReconcileFailed)) throw error;
      console.error(error.message);
      process.exitCode = 2;
    }
  },
});
