import { Client, Connection } from '@temporalio/client';
import { Context } from '@temporalio/activity';
import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BackfillProgress } from '../../core/backfill.ts';
import { repairWorkflowId, type StaleRange } from '../../core/repair.ts';
import { taskQueue } from '../../core/workflow-names.ts';
import { type ApiInstance, startApi } from '../api/instance.ts';
import { refused, type Stage, waited } from '../orchestration/stage.ts';
import { launchChromium } from './chromium.ts';
import { ownNamespace, runPipelines } from './running-pipelines.ts';

let browser: Browser;
let api: ApiInstance;
let running: AsyncDisposable;

/** What steps are told: which share of their range is done, and what a repair finds. A step whose range is done ends. */
const told: { done: number; stale: StaleRange[] } = { done: 0, stale: [] };
const beside: Stage['beside'] = {
  planBackfill: async ({ fromMs, toMs, views, sinks }) => {
    if (toMs === refusedMs) throw refused('The windows of leaderboard are open until 12:00: ask for an earlier end.');
    const windows = Object.fromEntries(views.map((view) => [view, 6]));
    return { fromMs, toMs, windows, sinks, rows: 10, hasIndex: true, relation: 'public.t', eventTime: 'at' };
  },
  backfill: async ({ request: { fromMs, toMs } }) => {
    const { cancellationSignal, heartbeat } = Context.current();
    const now = (): BackfillProgress => {
      return {
        phase: 'reading',
        fromMs,
        toMs,
        doneToMs: fromMs + told.done * (toMs - fromMs),
        rows: 4_000 * told.done,
      };
    };
    while (told.done < 1 && !cancellationSignal.aborted) {
      heartbeat(now());
      await waited(100, cancellationSignal);
    }
    return { ended: told.done < 1 ? 'asked' : 'done', progress: now() };
  },
  endBackfill: async () => {},
  staleWindows: async () => ({ ranges: told.stale.splice(0), hasIndex: true }),
};
const refusedMs = Date.UTC(2026, 9, 3);

beforeAll(async () => {
  browser = await launchChromium();
  api = await startApi({ temporalNamespace: await ownNamespace() });
  running = await runPipelines(api.config, beside);
}, 60_000);
afterAll(async () => {
  await browser?.close();
  await running?.[Symbol.asyncDispose]();
  await api?.[Symbol.asyncDispose]();
});

