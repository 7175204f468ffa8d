import type { MiddlewareHandler } from 'hono';
import { ApiError } from './errors.ts';

/** A body of another type would be passed over, and `pause` of one lane become `pause` of everything. */
export const jsonBodiesOnly: MiddlewareHandler = async (c, next) => {
  const hasBody = Number(c.req.header('Content-Length') ?? 0) > 0 || c.req.header('Transfer-Encoding') !== undefined;
  const type = c.req.header('Content-Type') ?? '';
  if (hasBody && !/^application\/json\s*(;|$)/i.test(type)) {
    throw new ApiError(
      415,
      'not_json',
      `The body has the type ${type || '(none)'}. Send JSON, with the header Content-Type: application/json.`,
    );
  }
  await next();
};
