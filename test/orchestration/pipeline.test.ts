import { describe, expect, test } from 'vitest';
import { services } from '../embedded/services.ts';
import type { HoldReport } from '../../workflows/messages.ts';
import { at, laneState, refused, RunningPipeline, Stage, waited } from './stage.ts';

const start = (stage: Stage, options = {}) => RunningPipeline.start(stage, services().temporalAddress, options);
const never = new AbortController().signal;

describe('pause and resume', () => {
  test('I9: a plain signal stops every step within 2 s, and resume starts them again', async () => {
    await using pipeline = await start(new Stage());
    await pipeline.until(() => pipeline.stage.running.size === 4);
    await pipeline.handle.signal('pause');
    expect(await pipeline.until(({ state }) => state === 'paused')).toBeLessThan(2_000);
    expect(pipeline.stage.running.size).toBe(0);
    expect((await pipeline.status()).lanes.map(({ state }) => state)).toEqual(['paused', 'paused', 'paused']);

    const before = pipeline.stage.began.length;
    await pipeline.handle.signal('resume');
    await pipeline.until(({ state }) => state === 'running' && pipeline.stage.running.size === 4);
    expect(pipeline.stage.began.length).toBe(before + 4);
  });

  test('E22: a paused step is not believed to be over before it is', async () => {
    const stage = new Stage();
    const slow = Promise.withResolvers<void>();
    stage.step = async (input, part) => {
      const result = await stage.plainStep(input, part);
      if (part === 'enriched') await slow.promise;
      return result;
    };
    await using pipeline = await start(stage);
    await pipeline.until(() => stage.running.size === 4);
    await pipeline.handle.signal('pause');
    await pipeline.until(() => stage.running.size === 1);
    expect((await pipeline.status()).state).toBe('draining');
    slow.resolve();
    await pipeline.until(({ state }) => state === 'paused');
    expect((await pipeline.status()).lanes[1]?.last?.events).toBe(10);
  });

  test('a paused slot that keeps too much is captured into the spool, alone, until resume', async () => {
    const stage = new Stage();
    await using pipeline = await start(stage, { watchMs: 300 });
    await pipeline.until(() => stage.running.size === 4);
    await pipeline.handle.signal('pause');
    await pipeline.until(({ state }) => state === 'paused' && stage.running.size === 0);
    const looks = stage.looks;
    await pipeline.until(() => stage.looks > looks + 1);
    expect(stage.running.size).toBe(0);
    stage.slotLag = { bytes: 1001, most: 1000 };
    await pipeline.until(({ state, capture }) => state === 'paused' && capture.state === 'running' && stage.running.size === 1);
    expect([...stage.running]).toEqual(['capture']);
    expect((await pipeline.status()).notes.at(-1)).toMatch(/kept 1001 bytes, more than maxSlotLag/);
    expect((await pipeline.status()).lanes.map(({ state }) => state)).toEqual(['paused', 'paused', 'paused']);
    await pipeline.handle.signal('resume');
    await pipeline.until(({ state }) => state === 'running' && stage.running.size === 4);
    stage.slotLag = { bytes: 0, most: 1000 };
    await pipeline.handle.signal('pause');
    await pipeline.until(({ state, capture }) => state === 'paused' && capture.state === 'paused' && stage.running.size === 0);
  });

  test('a lane is paused alone; a lane that does not exist leaves a note', async () => {
    await using pipeline = await start(new Stage());
    await pipeline.until(() => pipeline.stage.running.size === 4);
    await pipeline.handle.signal('pauseLane', 'enriched');
    await pipeline.until((status) => laneState(status, 'enriched') === 'paused');
    expect([...pipeline.stage.running].sort()).toEqual(['aggregate', 'board', 'capture']);
    expect((await pipeline.status()).state).toBe('running');
    await pipeline.handle.signal('pauseLane', 'nowhere');
    await pipeline.until(({ notes }) => notes.some((note) => note.includes('"nowhere"') && note.includes('enriched')));
    await pipeline.handle.signal('resumeLane', 'enriched');
    await pipeline.until(() => pipeline.stage.running.has('enriched'));
  });
});

