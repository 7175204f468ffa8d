import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { temporal } from '../../infra/embedded/temporal.ts';
import { checkout } from '../../infra/supervisor/checkout.ts';
import { services } from '../embedded/services.ts';
import { RunningPipeline, Stage } from './stage.ts';

/** What an operator types when nothing of Sluice is at hand but the workflow. */
describe('the plain temporal command', () => {
  test('pauses and resumes a pipeline by signals without input, and asks for its status', async () => {
    const program = await temporal.find({ folder: join(checkout, '.sluice', 'parts'), report: () => {}, signal: AbortSignal.timeout(60_000) });
    await using pipeline = await RunningPipeline.start(new Stage(), services().temporalAddress);
    const { workflowId } = pipeline.handle;
    const type = (...args: string[]) => promisify(execFile)(program, [...args, '--address', services().temporalAddress, '--workflow-id', workflowId]);
    await pipeline.until(() => pipeline.stage.running.size === 4);
    await type('workflow', 'signal', '--name', 'pause');
    await pipeline.until(({ state }) => state === 'paused');
    const { stdout } = await type('workflow', 'query', '--name', 'status', '--output', 'json');
    expect(stdout).toContain('paused');
    await type('workflow', 'signal', '--name', 'resume');
    await pipeline.until(({ state }) => state === 'running');
  });
});
