import { defineCommand } from 'citty';
import { verifyPipeline } from '../client/verify.ts';
import { verificationText } from '../core/verification.ts';
import { dataArg, instanceConfig } from './instance.ts';
import { pipelineArg, pipelineName } from './pipeline-name.ts';

export default defineCommand({
  meta: { name: 'verify', description: 'Compare every sink of a pipeline with its source; exit code 0 equal, 1 unequal, 2 could not compare' },
  args: {
    name: pipelineArg,
    json: { type: 'boolean', description: 'As JSON' },
    ...dataArg,
  },
  async run({ args }) {
    const name = pipelineName('verify', args.name);
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
