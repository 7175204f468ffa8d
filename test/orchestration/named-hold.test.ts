import { describe, expect, test } from 'vitest';
import { PipelineHold } from '../../activities/pipeline-hold.ts';
import { Proxy } from '../../chaos/proxy.ts';
import { services } from '../embedded/services.ts';
import { at, RunningPipeline, Stage, waited } from './stage.ts';

const never = new AbortController().signal;
/** A task that was on its way to a worker that is gone is given again after its ten seconds. */
const againMs = 20_000;

/** A pipeline that goes on, and what compares it, by a way that is not the worker's. */
async function open(options: { rotateAtEvents?: number } = {}) {
  await using stack = new AsyncDisposableStack();
  const [host, port] = services().temporalAddress.split(':') as [string, string];
  const way = await Proxy.listen(0, { host, port: Number(port) });
  stack.defer(() => way.close());
  const stage = new Stage();
  if (options.rotateAtEvents !== undefined) stage.stepMs = 300;
  const pipeline = stack.use(await RunningPipeline.start(stage, services().temporalAddress, options, `127.0.0.1:${way.port}`));
  await pipeline.until(() => stage.running.size === 4);
  const goesOn = () => pipeline.until(({ capture, lanes }) => [capture, ...lanes].every(({ state }) => state === 'running') && stage.running.size === 4, againMs);
  /** The last of the ids is its own, the others are of attempts before it. */
  const hold = (...ids: string[]) => new PipelineHold(pipeline.client, { pipeline: stage.name, times: { reachMs: 30_000, longestMs: 600_000 }, ids, signal: never });
  const update = (name: string, request: object) => pipeline.handle.executeUpdate(name, { args: [{ timeoutMs: 600_000, ...request }] });
  const kept = stack.move();
  return { way, pipeline, stage, goesOn, hold, update, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

const because = (message: RegExp) => ({ cause: { message: expect.stringMatching(message) } });

describe('a workflow hears of a signal before an update of the same task, whichever was sent first', () => {
  test('lanes whose hold was released before the workflow heard of it are not held', async () => {
    await using place = await open();
    const { way, stage, goesOn } = place;
    const hold = place.hold('one/1');
    await hold.stop();
    way.down();
    // the source cannot be read meanwhile
    const held = hold.at(at(stage.lsn)).then(() => 'held', (error: Error) => error.message);
    await hold.release();
    expect(hold.isLetGo).toBe(true);
    way.set({ tag: 'pass' });
    expect(await held).toMatch(/refused to be held: this hold of \S+ was released before it began\. See/);
    await goesOn();
  });

  test('what an attempt asked for that was killed then does not stand in the way of the next one', async () => {
    await using place = await open();
    const { way, update, goesOn } = place;
    way.down();
    const killed = update('stopCapture', { id: 'one/1' }).then(() => 'stopped', (error: Error) => (error.cause as Error).message);
    const next = place.hold('one/1', 'one/2');
    await next.release();
    way.set({ tag: 'pass' });
    expect(await killed).toMatch(/was released before it began/);
    await goesOn();
    await next.stop();
    expect((await place.pipeline.status()).capture.state).toBe('held');
    await next.release();
    await goesOn();
  });
});

describe('a hold is of whoever asked for it', () => {
  test('another one neither releases it nor takes its stopped capture over', async () => {
    await using place = await open();
    const { pipeline, stage, update, goesOn } = place;
    const hold = place.hold('one/1');
    await hold.stop();
    await pipeline.handle.signal('releaseHold', 'two/1', 'two/2');
    await expect(update('holdAt', { id: 'two/3', position: at(stage.lsn) })).rejects.toMatchObject(because(/is held already/));
    await expect(update('holdAt', { position: at(stage.lsn) })).rejects.toMatchObject(because(/is held already/));
    expect((await pipeline.status()).capture.state).toBe('held');
    await hold.at(at(stage.lsn));
    // an attempt of the same comparison that was given up, but lives
    await place.hold('one/0', 'one/2').release();
    await hold.kept();
    await hold.release();
    await goesOn();
  });

  test('without a name whatever is held is released, as by hand', async () => {
    await using place = await open();
    await place.hold('one/1').stop();
    await place.pipeline.handle.signal('releaseHold');
    await place.goesOn();
  });

  test('what was released does not begin in a fresh run either', async () => {
    await using place = await open({ rotateAtEvents: 60 });
    const { handle } = place.pipeline;
    const { runId } = await handle.describe();
    await handle.signal('releaseHold', 'one/1');
    while ((await handle.describe()).runId === runId) await waited(50, never);
    await expect(place.update('stopCapture', { id: 'one/1' })).rejects.toMatchObject(because(/was released before it began/));
    await place.goesOn();
  });
});
