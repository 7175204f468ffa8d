/**
 * From how much on the source may forget what the spool alone has (E7): maxSlotLag, but never so much that the source
 * loses the slot before. `keepBytes`: its max_slot_wal_keep_size; undefined: unlimited.
 */
export function slotLagLimit(maxSlotLagBytes: number, keepBytes: number | undefined): number {
  return keepBytes === undefined ? maxSlotLagBytes : Math.min(maxSlotLagBytes, Math.floor(keepBytes / 2));
}
