import { createServer } from 'node:http';
import { zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import { Client } from 'pg';
import { Webhook } from 'standardwebhooks';
import { describe, expect, test } from 'vitest';
import { httpSink } from '../../connectors/http/http-sink.ts';
import { JsonBuffer } from '../../connectors/http/json-buffer.ts';
import { MessageWriter } from '../../connectors/http/message.ts';
import { PendingInState } from '../../connectors/http/pending.ts';
import { PoisonError } from '../../connectors/poison-error.ts';
import { migrate } from '../../connectors/postgres/state/migrate.ts';
import { openState } from '../../connectors/postgres/state/state.ts';
import { ConfigurationError, FenceMoved } from '../../connectors/sink.ts';
import { TransientError } from '../../connectors/transient-error.ts';
import type { Position } from '../../core/position.ts';
import { position } from '../../core/position.ts';
import type { TextRow } from '../../core/segment-builder.ts';
import { SignatureCheck } from '../../infra/receiver/signature.ts';
import { createReceiver } from '../../infra/receiver/receiver.ts';
import { ReceiverStore } from '../../infra/receiver/store.ts';
import { throwAwayDatabase } from '../embedded/services.ts';
import { foldedAt, listen, secret } from './servers.ts';
import type { Intent } from './stream.ts';
import { contents, endOf, intents, pipeline, segmentsOf, streamOf } from './stream.ts';

const zero = position(1, 0n, 0);

async function stateDatabase() {
  const database = await throwAwayDatabase();
  const client = new Client({ connectionString: database.url });
  await client.connect();
  const state = openState(database.url);
  await migrate(state);
  await state.end();
  return {
    url: database.url,
    client,
    async [Symbol.asyncDispose]() {
      await client.end();
      await database[Symbol.asyncDispose]();
    },
  };
}

function sinkTo(address: string, stateUrl: string, options: { maxRows?: number; inFlight?: number; allowPrivate?: boolean; secret?: string } = {}) {
  const { maxRows = 7, inFlight = 1, allowPrivate = true } = options;
  const definition = { kind: 'http', url: `${address}/events`, secret: options.secret ?? secret, initialLoad: true, maxRows, inFlight, gatherMs: 0 } as const;
  return httpSink(pipeline, 'external', definition, { stateUrl, allowPrivate });
}

function expected(rows: Iterable<TextRow>) {
  return [...rows].map((row) => {
    const place = contents.indexOf(row['content_id'] ?? '');
    const payload = row['raw_payload'];
    return {
      id: Number(row['id']), content_id: row['content_id'] ?? null, user_id: row['user_id'] ?? null, event_type: row['event_type'] ?? null,
      event_ts: shown(row['event_ts']!), duration_ms: row['duration_ms'] == null ? null : Number(row['duration_ms']),
      device: row['device'] ?? null, raw_payload: payload == null ? null : (JSON.parse(payload) as unknown),
      title: place >= 0 && place < 4 ? `Title ${place} "ü"` : null,
    };
  }).sort((a, b) => (String(a.id) < String(b.id) ? -1 : 1));
}

function shown(time: string): string {
  if (time.endsWith('Z')) return time.replace('Z', '000Z');
  if (time.endsWith('BC') || time.includes('infinity')) return time;
  return time.replace(' ', 'T').replace(/(\.\d+)?\+00$/, (_, fraction: string | undefined) => `${fraction ?? '.000000'}Z`);
}

const insert = (device = 'x'): Intent => ({ kind: 'insert', slot: 0, row: { event_ts: '2026-11-21T10:00:00.000Z', device } });

describe('HTTP', () => {
  test('a message is the same in memory that must grow and in memory that was used before, and its pieces are the whole', () => {
    const used = new JsonBuffer(1 << 20);
    used.buffer.fill('}');
    fc.assert(
      fc.property(intents, fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 12 }), (list, size, maxRows) => {
        const { segments } = streamOf(list, size, new Set());
        const writer = new MessageWriter(pipeline);
        const message = (out: JsonBuffer, from: Position, to: Position) => {
          const events = writer.events(out, segments, from, to);
          const text = out.view().toString();
          expect(JSON.parse(text)).toHaveLength(events);
          return text;
        };
        const whole = message(used, zero, endOf(segments));
        expect(message(new JsonBuffer(0), zero, endOf(segments))).toBe(whole);
        const ends = writer.pieces(segments, zero, endOf(segments), maxRows);
        const pieces = ends.map((end, index) => message(used, ends[index - 1] ?? zero, end));
        expect(`[${pieces.map((piece) => piece.slice(1, -1)).filter(Boolean).join(',')}]`).toBe(whole);
      }),
      { numRuns: 30 },
    );
  });

  test('E12: the receiver folds to the rows of the source, in any pieces, sent once or again', async () => {
    await using state = await stateDatabase();
    const cuts = fc.uniqueArray(fc.nat(70), { maxLength: 6 }).map((list) => new Set(list));
    await fc.assert(
      fc.asyncProperty(intents, fc.integer({ min: 1, max: 9 }), cuts, cuts, fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 3 }), async (list, size, cutsA, cutsB, maxRows, inFlight) => {
        const store = new ReceiverStore(':memory:');
        await using receiver = await listen(createReceiver(store, secret));
        const sink = sinkTo(receiver.address, state.url, { maxRows, inFlight });
        const { segments, table, transactions } = streamOf(list, size, cutsA);
        const setBack = () => state.client.query('delete from sluice.fence').then(() => sink.finishLoad(zero));
        await setBack();
        let fence: Position = zero;
        let events = 0;
        for (const segment of segments) {
          events += (await sink.apply([segment], fence, segment.header.to)).events;
          fence = segment.header.to;
        }
        const check = async () => {
          const rows = expected(table.rows.values());
          const folded = await foldedAt(receiver.address);
          expect(folded).toMatchObject(rows.map((row) => ({ key: String(row.id), row })));
          expect(folded).toHaveLength(rows.length);
        };
        await check();
        expect(store.counts()).toMatchObject({ events, duplicates: 0 });
        // the fence goes back, the cuts are others: everything is sent again, in other messages
        await setBack();
        await sink.apply(segmentsOf(transactions, cutsB), zero, endOf(segments));
        await check();
        await sink.close();
        store.close();
      }),
      { numRuns: 25 },
    );
  }, 120_000);

  test('E12: what was recorded and not accepted is sent again as the same message, whatever was gathered meanwhile', async () => {
    await using state = await stateDatabase();
    const seen: { id: string; body: string }[] = [];
    let answers: number[] = [];
    const server = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      new Webhook(secret).verify(body, request.headers as Record<string, string>);
      seen.push({ id: request.headers['webhook-id'] as string, body });
      response.writeHead(answers.shift() ?? 200, { 'retry-after': '3' }).end();
    });
    await using receiver = await listen(server);
    const { segments } = streamOf(Array.from({ length: 20 }, () => insert()), 2, new Set());
    const first = sinkTo(receiver.address, state.url);
    await first.finishLoad(zero);
    answers = [200, 200, 503];
    const failure = await first.apply(segments.slice(0, 3), zero, segments[2]!.header.to).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(TransientError);
    expect((failure as TransientError).retryAfterMs).toBe(3000);
    await first.close();

    const next = sinkTo(receiver.address, state.url);
    const fence = (await next.readFence())!;
    expect(fence > zero).toBe(true);
    expect((await state.client.query('select from sluice.http_pending')).rowCount).toBe(1);
    await next.apply(segments, fence, endOf(segments));
    expect(seen[3]).toEqual(seen[2]);
    expect(new Set(seen.map(({ id }) => id)).size).toBe(seen.length - 1);
    const positions = seen.filter((_, index) => index !== 2).flatMap(({ body }) => (JSON.parse(body) as { position: string }[]).map((event) => event.position));
    expect(positions).toEqual([...new Set(positions)].sort());
    expect(positions).toHaveLength(20);
    expect((await state.client.query('select from sluice.http_pending')).rowCount).toBe(0);
    await next.close();
  });

  test('E12: with several on their way, what may have arrived is sent again in the same messages, and also a second time', async () => {
    await using state = await stateDatabase();
    const { segments } = streamOf(Array.from({ length: 40 }, () => insert()), 3, new Set([4, 17]));
    const seen = new Map<string, string>();
    const taken = new Set<string>();
    let accepted = 0;
    let arrived = 0;
    const server = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      const id = request.headers['webhook-id'] as string;
      expect(body).toBe(seen.get(id) ?? body);
      seen.set(id, body);
      // also one whose successors are accepted
      const status = arrived++ % 4 === 0 ? 503 : 200;
      if (status === 200) {
        accepted++;
        taken.add(body);
      }
      response.writeHead(status).end();
    });
    await using receiver = await listen(server);
    const options = { maxRows: 4, inFlight: 3 };
    const begin = sinkTo(receiver.address, state.url, options);
    await begin.finishLoad(zero);
    await begin.close();
    let gathered = 1;
    for (;;) {
      const sink = sinkTo(receiver.address, state.url, options);
      const fence = (await sink.readFence())!;
      const to = segments[Math.min(gathered++, segments.length) - 1]!.header.to;
      if (fence < to) await sink.apply(segments, fence, to).catch((error: unknown) => void expect(error).toBeInstanceOf(TransientError));
      await sink.close();
      if (fence === endOf(segments)) break;
    }
    const positions = [...taken].flatMap((body) => (JSON.parse(body) as { position: string }[]).map((event) => event.position));
    expect(new Set(positions).size).toBe(40);
    expect(positions).toHaveLength(40);
    expect(taken).toEqual(new Set(seen.values()));
    expect(accepted).toBeGreaterThan(seen.size);
    expect((await state.client.query('select from sluice.http_pending')).rowCount).toBe(0);
  });

  test('I3: the fence moves over messages that were accepted, as many as follow one another, and over no other', async () => {
    await using state = await stateDatabase();
    const { segments } = streamOf(Array.from({ length: 40 }, () => insert()), 40, new Set());
    type Arrived = { readonly positions: readonly Position[]; readonly answer: (status: number) => Promise<void> };
    const [arrived, taken] = [[] as Arrived[], [] as Position[]];
    const four = Promise.withResolvers<void>();
    const server = createServer(async (request, response) => {
      const positions = (JSON.parse(Buffer.concat(await request.toArray()).toString()) as { position: Position }[]).map((event) => event.position);
      const answer = async (status: number) => {
        if (status === 200) taken.push(...positions);
        await new Promise<void>((done) => response.writeHead(status).end(done));
      };
      // the first four wait for each other
      const count = arrived.push({ positions, answer });
      if (count === 4) four.resolve();
      if (count > 4) await answer(200);
    });
    await using receiver = await listen(server);
    const options = { maxRows: 4, inFlight: 4 };
    const sink = sinkTo(receiver.address, state.url, options);
    await sink.finishLoad(zero);
    const failure = sink.apply(segments, zero, endOf(segments)).catch((error: unknown) => error);
    await four.promise;
    const [first, second, third, fourth] = arrived.slice(0, 4).sort((a, b) => (a.positions[0]! < b.positions[0]! ? -1 : 1));
    await fourth!.answer(200);
    await second!.answer(200);
    await third!.answer(503);
    await first!.answer(200);
    expect(await failure).toBeInstanceOf(TransientError);
    await sink.close();

    const next = sinkTo(receiver.address, state.url, options);
    const fence = (await next.readFence())!;
    expect([first!.positions.at(-1), second!.positions.at(-1)]).toContain(fence);
    await next.apply(segments, fence, endOf(segments));
    expect([...new Set(taken)]).toHaveLength(40);
    expect(await next.readFence()).toBe(endOf(segments));
    await next.close();
  });

  test('bodies are compressed for a receiver that says it takes that, as long as it says so', async () => {
    await using state = await stateDatabase();
    const seen: { encoding: string | undefined; events: number }[] = [];
    const answers: [number, string | undefined][] = [[200, undefined], [200, 'gzip, zstd'], [200, 'zstd'], [415, 'gzip'], [200, undefined], [200, undefined]];
    const server = createServer(async (request, response) => {
      const bytes = Buffer.concat(await request.toArray());
      // as sent; the library takes texts only
      const check = new SignatureCheck(request.headers, Buffer.from(secret.slice('whsec_'.length), 'base64'), Date.now());
      check.update(bytes);
      expect(check.verifiedId()).toBeDefined();
      const encoding = request.headers['content-encoding'];
      const body = (encoding === 'zstd' ? zstdDecompressSync(bytes) : bytes).toString();
      seen.push({ encoding, events: (JSON.parse(body) as unknown[]).length });
      const [status, takes] = answers.shift()!;
      response.writeHead(status, takes === undefined ? {} : { 'accept-encoding': takes }).end();
    });
    await using receiver = await listen(server);
    const { segments } = streamOf(Array.from({ length: 50 }, () => insert('d'.repeat(100))), 5, new Set());
    const sink = sinkTo(receiver.address, state.url, { maxRows: 10 });
    await sink.finishLoad(zero);
    await expect(sink.apply(segments, zero, endOf(segments))).rejects.toThrow(TransientError);
    // not taken any more: it goes again as it is
    await sink.apply(segments, (await sink.readFence())!, endOf(segments));
    expect(seen).toEqual([undefined, undefined, undefined, 'zstd', undefined, undefined].map((encoding) => ({ encoding, events: 10 })));
    await sink.close();
  });

  test('I3: a worker whose fence was overtaken is told', async () => {
    await using state = await stateDatabase();
    const store = new ReceiverStore(':memory:');
    await using receiver = await listen(createReceiver(store, secret));
    const [sink, zombie] = [sinkTo(receiver.address, state.url), sinkTo(receiver.address, state.url)];
    const { segments } = streamOf([insert(), insert()], 1, new Set());
    await sink.finishLoad(zero);
    await sink.apply(segments, zero, endOf(segments));
    await expect(zombie.apply(segments, zero, endOf(segments))).rejects.toThrow(FenceMoved);
    expect(store.counts()).toEqual({ messages: 1, events: 2, duplicates: 0 });
    await sink.close();
    await zombie.close();
  });

  test('E28: the load is sent in pieces that can be repeated, and a second load buries the first', async () => {
    await using state = await stateDatabase();
    const store = new ReceiverStore(':memory:');
    await using receiver = await listen(createReceiver(store, secret));
    const sink = sinkTo(receiver.address, state.url);
    const { segments } = streamOf(Array.from({ length: 18 }, () => insert()), 18, new Set());
    for (const segment of [...segments, ...segments]) await sink.load(segment, 0);
    expect(store.counts()).toEqual({ messages: 3, events: 18, duplicates: 3 });
    await sink.finishLoad(position(2, 5n, 0));
    expect(await foldedAt(receiver.address)).toEqual([]);
    expect(await sink.readFence()).toBe(position(2, 5n, 0));
    await sink.close();
  });

  test('I3: the end of a load that was superseded moves no fence, and forgets nothing that is being sent', async () => {
    await using state = await stateDatabase();
    await using receiver = await listen(createReceiver(new ReceiverStore(':memory:'), secret));
    const [zombie, sink] = [sinkTo(receiver.address, state.url), sinkTo(receiver.address, state.url)];
    const loadedAt = position(2, 0n, 0);
    await sink.finishLoad(loadedAt);
    const pending = new PendingInState(state.url, pipeline.name, 'external');
    const sending = { from: loadedAt, to: position(2, 50n, 1) };
    expect(await pending.record(sending, 'm')).toBe(true);
    await expect(zombie.finishLoad(zero)).rejects.toThrow(FenceMoved);
    // its own end, again: an answer was lost, and the lane has begun
    await sink.finishLoad(loadedAt);
    expect([await pending.readFence(), await pending.read()]).toEqual([loadedAt, sending]);
    // and the next load's
    await zombie.finishLoad(position(3, 0n, 0));
    expect([await pending.readFence(), await pending.read()]).toEqual([position(3, 0n, 0), undefined]);
    for (const each of [pending, sink, zombie]) await each.close();
  });

  test.each([
    [{ status: 429 }, TransientError],
    [{ status: 500 }, TransientError],
    [{ status: 302 }, ConfigurationError],
    [{ status: 404 }, ConfigurationError],
    [{ status: 410 }, ConfigurationError],
    [{ status: 401 }, ConfigurationError],
    [{ status: 400 }, PoisonError],
    [{ status: 413 }, PoisonError],
    [{ status: 422 }, PoisonError],
  ])('an answer %o is %o', async ({ status }, kind) => {
    await using state = await stateDatabase();
    await using receiver = await listen(createServer((request, response) => void request.resume().on('end', () => response.writeHead(status, { location: 'http://example.com/' }).end())));
    const sink = sinkTo(receiver.address, state.url);
    const { segments } = streamOf([insert()], 1, new Set());
    await sink.finishLoad(zero);
    await expect(sink.apply(segments, zero, endOf(segments))).rejects.toThrow(kind);
    expect(await sink.readFence()).toBe(zero);
    await sink.close();
  });

  test('addresses that are not public are refused, also behind a name; nobody there is transient', async () => {
    await using state = await stateDatabase();
    const { segments } = streamOf([insert()], 1, new Set());
    for (const address of ['http://127.0.0.1:1', 'http://localhost:1', 'http://[::1]:1', 'http://169.254.169.254', 'http://[::ffff:10.0.0.1]:1']) {
      const sink = sinkTo(address, state.url, { allowPrivate: false });
      await sink.finishLoad(zero);
      await expect(sink.apply(segments, zero, endOf(segments))).rejects.toThrow(/not a public address/);
      await sink.close();
    }
    const sink = sinkTo('http://127.0.0.1:1', state.url);
    await expect(sink.apply(segments, zero, endOf(segments))).rejects.toThrow(TransientError);
    await sink.close();
  });
});
