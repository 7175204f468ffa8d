import { describe, expect, test } from 'vitest';
import { services } from '../embedded/services.ts';
import { RunningPipeline, Stage } from './stage.ts';

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
});
