import { bytesText, rateText, timeText } from './quantities.ts';
import { slotLagLimit } from './slot-lag-limit.ts';

/** What the source says of a pipeline's slot at one moment; places in the WAL as numbers of bytes. */
export type SlotLook = {
  /** Of a clock that does not jump. */
  readonly atMs: number;
  readonly walEnd: number;
  /** What the source keeps begins here. */
  readonly restart: number;
  readonly confirmed: number;
  /** Somebody reads it now. */
  readonly reading: boolean;
  readonly status: 'reserved' | 'extended' | 'unreserved' | 'lost';
  /** max_slot_wal_keep_size; undefined: unlimited. */
  readonly keepBytes: number | undefined;
  /** What may still be written before the slot can be invalidated; undefined: nothing ends it. */
  readonly safeBytes: number | undefined;
};

/** Ours, to set beside the source's. */
export type SlotLimits = { readonly maxSlotLagBytes: number; readonly spoolBudgetBytes: number; readonly spoolBytes: number };

/** warning: within the hour, or the spool is nearly full. critical: within ten minutes. lost: it has happened. */
export const slotAlarms = ['none', 'warning', 'critical', 'lost'] as const;
export type SlotAlarm = (typeof slotAlarms)[number];

export type SlotForecast = {
  readonly alarm: SlotAlarm;
  readonly keptBytes: number;
  /** Until max_slot_wal_keep_size is reached, or maxSlotLag where the source has no limit. */
  readonly leftBytes: number;
  readonly walBytesPerSecond: number;
  /** Until then, if nothing changes; null: it is not going there. */
  readonly leftSeconds: number | null;
  readonly sentence: string;
};

/** The slot is not there, though the pipeline streams from it. */
export const slotGone: SlotForecast = { alarm: 'lost', keptBytes: 0, leftBytes: 0, walBytesPerSecond: 0, leftSeconds: 0, sentence: 'the slot is gone: somebody dropped it, and what is written since is not in the stream' };

/** E7, E20: how long the source can go on keeping what a slot needs, from looks at it over the last minute. */
export class SlotHistory {
  #looks: SlotLook[] = [];
  #spools: { readonly atMs: number; readonly bytes: number }[] = [];
  #restartSinceMs = 0;

