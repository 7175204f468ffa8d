import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { registerSearchAttributes } from '../../client/search-attributes.ts';
import { type ApiInstance, startApi } from './instance.ts';

const range = { from: '2026-11-01T00:00:00Z', to: '2026-11-02T00:00:00Z' };

describe('reconciliations by the API', () => {
  let api: ApiInstance;
  let connection: Connection;
  const started: string[] = [];
  const ask = async (body: object) => {
    const response = await fetch(`${api.url}/pipelines/engagement/reconciliations`, { method: 'POST', body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  beforeAll(async () => {
    api = await startApi();
    connection = await Connection.connect({ address: api.config.temporalAddress });
    await registerSearchAttributes(connection, api.config.temporalNamespace);
  });
  afterAll(async () => {
    const { workflow } = new Client({ connection, namespace: api.config.temporalNamespace });
    for (const id of started) await workflow.getHandle(id).terminate('the test is over').catch(() => {});
    await connection.close();
    await api[Symbol.asyncDispose]();
  });

  test.each([
    [{}, { pipeline: 'engagement', everyMs: 3_600_000, repair: false, rowsPerSecond: null }],
    [{ ...range, repair: true }, { pipeline: 'engagement', everyMs: 3_600_000, repair: true, rowsPerSecond: null, range: { fromMs: Date.UTC(2026, 10, 1), toMs: Date.UTC(2026, 10, 2) } }],
  ])('%j starts one', async (body, request) => {
    const answer = await ask(body);
    expect(answer).toEqual({ status: 202, body: { workflowId: expect.stringMatching(/^reconcile\/engagement\/2/) as string, workflowUrl: expect.stringContaining('/workflows/reconcile%2Fengagement%2F2') as string } });
    const id = answer.body['workflowId'] as string;
    started.push(id);
    const { events } = await new Client({ connection, namespace: api.config.temporalNamespace }).workflow.getHandle(id).fetchHistory();
    expect(JSON.parse(Buffer.from(events![0]!.workflowExecutionStartedEventAttributes!.input!.payloads![0]!.data!).toString('utf8'))).toEqual(request);
  });

  test.each([
    [{ from: range.to, to: range.from }, 'invalid_reconcile', 'The range begins at 2026-11-02T00:00:00.000Z, which is not before its end, 2026-11-01T00:00:00.000Z: there is nothing between them.'],
    [{ ...range, to: '2126-01-01T00:00:00Z' }, 'invalid_reconcile', 'The range ends at 2126-01-01T00:00:00.000Z, which has not come yet. Only windows that have closed are compared: ask for an earlier end.'],
    [{ from: range.from }, 'invalid_reconcile', 'A range has a beginning and an end: give both, or neither, and what closed of late is compared.'],
    [{ from: 'yesterday', to: range.to }, 'invalid_request', expect.stringContaining('from')],
    [{ ...range, views: [] }, 'invalid_request', expect.stringContaining('views')],
  ])('%j is refused', async (body, code, message) => {
    expect(await ask(body)).toEqual({ status: 400, body: { error: { code, message } } });
  });
});