describe('backfills on the dashboard', () => {
  test('where there are none, nothing is said of them but how to begin one', async () => {
    await using page = await open();
    const opener = page.card.getByRole('button', { name: 'Backfill engagement' });
    await opener.waitFor();
    expect(await page.card.getByRole('heading', { name: 'Backfills' }).count()).toBe(0);
    expect(await page.card.locator('form').count()).toBe(0);
    await opener.press('Enter');
    expect(await opener.getAttribute('aria-expanded')).toBe('true');
    expect(
      await page.card.getByLabel('From', { exact: true }).evaluate((each) => each === document.activeElement),
    ).toBe(true);
    await page.card.getByLabel('From', { exact: true }).press('Escape');
    expect(await page.card.locator('form').count()).toBe(0);
    expect(await opener.evaluate((each) => each === document.activeElement)).toBe(true);
  });

  test('a refusal is shown in the form, which stays as it was filled in', async () => {
    await using page = await open();
    await page.fillIn('2026-10-02T10:00', '2026-10-01T10:00');
    await page.start();
    await page.card
      .locator('form')
      .getByText(/there is nothing between them/)
      .waitFor();
    expect(await page.card.getByLabel('From', { exact: true }).inputValue()).toBe('2026-10-02T10:00');
  });

  test('one is started in local time, shows how far it is, is paused and resumed, and is done', async () => {
    told.done = 0.25;
    await using page = await open();
    await page.fillIn('2026-10-01T10:00', '2026-10-01T12:00');
    await page.card.getByText('2026-10-01 08:00 to 2026-10-01 10:00 in UTC').waitFor();
    await page.card.getByRole('checkbox', { name: 'leaderboard' }).check();
    await page.start();
    const row = page.row('2026-10-01T08:00..2026-10-01T10:00');
    await row.waitFor();
    expect(await page.card.locator('form').count()).toBe(0);
    await page.card.getByRole('heading', { name: 'Backfills' }).waitFor();
    await eventually(() => row.innerText()).toMatch(
      /^Oct 1, 10:00 – 12:00\s+running[^]*\b25 %\s+leaderboard ·?\s*1,000 rows read · [\d.,]+\/s · about .+ left · reading$/,
    );
    const bar = row.getByRole('progressbar', { name: 'Backfill of Oct 1, 10:00 – 12:00' });
    expect(await bar.getAttribute('aria-valuenow')).toBe('25');
    await page.picture('backfill-running');

    await row.getByRole('button', { name: /^Pause backfill/ }).click();
    await eventually(() => state(row)).toBe('paused');
    await row.getByRole('button', { name: /^Resume backfill/ }).click();
    await eventually(() => state(row)).toBe('running');
    told.done = 1;
    await eventually(() => state(row)).toBe('done');
    expect(await row.getByRole('button').count()).toBe(0);
    expect(page.errors).toEqual([]);
  });

  test('one is cancelled; one that fails says why', async () => {
    told.done = 0.5;
    await using page = await open();
    await page.fillIn('2026-10-01T02:00', '2026-10-02T02:00');
    await page.start();
    const row = page.row('2026-10-01..2026-10-02');
    await eventually(() => row.locator('.what').innerText()).toBe('top10m, leaderboard, enriched');
    await row.getByRole('button', { name: /^Cancel backfill/ }).click();
    expect(await row.evaluate((each) => each === document.activeElement)).toBe(true);
    await eventually(() => state(row)).toBe('cancelled');

    await page.fillIn('2026-10-02T02:00', '2026-10-03T02:00');
    await page.start();
    const failed = page.row('2026-10-02..2026-10-03');
    await eventually(() => state(failed)).toBe('failed');
    await failed.getByText('The windows of leaderboard are open until 12:00: ask for an earlier end.').waitFor();
  });

  test('those of a repair are among them', async () => {
    told.done = 0.6;
    const [fromMs, toMs] = [Date.UTC(2026, 9, 5), Date.UTC(2026, 9, 5, 0, 0, 10)];
    told.stale = [{ fromMs, toMs, views: ['leaderboard'] }];
    const connection = await Connection.connect({ address: api.config.temporalAddress });
    const { workflow } = new Client({ connection, namespace: api.config.temporalNamespace });
    try {
      const args = [{ pipeline: 'engagement', afterMs: 0 }];
      const repair = await workflow.start('repair', { workflowId: repairWorkflowId('engagement'), taskQueue, args });
      // the page looks rarely while nothing goes on
      await eventually(
        async () => (await (await fetch(`${api.url}/pipelines/engagement/backfills`)).json()) as unknown,
      ).toMatchObject({
        backfills: expect.arrayContaining([
          expect.objectContaining({ state: 'running', views: ['leaderboard'] }),
        ]) as unknown,
      });
      await using page = await open({ width: 390, height: 844 });
      const row = page.row('2026-10-05..2026-10-05T00:00:10');
      await eventually(() => state(row)).toBe('running');
      expect(await page.card.locator('.backfill').first().getAttribute('data-range')).toBe(
        '2026-10-05..2026-10-05T00:00:10',
      );
      await page.card.getByRole('button', { name: 'Backfill engagement' }).click();
      expect(await page.tab.evaluate('document.documentElement.scrollWidth')).toBe(390);
      await page.picture('backfills-telephone');
      told.done = 1;
      await repair.result();
    } finally {
      await connection.close();
    }
  });
});

/** A busy machine needs its time. */
const eventually = <T>(look: () => T) => expect.poll(look, { timeout: 15_000, interval: 50 });

type OpenPage = AsyncDisposable & {
  readonly tab: Page;
  readonly errors: string[];
  readonly card: Locator;
  row(range: string): Locator;
  fillIn(from: string, to: string): Promise<void>;
  start(): Promise<void>;
  /** Where SLUICE_PICTURES says; else none. */
  picture(name: string): Promise<void>;
};

/** In a zone two hours ahead of UTC. */
async function open(viewport = { width: 1360, height: 1100 }): Promise<OpenPage> {
  const context = await browser.newContext({ viewport, timezoneId: 'Africa/Maputo' });
  const tab = await context.newPage();
  const errors: string[] = [];
  tab.on('pageerror', (error) => errors.push(error.message));
  await tab.goto(api.url);
  const card = tab.locator('[data-pipeline="engagement"]');
  const pictures = process.env['SLUICE_PICTURES'];
  return {
    tab,
    errors,
    card,
    row: (range) => card.locator(`[data-range="${range}"]`),
    async fillIn(from, to) {
      await card.getByRole('button', { name: 'Backfill engagement' }).click();
      await card.getByLabel('From', { exact: true }).fill(from);
      await card.getByLabel('To', { exact: true }).fill(to);
    },
    start: () => card.getByRole('button', { name: 'Start backfill' }).click(),
    picture: async (name) =>
      void (pictures && (await tab.screenshot({ path: `${pictures}/${name}.png`, fullPage: true }))),
    [Symbol.asyncDispose]: () => context.close(),
  };
}

function state(row: Locator): Promise<string> {
  return row.locator('.chip').innerText();
}
