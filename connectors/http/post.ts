import { createHmac } from 'node:crypto';
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { setImmediate } from 'node:timers/promises';
import { PoisonError } from '../poison-error.ts';
import { ConfigurationError } from '../sink.ts';
import { TransientError, isNetworkError } from '../transient-error.ts';
import { Compressor } from './compressor.ts';
import { PrivateAddress, demandPublic, publicLookup } from './public-address.ts';

export type PostOptions = { readonly url: string; readonly secret: string; readonly allowPrivate: boolean; readonly timeoutMs: number };

/** A body as it goes out, and as it is signed: `parts` one after another. */
export type Content = { readonly parts: readonly Uint8Array[]; readonly encoding?: 'zstd' };

export interface Poster {
  /** `write` is called once, later; what it returns must not change until the content was posted. */
  content(write: () => Uint8Array): Promise<Content>;
  /** Returns when the other side has accepted the message, and nobody reads the content any more. Throws TransientError, PoisonError or ConfigurationError. */
  post(id: string, content: Content): Promise<void>;
  close(): void;
}

/**
 * Posts messages to one address, signed by Standard Webhooks (HMAC-SHA256 over `id.timestamp.body`, see
 * https://github.com/standard-webhooks/standard-webhooks). Connections are kept; redirects are not followed. Bodies are
 * compressed once the other side has said that it takes it, by `Accept-Encoding: zstd` in an answer (RFC 9110, 12.5.3).
 */
export class HttpPoster implements Poster {
  readonly #url: URL;
  readonly #key: Buffer;
  readonly #options: PostOptions;
  readonly #agent: HttpAgent | HttpsAgent;
  readonly #compressors = Array.from({ length: compressedAtOnce }, () => new Compressor());
  #contents = 0;
  #takesZstd = false;
  /** It said that it takes it, and did not. */
  #refusedZstd = false;

  constructor(options: PostOptions) {
    this.#url = new URL(options.url);
    this.#key = Buffer.from(options.secret.replace(/^whsec_/, ''), 'base64');
    this.#options = options;
    this.#agent = this.#url.protocol === 'https:' ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true });
  }

  /**
   * Of several that are asked for at once one is written while another is compressed, each in a turn of its own: whoever
   * else wants something of this thread waits for one at most.
   */
  content(write: () => Uint8Array): Promise<Content> {
    const compressor = this.#compressors[this.#contents++ % this.#compressors.length]!;
    return compressor.alone(async () => {
      await setImmediate();
      const body = write();
      return this.#takesZstd && body.length >= worthCompressing ? { parts: await compressor.compress(body), encoding: 'zstd' } : { parts: [body] };
    });
  }

  async post(id: string, content: Content): Promise<void> {
    const { url } = this.#options;
    let response: Answer;
    try {
      if (!this.#options.allowPrivate) demandPublic(this.#url.hostname);
      response = await this.#send(id, content);
    } catch (error) {
      if (error instanceof PrivateAddress) throw new ConfigurationError(`${url}: ${error.message}. Rows are posted to public addresses only, unless private ones are allowed.`, { cause: error });
      if (isNetworkError(error) || (error as Error).name === 'TimeoutError') throw new TransientError(`${url}: ${(error as Error).message}`, { cause: error });
      throw error;
    }
    if (response.status === 415 && content.encoding) this.#refusedZstd = true;
    this.#takesZstd = !this.#refusedZstd && takesZstd(response.acceptEncoding ?? '');
    if (response.status === 415 && content.encoding) throw new TransientError(`${url} takes no ${content.encoding} any more`);
    judge(url, response);
    // it may say so before it has all of the body
    await response.sent;
  }

  close(): void {
    this.#agent.destroy();
    for (const compressor of this.#compressors) compressor.close();
  }

  #send(id: string, { parts, encoding }: Content): Promise<Answer> {
    const timestamp = String(Math.floor(Date.now() / 1000));
    const hmac = createHmac('sha256', this.#key).update(`${id}.${timestamp}.`);
    for (const part of parts) hmac.update(part);
    const signature = hmac.digest('base64');
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const request = (this.#url.protocol === 'https:' ? httpsRequest : httpRequest)(this.#url, {
      method: 'POST',
      agent: this.#agent,
      signal: AbortSignal.timeout(this.#options.timeoutMs),
      ...(!this.#options.allowPrivate && { lookup: publicLookup }),
      headers: {
        'content-type': 'application/json',
        'content-length': parts.reduce((sum, part) => sum + part.length, 0),
        ...(encoding && { 'content-encoding': encoding }),
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': `v1,${signature}`,
      },
    });
    const sent = new Promise<void>((done) => request.on('finish', done).on('close', done));
    request.on('error', (error) => reject(error.name === 'AbortError' ? (error.cause ?? error) : error));
    request.on('response', (answer: IncomingMessage) => {
      answer.on('error', reject);
      const { statusCode: status = 0, headers } = answer;
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => {
        if (text.length < mostOfAnswer) text += chunk.slice(0, mostOfAnswer - text.length);
      });
      answer.on('end', () => resolve({ status, text, retryAfter: headers['retry-after'], acceptEncoding: headers['accept-encoding'], sent }));
    });
    for (const part of parts) request.write(part);
    request.end();
    return promise;
  }
}

/** `sent`: all of the request is out of our hands, or will never be. */
type Answer = { readonly status: number; readonly text: string; readonly retryAfter: string | undefined; readonly acceptEncoding: string | undefined; readonly sent: Promise<void> };

function judge(url: string, { status, retryAfter, text }: Answer): void {
  if (status >= 200 && status < 300) return;
  if (status === 408 || status === 425 || status === 429 || status >= 500) throw new TransientError(`${url} answered ${status}`, { retryAfterMs: parseRetryAfter(retryAfter) });
  if (status === 400 || status === 413 || status === 422) throw new PoisonError(`${url} answered ${status}: it refuses the content`, `${url} answered ${status}${text && `: ${text}`}`);
  if (status >= 300 && status < 400) throw new ConfigurationError(`${url} answered ${status}, a redirect, which is not followed: signed rows go only where the definition says. Set the final address.`);
  if (status === 410) throw new ConfigurationError(`${url} answered 410: the receiver wants no more messages. Remove the sink, or set another address.`);
  if (status === 401 || status === 403) throw new ConfigurationError(`${url} answered ${status}: it does not accept our signature. Compare its secret with SLUICE_EXTERNAL_SECRET, and its clock with ours.`);
  throw new ConfigurationError(`${url} answered ${status}: it refuses the message. See its log, then resume the lane.`);
}

/** A quality of 0 is a refusal. */
function takesZstd(acceptEncoding: string): boolean {
  return acceptEncoding.split(',').some((coding) => /^\s*zstd\s*(;\s*q=(?!0(\.0*)?\s*$).*)?$/i.test(coding));
}

/** Seconds, or a date. */
function parseRetryAfter(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const milliseconds = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(milliseconds) ? Math.max(0, milliseconds) : undefined;
}

const worthCompressing = 1024;
/** One is written while others are compressed. */
const compressedAtOnce = 3;
/** Bodies: the next one is begun before one that was compressed is given back. */
export const mostBodies = 2 * compressedAtOnce;

/** Of what a receiver says, for the reason of a dead letter. */
const mostOfAnswer = 500;
