import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { zstdCompressSync } from 'node:zlib';
import { Webhook } from 'standardwebhooks';
import { describe, expect, test } from 'vitest';
import { createReceiver } from '../../infra/receiver/receiver.ts';
import { ReceiverStore } from '../../infra/receiver/store.ts';
import { foldedAt, listen, secret } from './servers.ts';

const at = (place: number) => place.toString(16).padStart(32, '0');

describe('the receiver', () => {
  async function post(address: string, body: string, headers: Record<string, string>) {
    return (await fetch(`${address}/events`, { method: 'POST', body, headers })).status;
  }
  function signed(id: string, body: string, time = new Date(), key = secret): Record<string, string> {
    return { 'webhook-id': id, 'webhook-timestamp': String(Math.floor(time.getTime() / 1000)), 'webhook-signature': new Webhook(key).sign(id, time, body) };
  }

  test('takes a message once, refuses a wrong signature, an old one, and what is no list', async () => {
    const store = new ReceiverStore(':memory:');
    await using receiver = await listen(createReceiver(store, secret));
    const body = `[{"position":"${at(1)}","op":"insert","key":1,"row":{"a":12345678901234567890}}]`;
    expect(await post(receiver.address, body, signed('a', body))).toBe(200);
    expect(await post(receiver.address, body, signed('a', body))).toBe(200);
    expect(await post(receiver.address, body, {})).toBe(401);
    expect(await post(receiver.address, `${body} `, signed('b', body))).toBe(401);
    expect(await post(receiver.address, body, signed('b', body, new Date(), `whsec_${Buffer.from('another').toString('base64')}`))).toBe(401);
    expect(await post(receiver.address, body, signed('b', body, new Date(Date.now() - 3_600_000)))).toBe(401);
    expect(await post(receiver.address, '[{"no', signed('b', '[{"no'))).toBe(400);
    expect(await post(receiver.address, '{}', signed('b', '{}'))).toBe(400);
    expect(await (await fetch(`${receiver.address}/counts`)).json()).toEqual({ messages: 1, events: 1, duplicates: 1 });
    expect((await fetch(`${receiver.address}/health`)).status).toBe(200);
    expect(await (await fetch(receiver.address)).text()).toContain('1 events in 1 messages');
    expect(await (await fetch(`${receiver.address}/folded`)).text()).toBe(`{"key":"1","position":"${at(1)}","row":{"a":12345678901234567890}}\n`);
  });

  test('takes compressed bodies; what does not unpack to a list is left out when somebody asks', async () => {
    const store = new ReceiverStore(':memory:');
    await using receiver = await listen(createReceiver(store, secret));
    const send = async (id: string, body: Buffer) => {
      const seconds = Math.floor(Date.now() / 1000);
      const signature = createHmac('sha256', Buffer.from(secret.slice('whsec_'.length), 'base64')).update(`${id}.${seconds}.`).update(body).digest('base64');
      const headers = { 'webhook-id': id, 'webhook-timestamp': String(seconds), 'webhook-signature': `v1,${signature}`, 'content-encoding': 'zstd' };
      const { status, headers: answer } = await fetch(`${receiver.address}/events`, { method: 'POST', body: new Uint8Array(body), headers });
      expect(answer.get('accept-encoding')).toBe('zstd');
      return status;
    };
    const row = '{"text":"{\\"position\\":\\"","amount":12345678901234567890}';
    const body = zstdCompressSync(`[{"position":"${at(2)}","op":"update","key":"a","row":${row}},{"position":"${at(1)}","op":"insert","key":"a","row":{}},{"position":"${at(3)}","op":"delete","key":"b","row":null}]`);
    expect(await send('a', body)).toBe(200);
    expect(await send('b', body.subarray(0, 40))).toBe(200);
    expect(await send('c', zstdCompressSync('{}'))).toBe(200);
    expect(await send('d', zstdCompressSync(Buffer.alloc(65 << 20, '[')))).toBe(200);
    expect(store.counts()).toEqual({ messages: 4, events: 3, duplicates: 0 });
    expect(await send('e', zstdCompressSync(`[{"position":"${at(4)}","op":"delete","key":"b","row":null}]`))).toBe(200);
    expect(store.counts()).toEqual({ messages: 5, events: 4, duplicates: 0 });
    expect(await (await fetch(`${receiver.address}/folded`)).text()).toBe(`{"key":"a","position":"${at(2)}","row":${row}}\n`);
  });

  test('keeps what a file from when messages were counted as they came has', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'receiver-'));
    try {
      const file = join(directory, 'receiver.sqlite');
      const body = Buffer.from(`[{"position":"${at(1)}","op":"insert","key":1,"row":{}}]`);
      const old = new DatabaseSync(file);
      old.exec(`create table message (seq integer primary key, id text not null unique, received_at text not null default (datetime('now')), events integer not null, body blob not null);
        create table counter (duplicates integer not null, folded_up_to integer not null);
        insert into counter values (2, 0)`);
      old.prepare('insert into message (id, events, body) values (?, ?, ?)').run('a', 1, body);
      old.close();
      for (const messages of [2, 3]) {
        const store = new ReceiverStore(file);
        expect(store.accept('a', body)).toBe(false);
        expect(store.accept(String(messages), body)).toBe(true);
        expect(store.counts()).toEqual({ messages, events: messages, duplicates: messages + 1 });
        expect([...store.folded('')]).toEqual([{ key: '1', position: at(1), row: '{}' }]);
        store.close();
      }
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test('json values that look like events, or have line breaks, are values; a list that is none is left out', async () => {
    const store = new ReceiverStore(':memory:');
    await using receiver = await listen(createReceiver(store, secret));
    const row = `{"a":[{"position":"left"},\n {"position":"${at(9)}","op":"delete","key":1,"row":null}],"b":"\\\\"}`;
    store.accept('a', Buffer.from(`[{"position":"${at(1)}","op":"insert","key":1,"row":${row}}]`));
    store.accept('b', Buffer.from('[{"position": nothing}]'));
    store.accept('c', Buffer.from(`[{"position":"${at(2)}","op":"insert","key":2,"row":{}}]`));
    expect(await foldedAt(receiver.address)).toEqual([
      { key: '1', position: at(1), row: JSON.parse(row) as object },
      { key: '2', position: at(2), row: {} },
    ]);
  });

  test('takes a body of unknown length', async () => {
    const store = new ReceiverStore(':memory:');
    await using receiver = await listen(createReceiver(store, secret));
    const body = JSON.stringify(Array.from({ length: 20_000 }, (_, index) => ({ position: at(index), op: 'insert', key: index, row: {} })));
    const stream = new Blob([body]).stream();
    const { status } = await fetch(`${receiver.address}/events`, { method: 'POST', body: stream, duplex: 'half', headers: signed('a', body) } as RequestInit);
    expect(status).toBe(200);
    expect(store.counts()).toEqual({ messages: 1, events: 20_000, duplicates: 0 });
  });

  test('what it accepted survives kill -9', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'receiver-'));
    const free = createServer();
    const { address } = await listen(free);
    await new Promise((resolve) => free.close(resolve));
    const start = async (): Promise<ChildProcess> => {
      const child = spawn(process.execPath, [new URL('../../infra/receiver/main.ts', import.meta.url).pathname], {
        env: { ...process.env, SLUICE_DATA: directory, SLUICE_RECEIVER_PORT: new URL(address).port, SLUICE_EXTERNAL_SECRET: secret },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await Promise.race([once(child.stdout!, 'data'), once(child, 'exit').then(() => Promise.reject(new Error('the receiver did not start')))]);
      return child;
    };
    let child = await start();
    try {
      let accepted = 0;
      const body = `[{"position":"01","op":"insert","key":1,"row":{"a":"${'x'.repeat(1 << 20)}"}}]`;
      const sending = (async () => {
        for (;;) {
          if ((await post(address, body, signed(`m${accepted}`, body))) !== 200) throw new Error('not accepted');
          if (++accepted === 20) child.kill('SIGKILL');
        }
      })();
      await expect(sending).rejects.toThrow('fetch failed');
      if (child.signalCode === null) await once(child, 'exit');
      child = await start();
      const { messages } = (await (await fetch(`${address}/counts`)).json()) as { messages: number };
      expect(messages).toBeGreaterThanOrEqual(accepted);
      expect(messages).toBeLessThanOrEqual(accepted + 1);
      expect((await foldedAt(address)).map(({ key }) => key)).toEqual(['1']);
    } finally {
      child.kill('SIGKILL');
      rmSync(directory, { recursive: true });
    }
  });
});

