import { describe, expect, test } from 'vitest';
import { SlotAlarmChanges } from './slot-alarm.ts';
import { SlotHistory, type SlotForecast, type SlotLimits, type SlotLook } from './slot-forecast.ts';

const mib = 2 ** 20;
const gib = 2 ** 30;
const limits: SlotLimits = { maxSlotLagBytes: gib, spoolBudgetBytes: 4 * gib, spoolBytes: 0 };

/** Looks every 5 s; what each second adds. */
function after(seconds: number, each: { wal?: number; restart?: number; confirmed?: number; spool?: number }, more: Partial<SlotLook> = {}, own: Partial<SlotLimits> = {}): SlotForecast {
  const history = new SlotHistory();
  let forecast!: SlotForecast;
  for (let at = 0; at <= seconds; at += 5) {
    const place = (rate = 0) => 10 * gib + at * rate;
    const walEnd = place(each.wal);
    const restart = Math.min(walEnd, place(each.restart));
    const keepBytes = 'keepBytes' in more ? more.keepBytes : 8 * gib;
    const look: SlotLook = { atMs: at * 1000, walEnd, restart, confirmed: place(each.confirmed), reading: true, status: 'reserved', keepBytes, safeBytes: keepBytes === undefined ? undefined : keepBytes - (walEnd - restart), ...more };
    forecast = history.add(look, { ...limits, ...own, spoolBytes: (own.spoolBytes ?? 0) + at * (each.spool ?? 0) });
  }
  return forecast;
}

describe('how long the source can keep what a slot needs', () => {
  test('a slot that moves on is in no danger, however fast the source writes', () => {
    expect(after(120, { wal: 500 * mib, restart: 499 * mib, confirmed: 499 * mib })).toMatchObject({ alarm: 'none', leftSeconds: null, walBytesPerSecond: 500 * mib, sentence: 'the source keeps 120 MiB for this slot' });
  });

  test('an unread slot: bytes kept, rate, limit and the time until then', () => {
    const unread = (seconds: number, more: Partial<SlotLook> = {}) => after(seconds, { wal: 3e6 }, { reading: false, ...more });
    // not before a minute: a restart_lsn follows late
    expect(unread(55)).toMatchObject({ alarm: 'none', leftSeconds: null });
    expect(unread(400)).toMatchObject({ alarm: 'warning', leftSeconds: Math.round((8 * gib - 1.2e9) / 3e6) });
    expect(unread(400).sentence).toBe('the source keeps 1.1 GiB for this slot; at 3 MB/s its limit (max_slot_wal_keep_size, 8 GiB) is reached in 41 min: then the slot is lost; nobody reads it');
    expect(unread(2_400)).toMatchObject({ alarm: 'critical', leftSeconds: Math.round((8 * gib - 7.2e9) / 3e6) });
    expect(unread(60, { status: 'unreserved' })).toMatchObject({ alarm: 'critical', sentence: expect.stringContaining('lost at the next checkpoint unless it is read now') });
    expect(unread(60, { status: 'lost' })).toMatchObject({ alarm: 'lost', leftSeconds: 0 });
  });

  test('without a limit of the source: maxSlotLag, which a paused pipeline is read at again, and a parked one passes', () => {
    const unread = (seconds: number) => after(seconds, { wal: 3e6 }, { reading: false, keepBytes: undefined });
    expect(unread(100)).toMatchObject({ alarm: 'warning', sentence: expect.stringMatching(/^the source keeps 286 MiB for this slot; at 3 MB\/s its limit \(maxSlotLag, 1 GiB\) is reached in 4 min: beyond it only the disk/) });
    expect(unread(400)).toMatchObject({ alarm: 'critical', sentence: expect.stringContaining('1.1 GiB for this slot, more than its limit (maxSlotLag, 1 GiB)') });
  });

  test('while the spool has room, what lanes have not taken goes there first', () => {
    const sick = { wal: 3e6, spool: 0 };
    expect(after(100, sick, { keepBytes: undefined })).toMatchObject({ alarm: 'warning', leftSeconds: Math.round((gib - 3e8 + 4 * gib) / 3e6) });
    expect(after(100, { wal: 1e6 }, { keepBytes: undefined })).toMatchObject({ alarm: 'none' });
  });

  test('a spool that fills up, and one that is full', () => {
    const filling = after(100, { wal: 3e6, restart: 3e6, confirmed: 3e6, spool: 2e6 }, {}, { spoolBytes: 3.6 * gib });
    expect(filling).toMatchObject({ alarm: 'critical', sentence: 'the spool has 3.8 GiB of 4 GiB that lanes have not taken; at 2 MB/s it is full in 115 s, and from then on the source keeps the rest; the source keeps 0 bytes for this slot' });
    const full = after(400, { wal: 3e6 }, {}, { spoolBytes: 4 * gib });
    expect(full).toMatchObject({ alarm: 'warning', sentence: expect.stringMatching(/^the spool is full \(4 GiB\), so nothing is read; the source keeps 1.1 GiB .* is reached in 41 min/) });
  });

  test('a paused pipeline is read again at maxSlotLag: until then it is no more than a warning', () => {
    expect(after(60, { wal: 15e6 }, { reading: false })).toMatchObject({ alarm: 'warning', leftSeconds: Math.round((8 * gib - 9e8) / 15e6) });
    expect(after(120, { wal: 15e6 }, { reading: false })).toMatchObject({ alarm: 'critical' });
  });

  test('what an old transaction of the source holds, no spool can take', () => {
    const old = after(400, { wal: 3e6, confirmed: 3e6 });
    expect(after(60, { wal: 3e6, confirmed: 3e6 }).sentence).not.toContain('transaction');
    expect(old).toMatchObject({ leftSeconds: Math.round((8 * gib - 1.2e9) / 3e6), sentence: expect.stringContaining('it is a transaction that runs for long in the source') });
  });

  test('an idle source is in no danger', () => {
    expect(after(600, {}, { reading: false })).toMatchObject({ alarm: 'none', leftSeconds: null });
  });
});

describe('when an alarm is worth a line', () => {
  test('at once when it rises, once, and when it has been lower for a minute', () => {
    const changes = new SlotAlarmChanges();
    const said = (['none', 'warning', 'warning', 'critical', 'warning', 'critical', 'none', 'none', 'none', 'warning'] as const).map((alarm, index) => changes.changed(alarm, index * 30_000));
    expect(said).toEqual([false, true, false, true, false, false, false, false, true, true]);
  });
});
