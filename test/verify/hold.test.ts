import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { Context } from '@temporalio/activity';
import { PipelineHold } from '../../activities/pipeline-hold.ts';
import { NotComparable } from '../../connectors/verification/not-comparable.ts';
import { services } from '../embedded/services.ts';
import { RunningPipeline, Stage, at, laneState, lanes, waited } from '../orchestration/stage.ts';

/** A stream that runs as long as its capture does; lanes follow it at once. */
class FlowingStage extends Stage {
  readonly fences = new Map<string, string>();
  /** A lane that does not get on. */
  stuck: string | undefined;
  /** Its capture does not stop before. */
  captureEnds = async () => {};
  override step: Stage['step'] = async ({ until }, part) => {
    const { cancellationSignal } = Context.current();
    while (!cancellationSignal.aborted) {
      if (part === 'capture') this.lsn++;
      else if (part !== this.stuck) this.fences.set(part, until !== undefined && at(this.lsn) > until && (this.fences.get(part) ?? '') <= until ? until : at(this.lsn));
      const fence = this.fences.get(part) ?? at(this.lsn);
      if (until !== undefined && fence >= until) return { ended: fence === until ? 'held' : 'past', fence, segments: 1, events: 1 };
      await waited(5, cancellationSignal);
    }
    if (part === 'capture') await this.captureEnds();
    return { ended: 'asked', fence: this.fences.get(part) ?? at(this.lsn), segments: 1, events: 1 };
  };
}

async function open({ reachMs = 20_000, longestMs = 60_000 } = {}) {
  const stage = new FlowingStage();
  const running = await RunningPipeline.start(stage, services().temporalAddress);
  await running.until(({ state }) => state === 'running');
  const comparison = new AbortController();
  const another = () => new PipelineHold(running.client, { pipeline: stage.name, times: { reachMs, longestMs }, ids: [randomUUID()], signal: comparison.signal });
  return { stage, running, comparison, hold: another(), another, [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() };
}

describe('holding a pipeline that streams', () => {
  test('a capture that was stopped goes on in time, though nobody is left to say so', async () => {
    await using place = await open({ longestMs: 1_500 });
    const { stage, running, hold } = place;
    await hold.stop();
    expect((await running.status()).capture.state).toBe('held');
    const captured = stage.lsn;
    await running.until(({ capture }) => capture.state === 'running' && stage.lsn > captured);
    expect(hold.isLetGo).toBe(false);
  });

  test.each(['late', 'cancelled'])('a capture that does not stop is let go when it is %s', async (why) => {
    await using place = await open({ reachMs: why === 'late' ? 500 : 20_000 });
    const { stage, running, comparison, hold } = place;
    const slow = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    stage.captureEnds = () => {
      asked.resolve();
      return slow.promise;
    };
    const stopped = hold.stop();
    if (why === 'cancelled') void asked.promise.then(() => comparison.abort());
    await expect(stopped).rejects.toThrow(/^Pipeline \S+ refused to be held: the capture of \S+ was let go before it had stopped\. See .\/sluice status, and run verify again later\.$/);
    expect((await running.status()).capture.state).toBe('running');
    slow.resolve();
    await hold.release();
    const captured = stage.lsn;
    await running.until(({ capture }) => capture.state === 'running' && stage.lsn > captured);
  });

  test('whoever resumes the capture by name lets it go, and the comparison says that lanes are past the snapshot', async () => {
    await using place = await open();
    const { stage, running, hold } = place;
    await hold.stop();
    const chosen = at(stage.lsn);
    await running.handle.signal('resumeLane', 'capture');
    await running.until(() => lanes.every(({ name }) => stage.fences.get(name)! > chosen));
    await expect(hold.at(chosen)).rejects.toThrow(/it is already past it/);
    await hold.release();
  });

  test('E17: every lane stops at exactly the position, which is chosen after what they all have, and the capture goes on', async () => {
    await using place = await open();
    const { stage, running, hold } = place;
    await hold.stop();
    const chosen = at(stage.lsn + 3);
    await hold.at(chosen);
    for (const { name } of lanes) expect(stage.fences.get(name)).toBe(chosen);
    const captured = stage.lsn;
    await running.until(() => stage.lsn > captured + 10);
    for (const { name } of lanes) expect(stage.fences.get(name)).toBe(chosen);
    await hold.release();
    await running.until(() => lanes.every(({ name }) => stage.fences.get(name)! > chosen));
    expect(hold.isLetGo).toBe(true);
  });

  test('a lane that does not get there in time is named, and the others are let go', async () => {
    await using place = await open({ reachMs: 2_000 });
    const { stage, running, hold } = place;
    stage.stuck = 'enriched';
    stage.fences.set('enriched', at(1));
    await hold.stop();
    await expect(hold.at(at(stage.lsn + 3))).rejects.toThrow(/^Not every lane of \S+ could be held at \S+ within 2 s, or at all \(enriched: it was not there when the hold was released\)/);
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
    expect(hold.isLetGo).toBe(true);
  });

  test('lanes that a drain, or a resume, let go before everything was compared are not compared', async () => {
    await using place = await open();
    const { stage, running } = place;
    for (const letGo of [() => running.handle.signal('resume'), () => running.handle.executeUpdate('drain')]) {
      await running.handle.signal('resume');
      await running.until(({ state, capture, lanes: now }) => [state, capture.state, ...now.map((lane) => lane.state)].every((each) => each === 'running'));
      const hold = place.another();
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
    const { stage, hold } = place;
    const other = place.another();
    await hold.stop();
    await expect(other.stop()).rejects.toThrow(/^The capture of \S+ is held, as by another verify: run this one again/);
    const chosen = at(stage.lsn + 3);
    await hold.at(chosen);
    await expect(other.stop()).rejects.toThrow(/^Lane aggregate of \S+ is held, as by another verify: run this one again/);
    await other.release();
    expect(stage.fences.get('enriched')).toBe(chosen);
    await hold.release();
  });
});
