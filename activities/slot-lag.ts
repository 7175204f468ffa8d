import { readSlotLag } from '../connectors/postgres/slot-lag.ts';
import { slotLagLimit } from '../core/slot-lag-limit.ts';
import { failureOf } from './failures.ts';
import type { Runtime } from './runtime.ts';
import type { SlotLag } from './steps.ts';

/** Asked while a pipeline is paused: a slot that nobody reads keeps the source's WAL. */
export async function slotLag(runtime: Runtime, { pipeline: name }: { readonly pipeline: string }): Promise<SlotLag> {
  try {
    const { settings } = runtime.declared(name);
    const lag = await readSlotLag(runtime.config.sourceUrl, name);
    return { bytes: lag?.bytes ?? 0, most: slotLagLimit(settings.maxSlotLagBytes, lag?.keepBytes) };
  } catch (error) {
    throw failureOf(error);
  }
}
