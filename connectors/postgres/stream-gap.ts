import type { Lsn, Position } from '../../core/position.ts';
import { lsnText, parsePosition } from '../../core/position.ts';
import type { SegmentLog } from '../spool/segment-log.ts';

/**
 * Which part of the stream is missing, for the one who must heal it: behind which position and commit, and up to where as
 * far as is known. `tail`: what the spool ends with. `end`: where the stream can be had again, or the source's present.
 */
export async function describeGap(log: Pick<SegmentLog, 'read' | 'release' | 'lastEvents'>, tail: Position, end: { readonly lsn: Lsn; readonly isPresent: boolean }): Promise<string> {
  const committed = await commitTimeAt(log, tail).catch(() => undefined);
  const when = committed === undefined ? 'its commit time is not known any more: the spool is empty' : `committed ${new Date(committed).toISOString()}`;
  const upTo = end.isPresent ? `up to the source's present WAL position ${lsnText(end.lsn)}, and all that it writes from now on` : `up to WAL position ${lsnText(end.lsn)}`;
  return `The gap begins behind position ${tail} (WAL position ${lsnText(parsePosition(tail).lsn)}, ${when}) and goes ${upTo}.`;
}

/** Milliseconds since 1970; of the newest transaction that the spool has, if that is where the tail is. */
async function commitTimeAt(log: Pick<SegmentLog, 'read' | 'release' | 'lastEvents'>, tail: Position): Promise<number | undefined> {
  const last = await log.lastEvents();
  if (last?.to !== tail) return undefined;
  const segments = await log.read(last.from, { maxRows: 1 }, AbortSignal.timeout(readMs));
  const { count, commitTimes } = segments.find(({ header }) => header.seq === last.seq)?.transactions ?? { count: 0, commitTimes: new Float64Array(0) };
  const time = commitTimes[count - 1];
  log.release(segments);
  return time === undefined ? undefined : time / 1000;
}

/** It is in the spool already. */
const readMs = 5_000;