describe('when something fails', () => {
  test('a lane that needs a person parks alone with its sentence, and resumeLane tries it again', async () => {
    const stage = new Stage();
    let dropped = true;
    stage.step = async (input, part) => {
      if (part === 'enriched' && dropped) throw refused('the table engagement_enriched was dropped. Type: ...');
      return stage.plainStep(input, part);
    };
    await using pipeline = await start(stage);
    await pipeline.until((status) => laneState(status, 'enriched') === 'parked' && stage.running.size === 3);
    const status = await pipeline.status();
    expect(status.state).toBe('running');
    expect(status.lanes[1]?.error).toBe('the table engagement_enriched was dropped. Type: ...');
    dropped = false;
    await pipeline.handle.signal('resumeLane', 'enriched');
    await pipeline.until((now) => laneState(now, 'enriched') === 'running' && stage.running.size === 4);
    expect((await pipeline.status()).lanes[1]?.error).toBeNull();
  });

  test('a transient error is tried again until it passes, without the workflow noticing', async () => {
    const stage = new Stage();
    let failures = 3;
    stage.step = async (input, part) => {
      if (part === 'aggregate' && failures-- > 0) throw new Error('connection refused');
      return stage.plainStep(input, part);
    };
    await using pipeline = await start(stage);
    await pipeline.until(() => stage.running.size === 4);
    expect(stage.began.filter(({ part }) => part === 'aggregate')).toHaveLength(4);
    expect((await pipeline.status()).lanes[0]?.state).toBe('running');
  });

  test('a pipeline whose capture is refused is parked, its lanes go on, and resume tries the capture again', async () => {
    const stage = new Stage();
    let broken = true;
    stage.step = async (input, part) => {
      if (part === 'capture' && broken) throw refused('column title is missing in public.content');
      return stage.plainStep(input, part);
    };
    await using pipeline = await start(stage);
    await pipeline.until(({ state }) => state === 'parked' && stage.running.size === 3);
    expect((await pipeline.status()).error).toBe('column title is missing in public.content');
    broken = false;
    await pipeline.handle.signal('resume');
    await pipeline.until(({ state }) => state === 'running' && stage.running.size === 4);
    expect((await pipeline.status()).error).toBeNull();
  });
});

describe('first load', () => {
  test('it comes before everything else; a pause gives it up and resume begins it anew', async () => {
    const stage = new Stage();
    stage.loaded = false;
    const gate = Promise.withResolvers<void>();
    const { Context } = await import('@temporalio/activity');
    stage.load = async () => {
      const beat = setInterval(() => Context.current().heartbeat(), 100);
      await Promise.race([gate.promise, Context.current().cancelled]).finally(() => clearInterval(beat));
    };
    await using pipeline = await start(stage);
    await pipeline.until(({ state }) => state === 'loading' && stage.loads === 1);
    expect(stage.running.size).toBe(0);
    await pipeline.handle.signal('pause');
    await pipeline.until(({ state }) => state === 'paused');
    gate.resolve();
    await pipeline.handle.signal('resume');
    await pipeline.until(({ state }) => state === 'running' && stage.running.size === 4);
    expect(stage.loads).toBe(2);
    expect((await pipeline.status()).lanes[0]?.fence).toBe(at(100));
  });
});

