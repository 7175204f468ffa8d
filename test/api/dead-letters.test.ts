import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DeadLetters } from '../../connectors/postgres/dead-letters.ts';
import { position } from '../../core/position.ts';
import { pipeline } from '../sinks/stream.ts';
import { type ApiInstance, startApi } from './instance.ts';

let api: ApiInstance;
let ids: number[];
const ask = async (path: string, method = 'GET', body?: object) => {
  const response = await fetch(`${api.url}/pipelines/engagement/dead-letters${path}`, { method, ...(body && { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } }) });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> & { error?: { code: string; message: string }; deadLetters?: Record<string, unknown>[] } };
};

beforeEach(async () => {
  api = await startApi();
  for (const [lane, ordinal] of [['external', 1], ['external', 2], ['enriched', 1]] as const) {
    const event = { position: position(1, 10n, ordinal), op: 'insert' as const, key: String(ordinal), commitUs: Date.UTC(2026, 10, 21) * 1000, content: { after: { id: String(ordinal), device: 'poison', duration_ms: '7' } } };
    await new DeadLetters(api.state, pipeline, lane).keep(event, 'answered 422', { from: position(1, 9n, 0), to: position(1, 11n, 0), events: 9 });
  }
  ids = (await api.state.query<{ id: string }>('select id from sluice.dead_letter order by lane desc, position')).rows.map(({ id }) => Number(id));
});
afterEach(() => api[Symbol.asyncDispose]());

describe('dead letters by the API', () => {
  test('are listed, by lane and state', async () => {
    const letter = { id: ids[0], pipeline: 'engagement', lane: 'external', position: position(1, 10n, 1), op: 'insert', key: '1', reason: 'answered 422', state: 'waiting', committedAt: '2026-11-21T00:00:00.000Z', settledAt: null, edits: 0 };
    const { body } = await ask('?lane=external');
    expect(body.deadLetters).toEqual([{ ...letter, foundAt: expect.stringMatching(/^\d{4}-.*Z$/) }, expect.objectContaining({ id: ids[1] })]);
    expect(Math.abs(Date.parse(String(body.deadLetters![0]!['foundAt'])) - Date.now())).toBeLessThan(60_000);
    expect((await ask('')).body.deadLetters).toHaveLength(3);
    expect((await ask('?state=dropped')).body.deadLetters).toEqual([]);
    expect(await ask('?lane=nowhere')).toMatchObject({ status: 404, body: { error: { code: 'unknown_lane' } } });
    expect(await ask('?state=gone')).toMatchObject({ status: 400, body: { error: { code: 'invalid_request' } } });
  });

  test('are edited, and what a column cannot hold is refused', async () => {
    const content = { after: { id: '1', device: 'poison', duration_ms: '7' } };
    expect(await ask(`/${ids[0]}`)).toMatchObject({ status: 200, body: { content, edited: null } });
    expect(await ask(`/${ids[0]}`, 'PATCH', { set: { device: 'ios' } })).toMatchObject({ status: 200, body: { content, edited: { after: { device: 'ios', duration_ms: '7' } }, edits: 1 } });
    expect(await ask(`/${ids[0]}`, 'PATCH', { set: { duration_ms: null } })).toMatchObject({ status: 200, body: { edited: { after: { device: 'ios', duration_ms: null } }, edits: 2 } });
    expect(await ask(`/${ids[0]}`, 'PATCH', { set: { duration_ms: 'long' } })).toMatchObject({ status: 400, body: { error: { code: 'invalid_content', message: 'column duration_ms is of type int4, and "long" is not.' } } });
    expect(await ask(`/${ids[0]}`, 'PATCH', { set: { duration_ms: 7 } })).toMatchObject({ status: 400, body: { error: { code: 'invalid_request' } } });
  });

  test('are dropped: one, a lane\'s, all that wait', async () => {
    expect(await ask('/drop', 'POST', { id: ids[0] })).toMatchObject({ status: 200, body: { dropped: 1 } });
    expect(await ask('/drop', 'POST', { id: ids[0] })).toMatchObject({ status: 409, body: { error: { code: 'letter_settled', message: `Dead letter ${ids[0]} was dropped already, and only one that waits can be edited, replayed or dropped.` } } });
    expect(await ask(`/${ids[0]}`, 'PATCH', { set: { device: 'ios' } })).toMatchObject({ status: 409 });
    expect(await ask('/drop', 'POST', { lane: 'external' })).toMatchObject({ status: 200, body: { dropped: 1 } });
    for (const body of [undefined, {}]) expect(await ask('/drop', 'POST', body)).toMatchObject({ status: 400, body: { error: { code: 'invalid_request' } } });
    expect(await ask('/drop', 'POST', { all: true })).toMatchObject({ status: 200, body: { dropped: 1 } });
    expect((await ask('?state=dropped')).body.deadLetters).toHaveLength(3);
  });

  test('are those of their pipeline only', async () => {
    const other = await fetch(`${api.url}/pipelines/trending/dead-letters/${ids[0]}`);
    expect([other.status, await other.json()]).toEqual([404, { error: { code: 'unknown_letter', message: `The pipeline trending has no dead letter ${ids[0]}.` } }]);
    expect(await ask('/999999')).toMatchObject({ status: 404, body: { error: { code: 'unknown_letter' } } });
  });

  test('are replayed by a workflow that the answer names', async () => {
    const { status, body } = await ask('/replay', 'POST', { lane: 'external' });
    expect([status, body['workflowId']]).toEqual([202, expect.stringMatching(/^replay\/engagement\/\d{4}-/)]);
    expect(body['workflowUrl']).toContain('replay%2Fengagement%2F');
  });
});
