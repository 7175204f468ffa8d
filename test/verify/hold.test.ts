import { describe, expect, test } from 'vitest';
import { Context } from '@temporalio/activity';
import { PipelineHold, type HoldState } from '../../activities/pipeline-hold.ts';
import { NotComparable } from '../../connectors/verification/not-comparable.ts';
import { services } from '../embedded/services.ts';
import { RunningPipeline, Stage, at, laneState, lanes, waited } from '../orchestration/stage.ts';

/** A stream that runs as long as its capture does; lanes follow it at once. */
class FlowingStage extends Stage {
  readonly fences = new Map<string, string>();
  /** A lane that does not get on. */
  stuck: string | undefined;
  override step: Stage['step'] = async ({ until }, part) => {
    const { cancellationSignal } = Context.current();
    while (!cancellationSignal.aborted) {
      if (part === 'capture') this.lsn++;
      else if (part !== this.stuck) this.fences.set(part, until !== undefined && at(this.lsn) > until && (this.fences.get(part) ?? '') <= until ? until : at(this.lsn));
      const fence = this.fences.get(part) ?? at(this.lsn);
      if (until !== undefined && fence >= until) return { ended: fence === until ? 'held' : 'past', fence, segments: 1, events: 1 };
      await waited(5, cancellationSignal);
    }
    return { ended: 'asked', fence: this.fences.get(part) ?? at(this.lsn), segments: 1, events: 1 };
  };
}

async function open(reachMs = 20_000) {
  const stage = new FlowingStage();
  const running = await RunningPipeline.start(stage, services().temporalAddress);
  await running.until(({ state }) => state === 'running');
  const state: HoldState = { stopped: false, held: false };
  const hold = new PipelineHold(running.client, { pipeline: stage.name, times: { reachMs, longestMs: 60_000 }, state, signal: new AbortController().signal });
  return { stage, running, hold, state, [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() };
}

describe('holding a pipeline that streams', () => {
  test('E17: every lane stops at exactly the position, which is chosen after what they all have, and the capture goes on', async () => {
    await using place = await open();
    const { stage, running, hold, state } = place;
    await hold.stop();
    const chosen = at(stage.lsn + 3);
    await hold.at(chosen);
    for (const { name } of lanes) expect(stage.fences.get(name)).toBe(chosen);
    const captured = stage.lsn;
    await running.until(() => stage.lsn > captured + 10);
    for (const { name } of lanes) expect(stage.fences.get(name)).toBe(chosen);
    await hold.release();
    await running.until(() => lanes.every(({ name }) => stage.fences.get(name)! > chosen));
    expect(state).toEqual({ stopped: false, held: false });
  });

  test('a lane that does not get there in time is named, and the others are let go', async () => {
    await using place = await open(2_000);
    const { stage, running, hold } = place;
    stage.stuck = 'enriched';
    stage.fences.set('enriched', at(1));
    await hold.stop();
    await expect(hold.at(at(stage.lsn + 3))).rejects.toThrow(/^Not every lane of \S+ could be held at \S+ within 2 s \(enriched: it was not there when the hold was released\)/);
    await hold.release();
    await running.until((status) => laneState(status, 'aggregate') === 'running' && status.capture.state === 'running');
  });

  test('a pipeline that is paused, or has a lane that is, cannot be compared', async () => {
    await using place = await open();
    const { running, hold } = place;
    await running.handle.signal('pauseLane', 'enriched');
    await running.until((status) => laneState(status, 'enriched') === 'paused');
    await expect(hold.stop()).rejects.toThrow(/^Lane enriched of \S+ is paused. Type .\/sluice resume/);
    await running.handle.signal('pause');
    await running.until(({ state }) => state === 'paused');
    await expect(hold.stop()).rejects.toThrow(NotComparable);
    expect(place.state.stopped).toBe(false);
  });

  test('lanes that a drain, or a resume, let go before everything was compared are not compared', async () => {
    await using place = await open();
    const { stage, running, hold } = place;
    for (const letGo of [() => running.handle.signal('resume'), () => running.handle.executeUpdate('drain')]) {
      await running.handle.signal('resume');
      await running.until(({ state, capture, lanes: now }) => [state, capture.state, ...now.map((lane) => lane.state)].every((each) => each === 'running'));
      await hold.stop();
      await hold.at(at(stage.lsn + 3));
      await hold.kept();
      await letGo();
      await expect(hold.kept()).rejects.toThrow(/^Lane \S+ of \S+ was let go before everything was compared: somebody paused, resumed or drained.*Run verify again/);
      await hold.release();
    }
  });

  test('another hold is left alone', async () => {
    await using place = await open();
    const { stage, running, hold } = place;
    const other = new PipelineHold(running.client, { pipeline: stage.name, times: { reachMs: 20_000, longestMs: 60_000 }, state: { stopped: false, held: false }, signal: new AbortController().signal });
    await hold.stop();
    const chosen = at(stage.lsn + 3);
    await hold.at(chosen);
    await expect(other.stop()).rejects.toThrow(/^Lane aggregate of \S+ is held, as by another verify: run this one again/);
    await other.release();
    expect(stage.fences.get('enriched')).toBe(chosen);
    await hold.release();
  });
});
