import { slotAlarms, type SlotAlarm } from './slot-forecast.ts';

/** Says when an alarm is worth a line in a log: at once when it rises, and when it has been lower for a while. */
export class SlotAlarmChanges {
  #shown: SlotAlarm = 'none';
  #lowerSinceMs: number | undefined;

  changed(alarm: SlotAlarm, nowMs: number): boolean {
    const isLower = slotAlarms.indexOf(alarm) < slotAlarms.indexOf(this.#shown);
    this.#lowerSinceMs = isLower ? (this.#lowerSinceMs ?? nowMs) : undefined;
    if (alarm === this.#shown || (isLower && nowMs - this.#lowerSinceMs! < calmMs)) return false;
    this.#shown = alarm;
    this.#lowerSinceMs = undefined;
    return true;
  }
}

const calmMs = 60_000;
