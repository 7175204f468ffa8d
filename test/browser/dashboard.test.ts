import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pausePipeline, pipelineStatuses, resumePipeline } from '../../client/pipelines.ts';
import { type ApiInstance, startApi } from '../api/instance.ts';
import { Published } from '../api/published.ts';
import { launchChromium } from './chromium.ts';
import { ownNamespace, runPipelines } from './running-pipelines.ts';

const titles = [
  'The Water Clock of Kaifeng',
  'Letters from a Lock Keeper',
  'How Rivers Remember',
  'Tidal Engines, Explained',
  'A Short History of Canals',
  'Why Streams Meander',
  'Field Notes: The Delta',
  'Dams, Weirs and Second Thoughts',
  'Listening to Culverts',
  'What the Heron Saw',
  'Below the Surface',
];
const contentId = (index: number) => `0000000${index.toString(16)}-0000-4000-8000-000000000000`;

let browser: Browser;
let api: ApiInstance;
let published: Published;
let running: AsyncDisposable;

beforeAll(async () => {
  browser = await launchChromium();
  api = await startApi({ temporalNamespace: await ownNamespace() });
  published = new Published(api);
  running = await runPipelines(api.config);
  await publishEverything();
}, 60_000);
afterAll(async () => {
  await browser?.close();
  await running?.[Symbol.asyncDispose]();
  await published?.[Symbol.asyncDispose]();
  await api?.[Symbol.asyncDispose]();
});

describe('the dashboard', () => {
  test('shows the top 10 of both pipelines, their lanes, watermark and run', async () => {
    await using page = await open();
    const engagement = page.card('engagement');
    await eventually(() => names(engagement)).toEqual(titles.slice(0, 10));
    await eventually(() => names(page.card('trending'))).toEqual(titles.slice(0, 10).toReversed());
    expect(await engagement.locator('tr[data-lane] th').allInnerTexts()).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^capture/),
        expect.stringMatching(/^enriched/),
        expect.stringMatching(/^external/),
      ]),
    );
    await report();
    await eventually(() => engagement.locator('.vitals').innerText()).toMatch(
      /3,333[^]*Watermark\s+\d\d:\d\d:\d\d[^]*Open windows\s+[67]/,
    );
    expect(await engagement.getByRole('link', { name: /Run in Temporal/ }).getAttribute('href')).toContain(
      '/workflows/pipeline%2Fengagement',
    );
    await eventually(() => page.connection()).toBe('Live');
  });

  test('shows another ranking in its tab, by mouse and by keyboard', async () => {
    await using page = await open();
    const engagement = page.card('engagement');
    await engagement.getByRole('tab', { name: /Leaderboard/ }).click();
    await eventually(() => names(engagement)).toEqual([titles[2], titles[5]]);
    await engagement.getByRole('tab', { name: /Leaderboard/ }).press('ArrowLeft');
    await eventually(() => names(engagement)).toEqual(titles.slice(0, 10));
  });

  test('shows what the last reconcile found, and where; without one nothing', async () => {
    await using page = await open();
    const reconcile = { state: 'different', ended: new Date(Date.now() - 12 * 60_000).toISOString(), sentence: 'windows differ: 2 of 360 of enriched', workflowId: 'reconcile/engagement/1', sinks: [] } as const;
    await published.progress('engagement', 'reconcile', { reconcile });
    const line = page.card('engagement').locator('.reconciled');
    await eventually(() => line.innerText()).toMatch(/different\s+Reconciled 12 min ago: windows differ: 2 of 360 of enriched/);
    expect(await line.getByRole('link', { name: 'Reconcile in Temporal' }).getAttribute('href')).toContain('/workflows/reconcile%2Fengagement%2F1');
    expect(await page.card('trending').locator('.reconciled').count()).toBe(0);
  });

  test('a change is on the page within a second', async () => {
    await using page = await open();
    const trending = page.card('trending');
    await eventually(() => names(trending)).toHaveLength(10);
    const waits: number[] = [];
    for (const key of ['97', '98', '99']) {
      const seen = trending.locator(`li[data-key="${key}"]`).waitFor();
      const startedAt = performance.now();
      await published.window('dashboard', nextWindow(), 1, [
        [key, `Just now ${key}`, 40],
        ['1', titles[0]!, 12],
      ]);
      await seen;
      waits.push(performance.now() - startedAt);
    }
    await eventually(() => names(trending)).toEqual(['Just now 99', titles[0]]);
    // the median: browser, services and test share this machine
    expect(waits.sort((a, b) => a - b)[1]).toBeLessThan(1_000);
  });

  test('shows a pause that came from elsewhere, and pauses and resumes by its buttons', async () => {
    await using page = await open();
    const engagement = page.card('engagement');
    const state = () => engagement.locator('header .chip').innerText();
    await eventually(state).toBe('running');
    await pausePipeline(api.config, 'engagement');
    await eventually(state).toBe('paused');
    expect(await page.card('trending').locator('header .chip').innerText()).toBe('running');
    await engagement.getByRole('button', { name: 'Resume engagement' }).click();
    await eventually(state).toBe('running');

    const lane = engagement.locator('tr[data-lane="external"]');
    await lane.getByRole('button', { name: 'Pause lane external' }).click();
    await eventually(() => lane.locator('.chip').innerText()).toBe('paused');
    const statuses = await pipelineStatuses(api.config);
    expect(
      statuses
        .find(({ name }) => name === 'engagement')
        ?.lanes.filter((each) => each.state === 'paused')
        .map(({ name }) => name),
    ).toEqual(['external']);
    await resumePipeline(api.config, 'engagement', 'external');
    await eventually(() => lane.locator('.chip').innerText()).toBe('running');
  });

  test('says when it has lost the API, and heals by itself', async () => {
    await using page = await open();
    await eventually(() => page.connection()).toBe('Live');
    await api.stop();
    await eventually(() => page.connection()).toContain('Connection lost');
    await published.window('dashboard', nextWindow(), 1, [['5', 'While You Were Away', 3]]);
    await api.start();
    await eventually(() => page.connection()).toBe('Live');
    await eventually(() => names(page.card('trending'))).toEqual(['While You Were Away']);
  });

  test('needs nothing from outside, writes no error, and fits a telephone', async () => {
    await using page = await open({ viewport: { width: 390, height: 844 }, isMobile: true });
    await eventually(() => names(page.card('engagement'))).toHaveLength(10);
    expect(page.hosts()).toEqual([new URL(api.url).host]);
    expect(page.errors).toEqual([]);
    expect(await page.tab.evaluate('document.documentElement.scrollWidth')).toBe(390);
  });

  test('asks for the token where one is set, and shows everything once it has it', async () => {
    await using guarded = await startApi({ apiToken: 'open-sesame', temporalNamespace: api.config.temporalNamespace });
    await using page = await open({}, guarded.url);
    await page.tab.getByLabel(/asks for its token/).fill('wrong');
    await page.tab.getByRole('button', { name: 'Open' }).click();
    await page.tab.getByText(/The token is wrong/).waitFor();
    await page.tab.getByLabel(/asks for its token/).fill('open-sesame');
    await page.tab.getByRole('button', { name: 'Open' }).click();
    await eventually(() => page.connection()).toBe('Live');
    await page.card('trending').waitFor();
  });
});

