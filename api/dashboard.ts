import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { extname, join, relative } from 'node:path';
import type { Logger } from 'pino';
import { buildDashboard, distFolder } from './dashboard-build.ts';
import { ApiError } from './errors.ts';
import type { Resources } from './resources.ts';

/** The built page, in memory: it is small. Built first when it is missing or older than its sources. */
export type Dashboard = { file(path: string): Promise<Asset | undefined> };
export type Asset = {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly type: string;
  readonly etag: string;
  readonly cache: string;
};

export function createDashboard(log: Logger): Dashboard {
  const load = async () => {
    await buildDashboard(log);
    return readAssets(distFolder);
  };
  let assets: Promise<ReadonlyMap<string, Asset>> | undefined;
  const loaded = () =>
    (assets ??= load()
      // another API may have put its own build in place while this one read
      .catch(load)
      .catch((error: Error) => {
        assets = undefined; // the next request tries again
        throw new ApiError(
          503,
          'no_dashboard',
          `The dashboard could not be built: ${error.message}. The API itself works; try npx vite build web.`,
          { cause: error },
        );
      }));
  loaded().catch((error: Error) => log.error({ error }, error.message));
  return { file: async (path) => (await loaded()).get(path) };
}

/** The page is open to all, as it holds no data; what it shows asks for the token. */
export function dashboardRoutes(app: OpenAPIHono, { dashboard }: Resources): void {
  const answer = (path: string, c: Context) =>
    dashboard.file(path).then((asset) => {
      if (!asset) return c.notFound();
      const headers = { 'Cache-Control': asset.cache, ETag: asset.etag };
      if (c.req.header('If-None-Match') === asset.etag) return c.body(null, 304, headers);
      return c.body(asset.body, 200, { ...headers, 'Content-Type': asset.type });
    });
  app.get('/', (c) => answer('index.html', c));
  app.get('/assets/:file', (c) => answer(`assets/${c.req.param('file')}`, c));
}

async function readAssets(folder: string): Promise<ReadonlyMap<string, Asset>> {
  const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((each) => each.isFile());
  const entries = files.map(async ({ parentPath, name }): Promise<[string, Asset]> => {
    const path = relative(folder, join(parentPath, name));
    const body = new Uint8Array(await readFile(join(folder, path)));
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
    // names of assets change with their content
    const cache = path.startsWith('assets/') ? 'public, max-age=31536000, immutable' : 'no-cache';
    return [path, { body, type: types[extname(name)] ?? 'application/octet-stream', etag, cache }];
  });
  return new Map(await Promise.all(entries));
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};
