import type { MiddlewareHandler } from 'hono';
import type { Config } from '../core/config.ts';
import { ApiError } from './errors.ts';
import { isLoopback } from './loopback.ts';

/**
 * Without a token the API trusts whoever is on this machine; pages of other sites in this machine's browser are not meant
 * by that. They are kept out by where a request comes from, and by the name under which it reached us (DNS rebinding).
 */
export function ownPagesOnly({ apiToken }: Config): MiddlewareHandler {
  return async (c, next) => {
    const { host, hostname } = new URL(c.req.url);
    const origin = c.req.header('Origin');
    const changes = c.req.method !== 'GET' && c.req.method !== 'HEAD';
    if (changes && origin !== undefined && !(URL.canParse(origin) && new URL(origin).host === host)) {
      throw new ApiError(403, 'foreign_origin', `A page of ${origin} may not change anything here.`);
    }
    if (apiToken === undefined && !isLoopback(hostname.replace(/^\[|\]$/g, ''))) {
      throw new ApiError(
        403,
        'foreign_host',
        `Without a token the API answers to 127.0.0.1 and localhost, not to ${hostname}. Set SLUICE_API_TOKEN to use other names.`,
      );
    }
    await next();
  };
}