/** A busy machine needs its time; what must be quick is measured. */
const eventually = <T>(look: () => T) => expect.poll(look, { timeout: 15_000, interval: 50 });

type OpenPage = AsyncDisposable & {
  readonly tab: Page;
  readonly errors: string[];
  card(pipeline: string): Locator;
  connection(): Promise<string>;
  /** Every host that was asked for anything. */
  hosts(): string[];
};

async function open(options: BrowserContextOptions = {}, url = api.url): Promise<OpenPage> {
  const context = await browser.newContext({ viewport: { width: 1360, height: 1100 }, ...options });
  const tab = await context.newPage();
  const errors: string[] = [];
  const hosts = new Set<string>();
  tab.on('pageerror', (error) => errors.push(error.message));
  tab.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  tab.on('request', (request) => hosts.add(new URL(request.url()).host));
  await tab.goto(url);
  return {
    tab,
    errors,
    card: (pipeline) => tab.locator(`[data-pipeline="${pipeline}"]`),
    connection: () => tab.locator('.connection').innerText(),
    hosts: () => [...hosts],
    [Symbol.asyncDispose]: () => context.close(),
  };
}

function names(card: Locator): Promise<string[]> {
  return card.locator('.ranking .name').allInnerTexts();
}

let windowEnd = Math.floor(Date.now() / 10_000) * 10_000;
function nextWindow(): number {
  return (windowEnd += 10_000);
}

async function publishEverything(): Promise<void> {
  const now = Date.now();
  for (const [index, title] of titles.entries()) await published.title(contentId(index), title);
  await published.plays(
    now,
    Object.fromEntries(titles.map((_, index) => [contentId(index), Math.round(412 / (index + 1.4) ** 0.7)])),
  );
  await published.window('leaderboard', windowEnd, 1, [
    [contentId(2), titles[2]!, 31.4],
    [contentId(5), titles[5]!, 12],
  ]);
  const posts = titles.slice(0, 10).toReversed();
  await published.window(
    'dashboard',
    nextWindow(),
    1,
    posts.map((title, index) => [String(index + 1), title, Math.round(96 / (index + 1.3) ** 0.6)] as const),
  );
  await report();
}

/** Reports of parts say nothing of the present rate after some seconds. */
async function report(): Promise<void> {
  for (const [pipeline, rate] of [
    ['engagement', 3_333],
    ['trending', 412.6],
  ] as const) {
    await published.progress(pipeline, 'capture', { eventsPerSecond: rate, lagMs: 4 });
    await published.progress(pipeline, 'aggregate', { watermarkMs: Date.now() - 2_100, lagMs: 41 });
  }
  await published.progress('engagement', 'enriched', { lagMs: 268 });
  await published.progress('engagement', 'live', { lagMs: 37 });
  await published.progress('engagement', 'external', { lagMs: 14_200 });
}