  add(look: SlotLook, limits: SlotLimits): SlotForecast {
    const before = this.#looks.at(-1);
    if (before?.restart !== look.restart) this.#restartSinceMs = look.atMs;
    const isRecent = ({ atMs }: { atMs: number }, index: number, all: readonly { atMs: number }[]) => index >= all.length - 2 || atMs >= look.atMs - windowMs;
    this.#looks = [...this.#looks, look].filter(isRecent);
    const standsStill = look.atMs - this.#restartSinceMs >= windowMs;
    this.#spools = [...this.#spools, { atMs: look.atMs, bytes: limits.spoolBytes }].filter(isRecent);
    return forecast(look, limits, {
      walRate: perSecond(this.#looks.map(({ atMs, walEnd }) => ({ atMs, bytes: walEnd }))),
      spoolRate: perSecond(this.#spools),
      standsStill,
      heldByOthers: standsStill && look.reading && this.#looks[0]!.confirmed - look.restart > (look.walEnd - look.restart) / 2,
    });
  }
}

/** A slot's restart_lsn follows what is confirmed only every 15 s or so. */
const windowMs = 60_000;

type Motion = {
  readonly walRate: number;
  readonly spoolRate: number;
  /** Nothing of what is kept was let go within the last minute. */
  readonly standsStill: boolean;
  /** Most of it was confirmed a minute ago: a transaction that is as old holds it. */
  readonly heldByOthers: boolean;
};

function forecast(look: SlotLook, limits: SlotLimits, motion: Motion): SlotForecast {
  const keptBytes = Math.max(0, look.walEnd - look.restart);
  const leftBytes = look.safeBytes ?? limits.maxSlotLagBytes - keptBytes;
  const numbers = { keptBytes, leftBytes, walBytesPerSecond: Math.round(motion.walRate) };
  if (look.status === 'lost') return { ...numbers, alarm: 'lost', leftSeconds: 0, sentence: 'the slot is lost: it held back more WAL than max_slot_wal_keep_size, and what followed is not in the stream' };

  // a full spool reads nothing; an old transaction keeps WAL for which the spool has no use
  const room = look.reading && !motion.heldByOthers ? Math.max(0, limits.spoolBudgetBytes - limits.spoolBytes) : 0;
  const slotSeconds = motion.standsStill ? secondsFor(Math.max(0, leftBytes) + room, motion.walRate) : undefined;
  const spoolFull = limits.spoolBytes >= limits.spoolBudgetBytes;
  const spoolTight = limits.spoolBytes > limits.spoolBudgetBytes * tightShare;
  const spoolSeconds = spoolTight && !spoolFull ? secondsFor(limits.spoolBudgetBytes - limits.spoolBytes, motion.spoolRate) : undefined;

  const seconds = Math.min(slotSeconds ?? Number.POSITIVE_INFINITY, spoolSeconds ?? Number.POSITIVE_INFINITY);
  const isOver = look.status === 'unreserved' || (motion.standsStill && leftBytes + room <= 0);
  // the slot of a paused pipeline is read again at maxSlotLag; of a parked one that is passed
  const mayRecover = !look.reading && look.walEnd - look.confirmed <= slotLagLimit(limits.maxSlotLagBytes, look.keepBytes);
  const alarm = isOver || (seconds < criticalSeconds && !mayRecover) ? 'critical' : seconds < warningSeconds || spoolTight ? 'warning' : 'none';
  return { ...numbers, alarm, leftSeconds: Number.isFinite(seconds) ? Math.round(seconds) : null, sentence: sentenceOf(look, limits, motion, { keptBytes, leftBytes, slotSeconds, spoolSeconds, spoolFull, spoolTight }) };
}

const tightShare = 0.85;
const criticalSeconds = 600;
const warningSeconds = 3_600;

type Prospect = { readonly keptBytes: number; readonly leftBytes: number; readonly slotSeconds: number | undefined; readonly spoolSeconds: number | undefined; readonly spoolFull: boolean; readonly spoolTight: boolean };

function sentenceOf(look: SlotLook, limits: SlotLimits, motion: Motion, { keptBytes, leftBytes, slotSeconds, spoolSeconds, spoolFull, spoolTight }: Prospect): string {
  const kept = `the source keeps ${bytesText(keptBytes)} for this slot`;
  const limit = look.keepBytes === undefined ? `maxSlotLag, ${bytesText(limits.maxSlotLagBytes)}` : `max_slot_wal_keep_size, ${bytesText(look.keepBytes)}`;
  const then = look.keepBytes === undefined ? 'beyond it only the disk of the source ends that' : 'then the slot is lost';
  const parts = [];
  if (spoolFull) parts.push(`the spool is full (${bytesText(limits.spoolBudgetBytes)}), so nothing is read`);
  else if (spoolTight) {
    const when = spoolSeconds === undefined ? '' : `; at ${rateText(motion.spoolRate)} it is full in ${timeText(spoolSeconds)}, and from then on the source keeps the rest`;
    parts.push(`the spool has ${bytesText(limits.spoolBytes)} of ${bytesText(limits.spoolBudgetBytes)} that lanes have not taken${when}`);
  }
  if (look.status === 'unreserved') parts.push(`${kept}, more than its limit (${limit}): the slot is lost at the next checkpoint unless it is read now`);
  else if (motion.standsStill && leftBytes <= 0) parts.push(`${kept}, more than its limit (${limit}): ${then}`);
  else if (slotSeconds === undefined) parts.push(kept);
  else parts.push(`${kept}; at ${rateText(motion.walRate)} its limit (${limit}) is reached in ${timeText(slotSeconds)}: ${then}`);
  if (motion.heldByOthers) parts.push('what was read is confirmed, so it is a transaction that runs for long in the source which holds it');
  else if (motion.standsStill && !look.reading) parts.push('nobody reads it');
  return parts.join('; ');
}

function secondsFor(bytes: number, rate: number): number | undefined {
  return rate > 0 ? bytes / rate : undefined;
}

function perSecond(samples: readonly { readonly atMs: number; readonly bytes: number }[]): number {
  const first = samples[0]!;
  const last = samples.at(-1)!;
  return last.atMs > first.atMs ? Math.max(0, ((last.bytes - first.bytes) / (last.atMs - first.atMs)) * 1000) : 0;
}
