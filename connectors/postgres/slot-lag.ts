import { Client } from 'pg';
import type { SlotLook } from '../../core/slot-forecast.ts';
import { classified } from './errors.ts';
import { readSlotLooks } from './slot-look.ts';

export type SlotLag = {
  /** WAL between what was confirmed to the pipeline's slot and the source's present. */
  readonly bytes: number;
  /** max_slot_wal_keep_size of the source; undefined: unlimited. */
  readonly keepBytes: number | undefined;
};

/** Undefined if the pipeline has no slot. */
export function readSlotLag(sourceUrl: string, pipeline: string): Promise<SlotLag | undefined> {
  return classified('source database', async () => {
    const source = new Client({ connectionString: sourceUrl, application_name: 'sluice slot lag', connectionTimeoutMillis: 10_000, query_timeout: 10_000 });
    source.on('error', () => {}); // the query says it
    try {
      await source.connect();
      const look = (await readSlotLooks(source, [pipeline], 0)).get(pipeline);
      return look && lagOf(look);
    } finally {
      await source.end().catch(() => {});
    }
  });
}

function lagOf({ walEnd, confirmed, keepBytes }: SlotLook): SlotLag {
  return { bytes: walEnd - confirmed, keepBytes };
}
