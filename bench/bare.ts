import { ReplicationStream } from '../connectors/postgres/replication-stream.ts';
import type { Lsn } from '../core/position.ts';
import { cpuSeconds } from './processes.ts';

/** `rows`: inserted, updated and deleted ones. `walsenderCpu`: seconds, of the source's process that sent it. */
export type Received = { readonly rows: number; readonly bytes: number; readonly seconds: number; readonly walsenderCpu: number };

/** Receives a slot's changes as the capture does, and only counts them, until the message `marker` comes. The source is on this machine. */
export async function receiveBare(options: { url: string; slot: string; publication: string; from: Lsn; marker: string }): Promise<Received> {
  const done = Promise.withResolvers<void>();
  const wanted = Buffer.from(`${options.marker}\0`);
  let rows = 0;
  let total = 0;
  const startedAt = performance.now();
  const stream = await ReplicationStream.start({
    ...options,
    applicationName: 'sluice bench',
    binary: true,
    target: {
      message(bytes, start, end) {
        total += end - start;
        const kind = bytes[start];
        if (kind === Message.insert || kind === Message.update || kind === Message.delete) rows++;
        else if (kind === Message.logical && bytes.compare(wanted, 0, wanted.length, start + 10, start + 10 + wanted.length) === 0) done.resolve();
      },
      server() {},
    },
  });
  try {
    await Promise.race([done.promise, stream.ended]);
    return { rows, bytes: total, seconds: (performance.now() - startedAt) / 1000, walsenderCpu: cpuSeconds(stream.pid!) };
  } finally {
    stream.close();
  }
}

const Message = { insert: 0x49, update: 0x55, delete: 0x44, logical: 0x4d } as const;
