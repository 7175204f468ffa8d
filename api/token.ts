import { createHash, timingSafeEqual } from 'node:crypto';
import type { Context, MiddlewareHandler } from 'hono';
import { getCookie, setCookie } from 'hono/cookie';
import type { Config } from '../core/config.ts';
import { ApiError } from './errors.ts';

/**
 * Lets in who has the token: `Authorization: Bearer`, or `?token=` or the cookie of POST /session, since a browser's
 * event stream cannot set headers.
 */
export function requireToken({ apiToken, apiPort }: Config): MiddlewareHandler {
  const expected = apiToken === undefined ? undefined : digest(apiToken);
  return async (c, next) => {
    if (expected !== undefined) {
      const given = bearer(c) ?? c.req.query('token') ?? getCookie(c, cookieName(apiPort));
      if (given === undefined || !timingSafeEqual(digest(given), expected)) {
        c.header('WWW-Authenticate', 'Bearer realm="sluice"');
        throw new ApiError(401, 'unauthorized', given === undefined ? missing : wrong);
      }
    }
    await next();
  };
}

/** Keeps a token that was let in, for the dashboard. Scripts cannot read it, other sites cannot send it. */
export function rememberToken(c: Context, { apiPort }: Config): void {
  const token = bearer(c);
  if (token !== undefined) setCookie(c, cookieName(apiPort), token, { httpOnly: true, sameSite: 'Strict', path: '/' });
}

const missing = 'This API asks for a token: Authorization: Bearer <the value of SLUICE_API_TOKEN>.';
const wrong = 'The token is wrong. It is the value of SLUICE_API_TOKEN where the API was started.';

/** Ports share cookies, and two instances have two tokens. */
function cookieName(port: number): string {
  return `sluice_token_${port}`;
}

function bearer(c: Context): string | undefined {
  return /^Bearer (?<token>\S+)$/i.exec(c.req.header('Authorization') ?? '')?.groups!['token'];
}

/** Equal lengths, whatever the input: the comparison takes the same time. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
