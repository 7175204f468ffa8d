import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { registerSearchAttributes } from '../../client/search-attributes.ts';
import { type ApiInstance, startApi } from './instance.ts';

const range = { from: '2026-11-01T00:00:00Z', to: '2026-11-02T00:00:00Z' };

describe('backfills by the API', () => {
  let api: ApiInstance;
  let connection: Connection;
  const ask = async (path: string, body?: object) => {
    const response = await fetch(`${api.url}/pipelines/engagement/backfills${path}`, { method: 'POST', ...(body && { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } }) });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  beforeAll(async () => {
    api = await startApi();
    connection = await Connection.connect({ address: api.config.temporalAddress });
    await registerSearchAttributes(connection, api.config.temporalNamespace);
  });
  afterAll(async () => {
    const workflows = new Client({ connection, namespace: api.config.temporalNamespace }).workflow;
    for (const id of ['2026-11-01..2026-11-02', '2026-11-01..2026-11-01T10:30']) await workflows.getHandle(`backfill/engagement/${id}`).terminate('the test is over').catch(() => {});
    await connection.close();
    await api[Symbol.asyncDispose]();
  });

  test('start under the name of their range, of everything or of what is named, and once at a time', async () => {
    const workflowId = 'backfill/engagement/2026-11-01..2026-11-02';
    expect(await ask('', range)).toEqual({ status: 202, body: { workflowId, workflowUrl: expect.stringContaining(encodeURIComponent(workflowId)) } });
    const client = new Client({ connection, namespace: api.config.temporalNamespace });
    const input = async (id: string) => {
      const { events } = await client.workflow.getHandle(id).fetchHistory();
      return JSON.parse(Buffer.from(events![0]!.workflowExecutionStartedEventAttributes!.input!.payloads![0]!.data!).toString('utf8')) as object;
    };
    expect(await input(workflowId)).toEqual({ pipeline: 'engagement', fromMs: Date.UTC(2026, 10, 1), toMs: Date.UTC(2026, 10, 2), views: ['top10m', 'leaderboard'], sinks: ['enriched'], chunkRows: 100_000, rowsPerSecond: null });
    expect(await ask('', range)).toMatchObject({ status: 409, body: { error: { code: 'is_going_on', message: 'A backfill of 2026-11-01..2026-11-02 of engagement is going on: ./sluice backfill list engagement' } } });
    expect(await ask('', { from: range.from, to: '2026-11-01T12:30:00+02:00', views: ['leaderboard'], rowsPerSecond: 500 })).toMatchObject({ status: 202 });
    expect(await input('backfill/engagement/2026-11-01..2026-11-01T10:30')).toMatchObject({ views: ['leaderboard'], sinks: [], rowsPerSecond: 500 });
  });

  test.each([
    [{ from: range.to, to: range.from }, 'invalid_backfill', 'The range begins at 2026-11-02T00:00:00.000Z, which is not before its end, 2026-11-01T00:00:00.000Z: there is nothing between them.'],
    [{ ...range, to: '2126-01-01T00:00:00Z' }, 'invalid_backfill', 'The range ends at 2126-01-01T00:00:00.000Z, which has not come yet. A backfill computes what is past: ask for an earlier end.'],
    [{ ...range, views: ['nothing'] }, 'invalid_backfill', 'Pipeline engagement has no view nothing; it has top10m, leaderboard.'],
    [{ ...range, sinks: ['live'] }, 'invalid_backfill', 'Pipeline engagement has no sink whose rows have versions live; it has enriched.'],
    [{ ...range, rowsPerSecond: 0 }, 'invalid_request', expect.stringContaining('rowsPerSecond')],
    [{ from: 'yesterday', to: range.to }, 'invalid_request', expect.stringContaining('from')],
    [{ ...range, speed: 5 }, 'invalid_request', expect.stringContaining('speed')],
  ])('%j is refused', async (body, code, message) => {
    expect(await ask('', body)).toEqual({ status: 400, body: { error: { code, message } } });
  });

  test('are told to pause, resume or end by the name of their range, and one that there is not is not found', async () => {
    await ask('', range);
    expect(await ask('/2026-11-01..2026-11-02/pause')).toEqual({ status: 202, body: { workflowId: 'backfill/engagement/2026-11-01..2026-11-02' } });
    expect(await ask('/2020-01-01..2020-01-02/cancel')).toMatchObject({ status: 404, body: { error: { code: 'unknown_backfill', message: 'No backfill backfill/engagement/2020-01-01..2020-01-02 is going on.' } } });
    expect(await ask('/2026-11-01..2026-11-02/stop')).toMatchObject({ status: 400 });
  });
});
