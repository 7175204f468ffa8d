import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { position } from '../../core/position.ts';
import { openSegmentLog } from '../spool/open-segment-log.ts';
import { appendClaim } from './claim.ts';

const claim = { definitionHash: '', systemIdentifier: '1', timeline: 1, epoch: 1, slot: 's', binary: true };
const start = position(1, 100n, 0);

test('E3: who has found no chain, and stood still while another began one, has not begun it: not even behind a tail that is where it would begin', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-claim-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const open = () => openSegmentLog({ directory, shard: 'p', cacheBytes: 0 });
  const log = await open();
  expect(await appendClaim(log, { captureId: 'first', claim, start, after: undefined, firstSeq: 7 })).toMatchObject({ seq: 7, from: start, to: start });
  for (const late of [log, await open()]) expect(await appendClaim(late, { captureId: 'late', claim, start, after: undefined, firstSeq: 7 })).toBeUndefined();
  expect(await log.tail()).toMatchObject({ captureId: 'first' });
  expect(await appendClaim(log, { captureId: 'second', claim, start, after: await log.tail(), firstSeq: 7 })).toMatchObject({ seq: 8, from: start });
});
