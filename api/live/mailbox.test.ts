import { expect, test } from 'vitest';
import { Mailbox } from './mailbox.ts';

test('of each event only the newest waits', async () => {
  const mailbox = new Mailbox();
  mailbox.put('results', '1');
  mailbox.put('status', 'a');
  mailbox.put('results', '2');
  expect(await mailbox.take(0)).toEqual({ event: 'results', data: '2' });
  expect(await mailbox.take(0)).toEqual({ event: 'status', data: 'a' });
  expect(await mailbox.take(0)).toBe('quiet');
});

test('what was sent already is not sent again, also when it changed and changed back', async () => {
  const mailbox = new Mailbox();
  mailbox.put('status', 'a');
  await mailbox.take(0);
  mailbox.put('status', 'b');
  mailbox.put('status', 'a');
  expect(await mailbox.take(0)).toBe('quiet');
});

test('a waiting client is woken by an event, and by the end', async () => {
  const mailbox = new Mailbox();
  const next = mailbox.take(60_000);
  mailbox.put('status', 'a');
  expect(await next).toEqual({ event: 'status', data: 'a' });
  const last = mailbox.take(60_000);
  mailbox.close();
  expect(await last).toBe('closed');
});
