import { describe, expect, test } from 'vitest';
import { Proxy } from '../../chaos/proxy.ts';
import { services } from '../embedded/services.ts';
import type { HoldReport } from '../../workflows/messages.ts';
import { at, laneState, refused, RunningPipeline, Stage } from './stage.ts';

/** Its worker reaches Temporal by way of a proxy: what is asked while that is down, a worker hears of in one task. */
async function behindProxy(stage: Stage, stack: AsyncDisposableStack): Promise<{ pipeline: RunningPipeline; way: Proxy }> {
  const [host, port] = services().temporalAddress.split(':') as [string, string];
  const way = await Proxy.listen(0, { host, port: Number(port) });
  stack.defer(() => way.close());
  return { way, pipeline: stack.use(await RunningPipeline.start(stage, services().temporalAddress, {}, `127.0.0.1:${way.port}`)) };
}

describe('what is asked while the same is at work', () => {
  test('a reload waits for another one that gets no answer yet, and has the newest settings', async () => {
    const stage = new Stage();
    await using pipeline = await RunningPipeline.start(stage, services().temporalAddress);
    await pipeline.until(() => stage.running.size === 4);
    const gate = Promise.withResolvers<void>();
    stage.answered = () => gate.promise;
    const first = await pipeline.handle.startUpdate('reload', { waitForStage: 'ACCEPTED' });
    await pipeline.until(() => stage.asked === 2);
    const second = await pipeline.handle.startUpdate('reload', { waitForStage: 'ACCEPTED' });
    expect((await pipeline.status()).state).toBe('running');
    expect(stage.asked).toBe(2);
    gate.resolve();
    expect(await Promise.all([first.result(), second.result()])).toEqual([{ definitionHash: 'first' }, { definitionHash: 'first' }]);
    expect(stage.asked).toBe(3);
  });

  test('so does one that comes before it is known what the pipeline is', async () => {
    const stage = new Stage();
    const gate = Promise.withResolvers<void>();
    stage.answered = () => gate.promise;
    await using pipeline = await RunningPipeline.start(stage, services().temporalAddress);
    await pipeline.until(() => stage.asked === 1);
    const reload = await pipeline.handle.startUpdate('reload', { waitForStage: 'ACCEPTED' });
    gate.resolve();
    await reload.result();
    await pipeline.until(({ state }) => state === 'running' && stage.running.size === 4);
    expect(stage.asked).toBe(2);
  });

  test.each(['resume', 'resumeLane'])('a %s while the step runs that is then refused is not lost: it is tried once more', async (signal) => {
    const stage = new Stage();
    const gates = [0, 1].map(() => Promise.withResolvers<void>());
    let tries = 0;
    stage.step = async (input, part) => {
      if (part !== 'enriched') return stage.plainStep(input, part);
      await gates[tries++]?.promise;
      throw refused('the table engagement_enriched was dropped. Type: ...');
    };
    await using pipeline = await RunningPipeline.start(stage, services().temporalAddress);
    await pipeline.until(() => tries === 1);
    await pipeline.handle.signal(signal, 'enriched');
    gates[0]!.resolve();
    await pipeline.until(() => tries === 2);
    expect(laneState(await pipeline.status(), 'enriched')).toBe('running');
    gates[1]!.resolve();
    await pipeline.until((status) => laneState(status, 'enriched') === 'parked');
    expect(tries).toBe(2);
  });

  test('a pause after a resume pauses, though the workflow hears of both at once', async () => {
    const stage = new Stage();
    await using stack = new AsyncDisposableStack();
    const { pipeline, way } = await behindProxy(stage, stack);
    await pipeline.until(() => stage.running.size === 4);
    await pipeline.handle.signal('pause');
    await pipeline.until(({ state }) => state === 'paused' && stage.running.size === 0);
    const begun = stage.began.length;
    way.down();
    await pipeline.handle.signal('resume');
    await pipeline.handle.signal('pause');
    way.set({ tag: 'pass' });
    // what it hears of after both
    await pipeline.handle.executeUpdate('reload');
    expect((await pipeline.status()).state).toBe('paused');
    expect(stage.began.slice(begun)).toEqual([]);
    await pipeline.handle.signal('resume');
    await pipeline.until(({ state }) => state === 'running' && stage.running.size === 4);
  });

  test('a drain after a resume is not ended by the drain before it, though the workflow hears of both at once', async () => {
    const stage = new Stage();
    const slow = Promise.withResolvers<void>();
    let lingers = true;
    stage.step = async (input, part) => {
      const result = await stage.plainStep(input, part);
      if (part !== 'capture') return result;
      if (lingers) await slow.promise;
      return { ...result, fence: at(300) };
    };
    await using stack = new AsyncDisposableStack();
    const { pipeline, way } = await behindProxy(stage, stack);
    await pipeline.until(() => stage.running.size === 4);
    const first = await pipeline.handle.startUpdate<HoldReport, []>('drain', { waitForStage: 'ACCEPTED' });
    await pipeline.until(() => stage.running.size === 1);
    // no worker hears of the one without the other
    way.down();
    // a task that was on its way then is given again after its ten seconds
    const timeoutMs = 20_000;
    await pipeline.handle.signal('resume');
    const second = pipeline.handle.executeUpdate<HoldReport, []>('drain');
    await pipeline.handle.describe();
    way.set({ tag: 'pass' });
    expect((await first.result()).notHeld).toMatchObject({ enriched: 'somebody paused or resumed the pipeline meanwhile' });
    lingers = false;
    slow.resolve();
    await pipeline.until(() => stage.began.filter(({ until }) => until === at(300)).length === 3, timeoutMs);
    stage.lsn = 300;
    expect(await second).toEqual({ position: at(300), held: { aggregate: at(300), enriched: at(300), board: at(300) }, notHeld: {} });
    await pipeline.until(({ state }) => state === 'paused', timeoutMs);
    // it did hear of both in one task: else the first drain would have ended before the second began
    const events = (await pipeline.handle.fetchHistory()).events!;
    const resumed = events.findIndex((event) => event.workflowExecutionSignaledEventAttributes?.signalName === 'resume');
    const accepted = events.findLastIndex((event) => event.workflowExecutionUpdateAcceptedEventAttributes);
    expect(events.slice(resumed, accepted).filter((event) => event.workflowTaskCompletedEventAttributes)).toHaveLength(1);
  });
});
