import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pino } from 'pino';
import { CannotListen } from '../../api/cannot-listen.ts';
import { startServer } from '../../api/server.ts';
import { type ApiInstance, startApi } from './instance.ts';

const json = { 'Content-Type': 'application/json' };

async function problem(response: Response): Promise<{ status: number; code: string; message: string }> {
  const { error } = (await response.json()) as { error: { code: string; message: string } };
  return { status: response.status, ...error };
}

describe('without a token, on loopback', () => {
  let api: ApiInstance;
  beforeAll(async () => {
    api = await startApi();
  });
  afterAll(() => api[Symbol.asyncDispose]());
  const ask = (path: string, init?: RequestInit) => fetch(api.url + path, init);
  const post = (path: string, body: string, headers: Record<string, string> = json) =>
    ask(path, { method: 'POST', body, headers });

  test('health answers', async () => {
    expect(await (await ask('/health')).json()).toMatchObject({ status: 'ok' });
  });

  test('pipelines that were never started are unreachable, with what to type', async () => {
    const { pipelines } = (await (await ask('/pipelines')).json()) as {
      pipelines: { name: string; state: string; reason: string; workflowUrl: string }[];
    };
    expect(pipelines.map(({ name, state }) => `${name} ${state}`)).toEqual([
      'engagement unreachable',
      'trending unreachable',
    ]);
    expect(pipelines[0]!.reason).toContain('./sluice');
    expect(pipelines[0]!.workflowUrl).toBe('http://127.0.0.1:8233/namespaces/default/workflows/pipeline%2Fengagement');
  });

  test.each([
    ['GET', '/pipelines/nowhere'],
    ['POST', '/pipelines/nowhere/pause'],
    ['POST', '/pipelines/toString/resume'],
    ['GET', '/pipelines/nowhere/live'],
  ])('%s %s: unknown pipeline, with those that there are', async (method, path) => {
    const { status, code, message } = await problem(await ask(path, { method }));
    expect([status, code]).toEqual([404, 'unknown_pipeline']);
    expect(message).toContain('There are: engagement, trending.');
  });

  test('unknown lane, with those that there are', async () => {
    const { status, code, message } = await problem(await post('/pipelines/trending/pause', '{"lane":"nowhere"}'));
    expect([status, code]).toEqual([404, 'unknown_lane']);
    expect(message).toContain('It has: capture, aggregate, posts, dashboard.');
  });

  test.each([
    ['malformed JSON', '{"lane":', json, 400, 'malformed_json'],
    ['another type of value', '{"lane":7}', json, 400, 'invalid_request'],
    ['an unknown field, perhaps a misspelt one', '{"lanes":"posts"}', json, 400, 'invalid_request'],
    ['not declared as JSON', '{"lane":"posts"}', { 'Content-Type': 'text/plain' }, 415, 'not_json'],
    ['too large', JSON.stringify({ lane: 'x'.repeat(20_000) }), json, 413, 'too_large'],
  ])('a body that is %s is refused', async (_, body, headers, status, code) => {
    const found = await problem(await post('/pipelines/trending/pause', body, headers as Record<string, string>));
    expect([found.status, found.code]).toEqual([status, code]);
    expect(found.message).toMatch(/\.$/);
  });

  test('a pipeline that nobody answers for cannot be paused: 503 with the reason', async () => {
    const { status, code, message } = await problem(await ask('/pipelines/trending/pause', { method: 'POST' }));
    expect([status, code]).toEqual([503, 'unavailable']);
    expect(message).toContain('trending');
  });

  test('pages of other sites change nothing', async () => {
    const foreign = await problem(
      await ask('/pipelines/trending/pause', { method: 'POST', headers: { Origin: 'https://example.org' } }),
    );
    expect([foreign.status, foreign.code]).toEqual([403, 'foreign_origin']);
  });

  test('what does not exist, in the same shape', async () => {
    expect(await problem(await ask('/nothing'))).toMatchObject({ status: 404, code: 'not_found' });
  });

  test('the description of the API lists its resources', async () => {
    const { paths } = (await (await ask('/openapi.json')).json()) as { paths: Record<string, object> };
    expect(Object.keys(paths).sort()).toEqual([
      '/health',
      '/metrics',
      '/pipelines',
      '/pipelines/{name}',
      '/pipelines/{name}/apply',
      '/pipelines/{name}/backfills',
      '/pipelines/{name}/backfills/{range}/{verb}',
      '/pipelines/{name}/dead-letters',
      '/pipelines/{name}/dead-letters/drop',
      '/pipelines/{name}/dead-letters/replay',
      '/pipelines/{name}/dead-letters/{id}',
      '/pipelines/{name}/destroy',
      '/pipelines/{name}/live',
      '/pipelines/{name}/migrations',
      '/pipelines/{name}/migrations/{number}/{decision}',
      '/pipelines/{name}/pause',
      '/pipelines/{name}/reconciliations',
      '/pipelines/{name}/resume',
    ]);
  });

  test('metrics name routes as they are written', async () => {
    await (await ask('/pipelines/some-invented-name')).text();
    const metrics = await (await ask('/metrics')).text();
    expect(metrics).toContain('sluice_api_request_seconds_count{method="GET",route="/pipelines/:name",status="404"}');
    expect(metrics).not.toContain('some-invented-name');
  });

  test('the dashboard: the page is asked for again, its parts are kept', async () => {
    const page = await ask('/');
    expect(page.headers.get('Cache-Control')).toBe('no-cache');
    expect(page.headers.get('Content-Security-Policy')).toContain("default-src 'self'");
    const [script] = /\/assets\/[^"]+\.js/.exec(await page.text())!;
    const asset = await ask(script);
    expect(asset.headers.get('Cache-Control')).toContain('immutable');
    await asset.text();
    const same = await ask('/', { headers: { 'If-None-Match': page.headers.get('ETag')! } });
    expect(same.status).toBe(304);
  });
});

describe('with a token', () => {
  const apiToken = 'correct horse battery'.replaceAll(' ', '-');
  let api: ApiInstance;
  beforeAll(async () => {
    api = await startApi({ apiToken });
  });
  afterAll(() => api[Symbol.asyncDispose]());
  const ask = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    fetch(api.url + path, { method, headers });

  test.each([
    '/pipelines',
    '/pipelines/trending',
    '/pipelines/nowhere',
    '/pipelines/trending/live',
    '/pipelines/trending/dead-letters',
    '/pipelines/trending/dead-letters/1',
    '/openapi.json',
    '/metrics',
  ])('%s: missing or wrong is 401', async (path) => {
    expect(await problem(await ask(path))).toMatchObject({ status: 401, code: 'unauthorized' });
    expect(await problem(await ask(path, { Authorization: 'Bearer wrong' }))).toMatchObject({ status: 401 });
    expect(await problem(await ask(`${path}?token=wrong`))).toMatchObject({ status: 401 });
  });

  test('the right one is let in: as a header, in the address, as the cookie of a session', async () => {
    expect((await ask('/openapi.json', { Authorization: `Bearer ${apiToken}` })).status).toBe(200);
    expect((await ask(`/openapi.json?token=${apiToken}`)).status).toBe(200);
    const session = await ask('/session', { Authorization: `Bearer ${apiToken}` }, 'POST');
    const [cookie] = session.headers.getSetCookie();
    expect(cookie).toMatch(/HttpOnly; SameSite=Strict$/);
    expect((await ask('/openapi.json', { Cookie: cookie!.split(';')[0]! })).status).toBe(200);
    expect((await ask('/session', { Authorization: 'Bearer wrong' }, 'POST')).headers.getSetCookie()).toEqual([]);
  });

  test('health and the empty page are for everybody', async () => {
    expect((await ask('/health')).status).toBe(200);
    expect((await ask('/')).status).toBe(200);
  });
});

describe('where it listens', () => {
  test('beyond loopback only with a token', async () => {
    await using api = await startApi();
    const log = pino({ level: 'silent' });
    for (const apiHost of ['0.0.0.0', '::', '192.0.2.7', 'example.org']) {
      const start = startServer({ ...api.config, apiHost }, log);
      await expect(start).rejects.toThrow(CannotListen);
      await expect(start).rejects.toThrow(/SLUICE_API_TOKEN=\$\(openssl rand -hex 24\)/);
    }
    const open = await startServer({ ...api.config, apiHost: '0.0.0.0', apiPort: 0, apiToken: 'x' }, log);
    await open.close();
  });

  test('a port in use is named', async () => {
    await using api = await startApi();
    const apiPort = Number(new URL(api.url).port);
    await expect(startServer({ ...api.config, apiPort }, pino({ level: 'silent' }))).rejects.toThrow(
      new RegExp(`127.0.0.1:${apiPort}: another process has this port.*SLUICE_API_PORT`),
    );
  });
});