describe('E21: a fresh run', () => {
  test('takes over when nothing runs, with lanes as they were; no two steps of a part ever overlap', async () => {
    const stage = new Stage();
    stage.stepMs = 500;
    const overlaps: string[] = [];
    const busy = new Set<string>();
    stage.step = async (input, part) => {
      if (busy.has(part)) overlaps.push(part);
      busy.add(part);
      return stage.plainStep(input, part).finally(() => busy.delete(part));
    };
    await using pipeline = await start(stage, { rotateAtEvents: 60 });
    await pipeline.until(() => stage.running.size === 4);
    const first = (await pipeline.handle.describe()).runId;
    await pipeline.handle.signal('pauseLane', 'enriched');
    await pipeline.until((status) => laneState(status, 'enriched') === 'paused');
    const { started } = await pipeline.status();
    for (let tries = 0; (await pipeline.handle.describe()).runId === first; tries++) {
      expect(tries).toBeLessThan(200);
      await waited(50, never);
    }
    await pipeline.until((status) => status.state === 'running' && laneState(status, 'enriched') === 'paused' && stage.running.size === 3);
    expect((await pipeline.status()).started).toBe(started);
    expect(overlaps).toEqual([]);
  });
});

describe('holdAt', () => {
  test('brings every lane to exactly the position, keeps it there, and releases on request', async () => {
    await using pipeline = await start(new Stage());
    const { stage } = pipeline;
    await pipeline.until(() => stage.running.size === 4);
    const held = pipeline.handle.executeUpdate<HoldReport, [object]>('holdAt', { args: [{ position: at(200), timeoutMs: 20_000 }] });
    await pipeline.until(() => stage.began.filter(({ until }) => until === at(200)).length === 3);
    stage.lsn = 200;
    expect(await held).toEqual({ position: at(200), held: { aggregate: at(200), enriched: at(200), board: at(200) }, notHeld: {} });
    expect((await pipeline.status()).lanes.map(({ state }) => state)).toEqual(['held', 'held', 'held']);
    expect([...stage.running]).toEqual(['capture']);
    await pipeline.handle.signal('releaseHold');
    await pipeline.until(() => stage.running.size === 4);
  });

  test('releases by itself when its time is over, and says which lanes were not there', async () => {
    const stage = new Stage();
    stage.step = async (input, part) => {
      if (part === 'board') throw refused('Redis refuses the password');
      return stage.plainStep(input, part);
    };
    await using pipeline = await start(stage);
    await pipeline.until((status) => laneState(status, 'board') === 'parked');
    const report = await pipeline.handle.executeUpdate<HoldReport, [object]>('holdAt', { args: [{ position: at(200), timeoutMs: 1_500 }] });
    expect(report.held).toEqual({});
    expect(report.notHeld).toMatchObject({ board: 'it is parked', enriched: expect.stringContaining('released'), aggregate: expect.stringContaining('released') });
    await pipeline.until((status) => laneState(status, 'enriched') === 'running' && stage.running.size === 3);
  });

  test.each([
    [{ position: 'here', timeoutMs: 1_000 }, 'not a position'],
    [{ position: at(200), timeoutMs: 0 }, 'timeoutMs'],
    [{ position: at(200), timeoutMs: 1_000, lanes: ['nowhere'] }, 'no lane nowhere'],
  ])('refuses %o', async (request, reason) => {
    await using pipeline = await start(new Stage());
    await pipeline.until(() => pipeline.stage.running.size === 4);
    const update = pipeline.handle.executeUpdate('holdAt', { args: [request] });
    await expect(update).rejects.toMatchObject({ cause: { message: expect.stringContaining(reason) } });
  });
});

