import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writtenDefinition } from '../../core/define/definition-hash.ts';
import trending from '../../pipelines/trending.ts';
import { type ApiInstance, startApi } from './instance.ts';

describe('apply and destroy by the API', () => {
  let api: ApiInstance;
  let connection: Connection;
  let client: Client;
  const ask = async (path: string, body?: object) => {
    const response = await fetch(`${api.url}/pipelines/trending/${path}`, { method: 'POST', ...(body && { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } }) });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  const input = async (id: string) => {
    const { events } = await client.workflow.getHandle(id).fetchHistory();
    return JSON.parse(Buffer.from(events![0]!.workflowExecutionStartedEventAttributes!.input!.payloads![0]!.data!).toString('utf8')) as object;
  };
  const ended = async () => {
    for (const kind of ['bootstrap', 'destroy']) await client.workflow.getHandle(`${kind}/trending`).terminate('the test is over').catch(() => {});
  };

  beforeAll(async () => {
    api = await startApi();
    connection = await Connection.connect({ address: api.config.temporalAddress });
    client = new Client({ connection, namespace: api.config.temporalNamespace });
  });
  afterAll(async () => {
    await ended();
    await connection.close();
    await api[Symbol.asyncDispose]();
  });

  test('an apply starts once at a time, with the definition that the API has', async () => {
    const started = { status: 202, body: { workflowId: 'bootstrap/trending', workflowUrl: expect.stringContaining('bootstrap%2Ftrending') as string } };
    expect(await ask('apply')).toEqual(started);
    expect(await input('bootstrap/trending')).toEqual({ pipeline: 'trending', allow: false, written: writtenDefinition(trending) });
    expect(await ask('apply', { allow: true })).toMatchObject({ status: 409, body: { error: { code: 'is_going_on', message: expect.stringMatching(/^trending is being applied already: see /) as string } } });
    await ended();
  });

  test('a destroy wants the name once more, and while it goes on nothing is applied', async () => {
    expect(await ask('destroy', { name: 'engagement' })).toEqual({ status: 400, body: { error: { code: 'not_confirmed', message: 'The body names "engagement", and the path trending: nothing was done. To destroy it, send {"name": "trending"}.' } } });
    expect(await ask('destroy')).toMatchObject({ status: 400 });
    expect(await ask('destroy', { name: 'trending', keepResults: true })).toMatchObject({ status: 202, body: { workflowId: 'destroy/trending' } });
    expect(await input('destroy/trending')).toEqual({ pipeline: 'trending', keepResults: true });
    expect(await ask('destroy', { name: 'trending' })).toMatchObject({ status: 409, body: { error: { message: expect.stringMatching(/^trending is being destroyed already: see /) as string } } });
    expect(await ask('apply')).toMatchObject({ status: 409, body: { error: { message: expect.stringMatching(/^trending is being destroyed: see .*type \.\/sluice apply trending when that is over\.$/) as string } } });
    await ended();
  });

  test.each([['apply', { always: true }], ['destroy', { name: 'trending', yes: true }]])('%s with what it does not know is refused', async (path, body) => {
    expect(await ask(path, body)).toMatchObject({ status: 400, body: { error: { code: 'invalid_request' } } });
  });
});
