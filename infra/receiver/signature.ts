import type { Hmac } from 'node:crypto';
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

const toleranceSeconds = 300;

/**
 * Checks a message by Standard Webhooks, while its body arrives. The `standardwebhooks` package does the same, some ten
 * times slower on messages of this size.
 */
export class SignatureCheck {
  readonly #headers: { readonly id: string; readonly signatures: string } | undefined;
  readonly #hmac: Hmac;

  constructor(headers: IncomingHttpHeaders, key: Buffer, nowMs: number) {
    const [id, timestamp, signatures] = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) => headers[name]);
    this.#hmac = createHmac('sha256', key);
    if (typeof id !== 'string' || typeof timestamp !== 'string' || typeof signatures !== 'string') return;
    if (!(Math.abs(nowMs / 1000 - Number(timestamp)) <= toleranceSeconds)) return;
    this.#headers = { id, signatures };
    this.#hmac.update(`${id}.${timestamp}.`);
  }

  update(chunk: Buffer): void {
    if (this.#headers) this.#hmac.update(chunk);
  }

  /** The message's id; undefined: it is not signed with this key, or too long ago. */
  verifiedId(): string | undefined {
    if (!this.#headers) return undefined;
    const expected = this.#hmac.digest();
    const isSigned = this.#headers.signatures.split(' ').some((signature) => {
      const [version, value = ''] = signature.split(',');
      const given = Buffer.from(value, 'base64');
      return version === 'v1' && given.length === expected.length && timingSafeEqual(given, expected);
    });
    return isSigned ? this.#headers.id : undefined;
  }
}
