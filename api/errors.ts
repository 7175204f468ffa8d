import { z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { Logger } from 'pino';
import type { ZodError } from 'zod';
import { BadInput } from '../core/bad-input.ts';

/** The one shape of every error. */
export const ErrorBody = z
  .object({
    error: z.object({
      code: z.string().openapi({ example: 'unknown_pipeline' }),
      message: z.string().openapi({ description: 'What happened, to what, and what to do.' }),
    }),
  })
  .openapi('Error');

/** An answer that is not a success, thrown wherever it is found out. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: ContentfulStatusCode;
  readonly code: string;
  constructor(status: ContentfulStatusCode, code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
    this.code = code;
  }
}

export function errorAnswer(
  c: Context,
  { status, code, message }: Pick<ApiError, 'status' | 'code' | 'message'>,
): Response {
  return c.json({ error: { code, message } }, status);
}

export function onError(log: Logger) {
  return (error: Error, c: Context): Response => {
    if (error instanceof ApiError) {
      if (error.status >= 500) log.warn({ error: error.cause ?? error, path: c.req.path }, error.message);
      return errorAnswer(c, error);
    }
    if (error instanceof HTTPException) return errorAnswer(c, ofHttpException(error));
    log.error({ error, path: c.req.path }, 'a request failed');
    return errorAnswer(c, {
      status: 500,
      code: 'internal',
      message: "An unexpected error; the API's log has its stack (./sluice logs api).",
    });
  };
}

export function onNotFound(c: Context): Response {
  const message = `There is nothing at ${c.req.method} ${c.req.path}. GET /openapi.json lists what there is.`;
  return errorAnswer(c, { status: 404, code: 'not_found', message });
}

/** Input that its schema does not take. */
export function onInvalid(
  result: { success: true } | { success: false; error: ZodError },
  c: Context,
): Response | undefined {
  if (result.success) return undefined;
  const issues = result.error.issues.map(({ path, message }) =>
    path.length > 0 ? `${path.join('.')}: ${message}` : message,
  );
  return errorAnswer(c, {
    status: 400,
    code: 'invalid_request',
    message: `The request cannot be used: ${issues.join('; ')}.`,
  });
}

type ErrorResponses<Status extends number> = {
  [S in Status]: { description: string; content: { 'application/json': { schema: typeof ErrorBody } } };
};

/** For `createRoute`: which errors a route answers. */
export function errorResponses<Status extends number>(...statuses: Status[]): ErrorResponses<Status> {
  const response = (status: number) => [
    status,
    { description: meaning[status] ?? 'Error', content: { 'application/json': { schema: ErrorBody } } },
  ];
  return Object.fromEntries(statuses.map(response)) as ErrorResponses<Status>;
}

const meaning: Readonly<Record<number, string>> = {
  400: 'The request is malformed',
  401: 'The token is missing or wrong',
  404: 'No such pipeline, lane, dead letter or backfill',
  409: 'It is settled, or goes on, already',
  503: 'Something that is needed cannot be reached',
};

function ofHttpException({ status, message }: HTTPException): Pick<ApiError, 'status' | 'code' | 'message'> {
  if (/malformed json/i.test(message)) {
    return {
      status: 400,
      code: 'malformed_json',
      message: 'The body is not JSON. Send {"lane": "<name>"}, or no body at all for the whole pipeline.',
    };
  }
  return { status: status as ContentfulStatusCode, code: 'refused', message };
}

/** With this answer to what cannot be meant. */
export async function asked<T>(status: 400 | 404 | 409 | 503, code: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { message } = error as Error;
    if (error instanceof BadInput) throw new ApiError(status, code, message);
    throw new ApiError(503, 'unavailable', message, { cause: error });
  }
}
