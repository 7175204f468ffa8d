import type { SlotLook } from '../../core/slot-forecast.ts';
import { readSlotLooks } from './slot-look.ts';
import { withSource } from './with-source.ts';

export type SlotLag = {
  /** WAL between what was confirmed to the pipeline's slot and the source's present. */
  readonly bytes: number;
  /** max_slot_wal_keep_size of the source; undefined: unlimited. */
  readonly keepBytes: number | undefined;
};

/** Undefined if the pipeline has no slot. */
export function readSlotLag(sourceUrl: string, pipeline: string): Promise<SlotLag | undefined> {
  return withSource(sourceUrl, 'sluice slot lag', async (source) => {
    const look = (await readSlotLooks(source, [pipeline], 0)).get(pipeline);
    return look && lagOf(look);
  });
}

function lagOf({ walEnd, confirmed, keepBytes }: SlotLook): SlotLag {
  return { bytes: walEnd - confirmed, keepBytes };
}
