import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Results } from '../../api/live/board.ts';
import type { PipelineStatus } from '../../api/status.ts';
import { type ApiInstance, startApi } from './instance.ts';
import { Published } from './published.ts';

const [first, second, third] = ['1', '2', '3'].map((digit) => `0000000${digit}-0000-4000-8000-000000000000`) as [
  string,
  string,
  string,
];
const noon = Date.UTC(2026, 10, 20, 12);

/** One client's event stream: `until` waits for an event that is so, and says how long that took. */
class Follower implements AsyncDisposable {
  readonly #aborted = new AbortController();
  readonly seen: { event: string; data: string }[] = [];
  #arrived = Promise.withResolvers<void>();
  readonly ended: Promise<void>;
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
    this.ended = this.#read().catch((error: Error) => {
      if (error.name !== 'AbortError') throw error;
    });
  }

  async #read(): Promise<void> {
    const response = await fetch(this.#url, { signal: this.#aborted.signal });
    if (response.headers.get('Content-Type') !== 'text/event-stream')
      throw new Error(`no event stream: ${await response.text()}`);
    let text = '';
    for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
      const blocks = (text += piece).split('\n\n');
      text = blocks.pop()!;
      for (const block of blocks) {
        const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1];
        if (field('event') !== undefined) this.seen.push({ event: field('event')!, data: field('data') ?? '' });
      }
      this.#arrived.resolve();
      this.#arrived = Promise.withResolvers();
    }
  }

  async until<T>(event: string, wanted: (data: T) => boolean): Promise<{ data: T; ms: number }> {
    const startedAt = performance.now();
    for (let next = 0; ;) {
      for (; next < this.seen.length; next++) {
        const { event: found, data } = this.seen[next]!;
        const value = (data === '' ? undefined : JSON.parse(data)) as T;
        if (found === event && wanted(value)) return { data: value, ms: performance.now() - startedAt };
      }
      await this.#arrived.promise;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#aborted.abort();
    await this.ended;
  }
}

describe('live', () => {
  let api: ApiInstance;
  let published: Published;
  beforeAll(async () => {
    api = await startApi();
    published = new Published(api);
  });
  afterAll(async () => {
    await published[Symbol.asyncDispose]();
    await api[Symbol.asyncDispose]();
  });
  const follow = (pipeline: string) => new Follower(`${api.url}/pipelines/${pipeline}/live`);
  const named = ({ boards }: Results, name: string) => boards.find((board) => board.name === name)!;
  const shown = (results: Results, name: string) =>
    named(results, name).rows.map(({ rank, label, key, value }) => `${rank} ${label ?? key} ${value}`);

  test('a rolling ranking follows its lane within a second, named by the newest version of its dimension', async () => {
    await published.title(first, 'An old title', 1n);
    await published.title(first, 'The title now', 2n);
    await published.plays(noon, { [first]: 3, [second]: 5 });
    await using follower = follow('engagement');
    const { data } = await follower.until<Results>('results', (results) => shown(results, 'live').length === 2);
    expect(shown(data, 'live')).toEqual([`1 ${second} 5`, '2 The title now 3']);
    expect(named(data, 'live')).toMatchObject({
      start: '2026-11-20T11:50:10.000Z',
      end: '2026-11-20T12:00:10.000Z',
      measure: 'score',
      problem: null,
    });

    await published.plays(noon + 1_000, { [first]: 4 });
    const { ms } = await follower.until<Results>(
      'results',
      (results) => shown(results, 'live')[0] === '1 The title now 7',
    );
    expect(ms).toBeLessThan(1_000);
  });

  test('those with the same score stand in the order of their keys, also where the ranking is cut off', async () => {
    const many = Object.fromEntries(
      Array.from({ length: 14 }, (_, index) => [`1000000${(13 - index).toString(16)}-0000-4000-8000-000000000000`, 50]),
    );
    await published.plays(noon + 2_000, { ...many, [third]: 60 });
    await using follower = follow('engagement');
    const { data } = await follower.until<Results>('results', (results) => shown(results, 'live').length === 10);
    const keys = named(data, 'live').rows.map(({ key }) => key);
    expect(keys).toEqual([third, ...Object.keys(many).sort().slice(0, 9)]);
  });

  test("a window's result and its revision arrive within a second, with the labels it was published with", async () => {
    await using follower = follow('trending');
    await published.window('dashboard', noon, 1, [
      ['7', 'Seven', 12],
      ['8', 'Eight', 4],
    ]);
    const { data, ms } = await follower.until<Results>(
      'results',
      (results) => named(results, 'dashboard').revision === 1,
    );
    expect(ms).toBeLessThan(1_000);
    expect(shown(data, 'dashboard')).toEqual(['1 Seven 12', '2 Eight 4']);
    expect(named(data, 'dashboard')).toMatchObject({
      start: '2026-11-20T11:59:50.000Z',
      end: '2026-11-20T12:00:00.000Z',
      final: false,
    });
    await published.window('dashboard', noon, 2, [
      ['8', 'Eight', 13],
      ['7', 'Seven', 12],
    ]);
    expect(
      (await follower.until<Results>('results', (results) => named(results, 'dashboard').revision === 2)).ms,
    ).toBeLessThan(1_000);
  });

  test('a view that two sinks publish is shown once', async () => {
    await using follower = follow('trending');
    const { data } = await follower.until<Results>('results', () => true);
    expect(data.boards.map(({ name }) => name)).toEqual(['dashboard']);
  });

  test('status: rate, watermark and the windows that are open', async () => {
    await published.progress('engagement', 'capture', { eventsPerSecond: 3_333 });
    await published.progress('engagement', 'aggregate', { watermarkMs: noon + 5_000 });
    await using follower = follow('engagement');
    const { data } = await follower.until<PipelineStatus>('status', ({ watermark }) => watermark !== null);
    expect(data).toMatchObject({ eventsPerSecond: 3_333, watermark: '2026-11-20T12:00:05.000Z' });
    expect(data.openWindows).toEqual([{ view: 'leaderboard', count: 6, nextEnd: '2026-11-20T12:00:10.000Z' }]);
  });

  test('what does not change is not sent again; a heartbeat says that the stream lives', async () => {
    await using follower = follow('trending');
    await follower.until('heartbeat', () => true);
    const data = follower.seen.filter(({ event }) => event === 'results');
    expect(data).toHaveLength(1);
  }, 20_000);

  test('the end of the API ends the streams, and its successor is found at the same address', async () => {
    const follower = follow('trending');
    await follower.until('results', () => true);
    await api.stop();
    await follower.ended;
    await api.start();
    await using again = follow('trending');
    await again.until('results', () => true);
  });

  test('without a token, a name that merely leads to this machine is refused (DNS rebinding)', async () => {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const asked = request(`${api.url}/pipelines`, { headers: { Host: 'rebound.example.org' } }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      asked.on('error', reject);
      asked.end();
    });
    expect(status).toBe(403);
  });
});