describe('drain and reload', () => {
  test('drain stops the capture first, then the lanes at its last position', async () => {
    const stage = new Stage();
    stage.step = async (input, part) => {
      const result = await stage.plainStep(input, part);
      return part === 'capture' ? { ...result, fence: at(300) } : result;
    };
    await using pipeline = await start(stage);
    await pipeline.until(() => stage.running.size === 4);
    const drained = pipeline.handle.executeUpdate<HoldReport, []>('drain');
    await pipeline.until(() => stage.began.filter(({ until }) => until === at(300)).length === 3);
    expect(stage.running.has('capture')).toBe(false);
    stage.lsn = 300;
    expect(await drained).toEqual({ position: at(300), held: { aggregate: at(300), enriched: at(300), board: at(300) }, notHeld: {} });
    await pipeline.until(({ state }) => state === 'paused');
    await pipeline.handle.signal('resume');
    await pipeline.until(({ state }) => state === 'running' && stage.running.size === 4);
  });

  test('I9: a drain during a hold ends the hold: its lanes apply what was captured, and nothing is held afterwards', async () => {
    const stage = new Stage();
    stage.step = async (input, part) => ({ ...(await stage.plainStep(input, part)), ...(part === 'capture' ? { fence: at(300) } : {}) });
    stage.lsn = 200;
    await using pipeline = await start(stage);
    await pipeline.until(() => stage.running.size === 4);
    await pipeline.handle.executeUpdate<HoldReport, [object]>('holdAt', { args: [{ position: at(200), timeoutMs: 60_000 }] });
    const drained = pipeline.handle.executeUpdate<HoldReport, []>('drain');
    await pipeline.until(() => stage.began.filter(({ until }) => until === at(300)).length === 3);
    // of whoever had asked for the hold
    await pipeline.handle.signal('releaseHold');
    await pipeline.status();
    stage.lsn = 300;
    expect(await drained).toEqual({ position: at(300), held: { aggregate: at(300), enriched: at(300), board: at(300) }, notHeld: {} });
    await pipeline.until(({ state, lanes }) => state === 'paused' && lanes.every((lane) => lane.state === 'paused'));
    await pipeline.handle.signal('resume');
    await pipeline.until(({ state, lanes }) => state === 'running' && lanes.every((lane) => lane.state === 'running') && stage.running.size === 4);
  });

  test('a lane that an earlier release left held without a hold goes on when it, or the pipeline, is resumed', async () => {
    const stage = new Stage();
    const held = { state: 'held', fence: at(200) } as const;
    await using pipeline = await start(stage, { memory: { state: 'loading', parts: { enriched: held, board: held }, notes: [], startedMs: 0 } });
    await pipeline.until(() => stage.running.size === 2);
    await pipeline.handle.signal('resumeLane', 'enriched');
    await pipeline.until((status) => laneState(status, 'enriched') === 'running' && stage.running.has('enriched'));
    expect(laneState(await pipeline.status(), 'board')).toBe('held');
    await pipeline.handle.signal('resume');
    await pipeline.until((status) => laneState(status, 'board') === 'running' && stage.running.has('board'));
  });

  test('a lane that a hold keeps is not let go by resuming it alone', async () => {
    const stage = new Stage();
    await using pipeline = await start(stage);
    await pipeline.until(() => stage.running.size === 4);
    await pipeline.handle.executeUpdate<HoldReport, [object]>('holdAt', { args: [{ position: at(100), timeoutMs: 60_000 }] });
    await pipeline.handle.signal('resumeLane', 'enriched');
    await pipeline.handle.signal('resumeLane', 'nowhere');
    await pipeline.until(({ notes }) => notes.length > 0);
    expect((await pipeline.status()).lanes.map(({ state }) => state)).toEqual(['held', 'held', 'held']);
    await pipeline.handle.signal('resume');
    await pipeline.until(() => stage.running.size === 4);
  });

  test('reload takes over new settings, and refuses another definition with the reason', async () => {
    await using pipeline = await start(new Stage());
    const { stage } = pipeline;
    await pipeline.until(() => stage.running.size === 4);
    stage.stepMs = 300;
    await pipeline.handle.executeUpdate('reload');
    await pipeline.until(() => stage.began.length > 12);
    stage.definitionHash = 'second';
    await expect(pipeline.handle.executeUpdate('reload')).rejects.toMatchObject({ cause: { message: expect.stringContaining('settings and addresses only') } });
    expect((await pipeline.status()).state).toBe('running');
  });
});
