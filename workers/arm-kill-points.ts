import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { armKillPoint, type KillPoint, killPoints } from '../core/kill-point.ts';

/** What `./sluice chaos` writes into the directory: die there, or keep the event loop busy for so long. */
type Order = { readonly point: KillPoint; /** So often it is passed unharmed before. */ readonly passes?: number; readonly blockMs?: number };

const lookMs = 20;

/**
 * Watches the file `armed`, in a worker that was started with SLUICE_KILL_POINTS only. Whoever passes the point first
 * moves the order to `struck`, with its pid, so that one order strikes once, however many workers there are.
 */
export function watchKillPoints(directory: string): void {
  const armed = join(directory, 'armed');
  let seen = '';
  const look = () => {
    const text = readIfThere(armed);
    if (text === seen) return;
    seen = text;
    const order = text === '' ? undefined : (JSON.parse(text) as Order);
    if (order && !killPoints.includes(order.point)) throw new TypeError(`${armed}: there is no kill point ${order.point}`);
    armKillPoint(order?.point, order?.passes, (lane) => strike(directory, armed, order!, lane));
  };
  // the first load may pass its points before the first tick
  look();
  setInterval(look, lookMs).unref();
}

function strike(directory: string, armed: string, order: Order, lane: string | undefined): void {
  const mine = join(directory, `struck.${process.pid}`);
  try {
    renameSync(armed, mine);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return; // another worker was first
    throw error;
  }
  writeFileSync(mine, JSON.stringify({ ...order, ...(lane === undefined ? {} : { lane }), pid: process.pid, atMs: Date.now() }), { flush: true });
  renameSync(mine, join(directory, 'struck'));
  const forever = new Int32Array(new SharedArrayBuffer(4));
  if (order.blockMs === undefined) process.kill(process.pid, 'SIGKILL');
  Atomics.wait(forever, 0, 0, order.blockMs);
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
