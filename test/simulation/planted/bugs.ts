import type { Fault, Knobs } from '../plan.ts';

/** A bug that the simulation must find: a change of the product's source text, in a process of its own. */
export type PlantedBug = {
  readonly name: string;
  /** What it breaks, of EXACTNESS and the invariants. */
  readonly rule: string;
  readonly edits: readonly { readonly file: string; readonly find: string; readonly replace: string }[];
  /** What must go wrong for it to show; anything if it is missing. */
  readonly only?: readonly Fault[];
  readonly knobs?: Partial<Knobs>;
  /** As planOf. */
  readonly rewrites?: boolean;
  /** Likewise. */
  readonly renames?: boolean;
};

const capture = 'connectors/postgres/running-capture.ts';
const assembler = 'core/capture/assembler.ts';
const log = 'connectors/spool/open-segment-log.ts';
const clickhouse = 'connectors/clickhouse/clickhouse-sink.ts';
const undecidedLog = 'connectors/postgres/undecided-log.ts';
const message = 'connectors/http/message.ts';
const aggregate = 'connectors/aggregate/aggregate-sink.ts';
const rebuild = 'connectors/aggregate/rebuild.ts';
const fold = 'core/views/fold.ts';
const backfillLoop = 'activities/backfill-loop.ts';
/** Beside it whatever brings lanes apart. */
const backfills: readonly Fault[] = [{ kind: 'backfill' }, { kind: 'sink fails' }, { kind: 'kill' }];

export const plantedBugs: readonly PlantedBug[] = [
  {
    name: 'acknowledged before the spool has it',
    rule: 'E4, I1',
    edits: [
      {
        file: 'connectors/postgres/segment-writer.ts',
        find: '        const outcome = await this.#log.append(group);',
        replace: '        this.#options.onAppended(group);\n        const outcome = await this.#log.append(group);',
      },
      { file: 'connectors/postgres/segment-writer.ts', find: '          this.#options.onAppended(group);\n          this.#log.release', replace: '          this.#log.release' },
    ],
    only: [{ kind: 'sink fails', sink: 'enriched' }, { kind: 'disk slow' }],
    knobs: { maxSlotLagBytes: 3_000, segmentRows: 2 },
  },
  {
    name: 'the fence is moved after the transaction',
    rule: 'I3',
    edits: [
      { file: aggregate, find: 'await progress.finish(tables, to);', replace: 'await progress.finish(tables, undefined);' },
      {
        file: aggregate,
        find: 'return this.#tables.transaction((tables) => this.#apply(tables, segments, from, to));',
        replace: `return this.#tables.transaction((tables) => this.#apply(tables, segments, from, to)).then(async (applied) => {
          await this.#tables.transaction(async (tables) => tables.write(await tables.lock(), to));
          return applied;
        });`,
      },
    ],
  },
  {
    name: 'a position is the LSN alone',
    rule: 'E2',
    edits: [{ file: 'core/capture/row-writer.ts', find: 'this.positions[at] = ordinal;', replace: 'this.positions[at] = Math.min(ordinal, 1);' }],
  },
  {
    name: 'a changed key is one event',
    rule: 'E2',
    edits: [{ file: assembler, find: '    if (keyChanged) {', replace: '    if (keyChanged && this.#ordinal < 0) {' }],
  },
  {
    name: 'the timeline is the epoch',
    rule: 'E1',
    edits: [{ file: capture, find: '      epoch: options.shard.epoch,\n      from: tail.to,', replace: '      epoch: timeline,\n      from: tail.to,' }],
    only: [{ kind: 'promotion' }],
  },
  {
    name: 'what was taken of a lost timeline is not looked for',
    rule: 'E1',
    edits: [{ file: 'connectors/postgres/same-stream.ts', find: 'if (claimed === undefined || timeline === claimed) return;', replace: 'if (pipeline !== "") return;' }],
    only: [{ kind: 'promotion' }],
  },
  {
    name: 'the watermark follows the wall clock',
    rule: 'E13, I6',
    edits: [{ file: assembler, find: '    this.#endTransaction(true);', replace: '    this.#clock = Math.max(this.#clock, Date.now() * 1000);\n    this.#endTransaction(true);' }],
  },
  {
    name: 'the watermark moves where segments are cut',
    rule: 'E5, I6',
    edits: [{ file: 'core/views/walk.ts', find: 'if (transaction >= window.ended || !transactions.complete[transaction]) continue;', replace: 'if (transaction >= window.ended) continue;' }],
  },
  {
    name: 'an event of the far future moves the watermark',
    rule: 'E13',
    edits: [{ file: assembler, find: 'if (time > this.#commitTime + this.#options.pipeline.settings.maxFutureMs * 1000) return;', replace: '' }],
  },
  {
    name: 'late deltas are dropped',
    rule: 'E14',
    edits: [{ file: fold, find: '    const { lsns } = segment.transactions;\n    const identity', replace: "    if (reason === 'late') return;\n    const { lsns } = segment.transactions;\n    const identity" }],
  },
  {
    name: 'segments become durable out of order',
    rule: 'E4, I5',
    edits: [
      { file: 'connectors/spool/directory-spool.ts', find: 'for (let index = 0; index < segments.length; index++) {', replace: 'for (let index = segments.length - 1; index >= 0; index--) {' },
    ],
  },
  {
    name: 'the directory is not synced',
    rule: 'E4',
    edits: [
      {
        file: 'connectors/spool/directory-spool.ts',
        find: "        await this.#files.syncDirectory(this.#directory);\n        if (outcome === 'taken')",
        replace: "        if (outcome === 'taken')",
      },
    ],
    only: [{ kind: 'power failure' }, { kind: 'sink fails' }],
  },
  {
    name: 'the directory is synced once for several segments',
    rule: 'E4',
    edits: [
      {
        file: 'connectors/spool/directory-spool.ts',
        find: "        await this.#files.syncDirectory(this.#directory);\n        if (outcome === 'taken')",
        replace: "        if (index === segments.length - 1) await this.#files.syncDirectory(this.#directory);\n        if (outcome === 'taken')",
      },
    ],
    only: [{ kind: 'power failure' }, { kind: 'disk slow' }],
  },
  {
    name: 'a segment is appended and read whatever stands before it',
    rule: 'E3, I5',
    edits: [
      { file: log, find: '    return before ? before.to === from :', replace: '    return before ? before.seq < seq && from.length > 0 :' },
      { file: 'connectors/spool/segment-chain.ts', find: 'return before.seq + 1 === seq && before.to === from;', replace: 'return before.seq < seq && from.length > 0;' },
      // a claim looks once more whether anything does
      { file: 'connectors/postgres/claim.ts', find: '  if (!after && (await log.tail())) return undefined;\n', replace: '' },
    ],
    only: [{ kind: 'spool deleted' }, { kind: 'stop' }],
    knobs: { segmentRows: 2 },
  },
  {
    name: 'a segment counts that was appended to a spool after it was deleted',
    rule: 'E3, E5',
    edits: [{ file: 'connectors/spool/directory-spool.ts', find: '    if (floor === 0) return [];\n', replace: '' }],
    only: [{ kind: 'spool deleted' }, { kind: 'graceful restart' }, { kind: 'disk slow' }],
    knobs: { segmentRows: 1, cacheBytes: 0, applyRows: 1 },
  },
  {
    name: 'a capture begins without a claim',
    rule: 'E3',
    edits: [
      {
        file: 'connectors/postgres/claim.ts',
        find: "return (await log.append([openSegment(bytes, { verify: false })])) === 'appended' ? header : undefined;",
        replace: 'return bytes.length > 0 ? { ...header, seq: header.seq - 1 } : undefined;',
      },
    ],
    only: [{ kind: 'stop' }, { kind: 'promotion' }],
  },
  {
    name: 'a capture enriches with the dimensions of today',
    rule: 'E16',
    edits: [{ file: 'connectors/postgres/dimensions-at.ts', find: 'await versions.rowsAt(name, kept)', replace: "await versions.rowsAt(name, 'f'.repeat(32) as Position)" }],
    only: [{ kind: 'spool deleted' }, { kind: 'sink fails' }],
  },
  {
    name: 'a capture forgets the dimension events between fence and tail',
    rule: 'E16',
    edits: [{ file: 'connectors/postgres/dimensions-at.ts', find: 'for (let after = kept; after < at; ) {', replace: 'for (let after = at; after < at; ) {' }],
    only: [{ kind: 'walsender ends' }, { kind: 'sink fails', sink: 'state', how: 'slow' }],
    knobs: { applyRows: 1, segmentRows: 2 },
  },
  {
    name: 'a lane trusts its cursor over the fence',
    rule: 'I4',
    edits: [
      { file: 'activities/lane-loop.ts', find: '  let fence = await readFence(loop);', replace: '  let fence = cursors.get(loop.sink) ?? (await readFence(loop));' },
      { file: 'activities/lane-loop.ts', find: '      moves = 0;\n', replace: '      moves = 0;\n      cursors.set(loop.sink, fence);\n' },
      { file: 'activities/lane-loop.ts', find: '/** In a row, without', replace: 'const cursors = new WeakMap<Sink, Position>();\n\n/** In a row, without' },
      { file: clickhouse, find: '      if (found !== from) throw new FenceMoved(this.#lane, from, found);\n', replace: '' },
    ],
    only: [{ kind: 'sink set back' }, { kind: 'stop' }],
  },
  {
    name: 'two workers fold the same events',
    rule: 'I2, I3',
    edits: [{ file: aggregate, find: '    await tables.lockFence(from);\n', replace: '' }],
    only: [{ kind: 'stop' }, { kind: 'second worker' }, { kind: 'attempt given up' }],
  },
  {
    name: 'events up to the fence are folded again',
    rule: 'E5',
    edits: [{ file: fold, find: 'const first = range.after === undefined ? 0 : rowsUpTo(batch.positions, batch.rows, range.after);', replace: 'const first = 0;' }],
  },
  {
    name: 'the fence is written before the rows',
    rule: 'E10',
    edits: [{ file: clickhouse, find: '        await this.#insertAll(pieces);\n        return', replace: '        await this.#rows.writeFence(await this.#identity(), to);\n        await this.#insertAll(pieces);\n        return true;\n        return' }],
  },
  {
    name: 'a fence moves wherever it was meanwhile',
    rule: 'E28',
    edits: [{ file: clickhouse, find: 'return this.#rows.moveFence(this.#target, from, to);', replace: 'await this.#rows.writeFence(this.#target, to);\n    return true;' }],
  },
  {
    name: 'a TRUNCATE is a TRUNCATE',
    rule: 'E8',
    edits: [{ file: 'test/simulation/outside-stores.ts', find: 'if (row && position < at) this.#put(key, { position: at, row: null });', replace: 'if (row && position < at) this.rows.delete(key);' }],
    only: [{ kind: 'stop' }, { kind: 'second worker' }, { kind: 'attempt given up' }],
  },
  {
    name: 'structures that were lost keep their fence',
    rule: 'E11',
    edits: [
      { file: 'test/simulation/outside-stores.ts', find: 'readFence: () => call(() => (this.#generation ? this.fence : undefined)),', replace: 'readFence: () => call(() => this.fence),' },
      { file: 'test/simulation/outside-stores.ts', find: "          if (!this.#generation) throw new StructureLost('live');\n", replace: '' },
    ],
    only: [{ kind: 'redis emptied' }],
  },
  {
    name: 'a rebuilt structure leaves the late deltas out',
    rule: 'E11',
    edits: [{ file: 'test/simulation/state-database.ts', find: "if (row.set === set.name && row.reason === 'late') add(", replace: "if (row.set === '' && row.reason === 'late') add(" }],
    only: [{ kind: 'redis emptied' }],
  },
  {
    name: 'what is being sent is not recorded',
    rule: 'E12',
    edits: [{ file: 'connectors/http/http-sink.ts', find: 'const repeats = begun !== undefined &&', replace: "const repeats = begun !== undefined && this.#lane === '' &&" }],
    only: [{ kind: 'sink fails', sink: 'external', how: 'lost reply' }],
  },
  {
    name: 'the fence moves over messages that nobody has accepted yet',
    rule: 'E12, I3',
    edits: [{ file: 'connectors/http/http-sink.ts', find: 'for (; accepted.has(end); end++) prepare(end + inFlight);', replace: 'for (; end < sent.length; end++) prepare(end + inFlight);' }],
    only: [{ kind: 'sink fails', sink: 'external' }, { kind: 'kill' }],
    knobs: { messageRows: 1, inFlight: 3 },
  },
  {
    name: 'a message leaves out what something newer in it covers',
    rule: 'E12',
    edits: [
      { file: message, find: "import { origin, positionAt } from '../../core/position.ts';", replace: "import { origin, positionAt } from '../../core/position.ts';\nimport { postgresText } from '../../core/columns/postgres-text.ts';" },
      {
        file: message,
        find: '        at = writeRows(out, at, this.#writerOf(run), run.row, run.end);\n        count',
        replace: `        const keyAt = (row: number) => (run.of === 'truncates' ? row : postgresText(run.of.columns.get(this.#pipeline.source.events.key)!, row));
        const isCovered = Array.from({ length: run.end - run.row - 1 }, (_, index) => keyAt(run.row + 1 + index)).includes(keyAt(run.row));
        at = writeRows(out, at, this.#writerOf(run), run.row + (isCovered ? 1 : 0), run.end);
        count`,
      },
    ],
    // each message goes out once
    only: [{ kind: 'pause' }],
    knobs: { messageRows: 100 },
  },
  {
    name: 'the end of a commit is confirmed while its last events are missing',
    rule: 'E6',
    edits: [{ file: assembler, find: '      this.#endTransaction(false);\n      this.#endLsn = undefined;', replace: '      this.#endTransaction(false);\n      this.#endLsn = ((BigInt(this.#lsnHigh) << 32n) | BigInt(this.#lsnLow)) + 48n;' }],
    only: [{ kind: 'kill' }, { kind: 'power failure' }],
  },
  {
    name: 'events that were spooled before are spooled again',
    rule: 'E6',
    edits: [{ file: assembler, find: 'lsn === this.#fromLsn ? this.#fromOrdinal : Number.POSITIVE_INFINITY', replace: 'lsn === this.#fromLsn ? 0 : Number.POSITIVE_INFINITY' }],
  },
  {
    name: 'a gap between the slot and the stream is not looked for',
    rule: 'E6',
    edits: [{ file: 'connectors/postgres/same-stream.ts', find: '  if (!recorded) return;', replace: '  if (!recorded || pipeline !== "") return;' }],
    only: [{ kind: 'spool deleted' }, { kind: 'sink fails', sink: 'enriched', how: 'refuse' }],
    knobs: { maxSlotLagBytes: 1_000 },
  },
  {
    name: 'panes of a snapshot take their place before the lane has passed it',
    rule: 'E18',
    edits: [
      { file: backfillLoop, find: "[['aggregate', this.#loop.panes] as const, ...rowSinks]", replace: 'rowSinks' },
      { file: rebuild, find: "if (fence === undefined || fence < base) return 'behind';", replace: "if (fence === undefined) return 'behind';" },
    ],
    only: [{ kind: 'backfill' }, { kind: 'sink fails', sink: 'state', how: 'slow' }],
  },
  {
    name: 'the snapshot is taken before its panes are marked',
    rule: 'E18',
    edits: [
      { file: backfillLoop, find: '    const left = await panes.markRebuild(name, views, asked, yields);', replace: '    const early = await loop.take(asked);\n    await pause(loop.clock, 600, signal);\n    const left = await panes.markRebuild(name, views, asked, yields);' },
      { file: backfillLoop, find: 'new Attempt(loop, left, rows);', replace: 'new Attempt({ ...loop, take: async () => early }, left, rows);' },
      // which is another guard against it
      { file: backfillLoop, find: 'fence !== undefined && snapshot.base < fence', replace: "fence === ''" },
    ],
    only: backfills,
  },
  {
    name: 'what was kept below the snapshot counts again',
    rule: 'E17',
    edits: [{ file: 'test/simulation/state-transaction.ts', find: '      if (position >= base) await this.addToPanes', replace: "      if (position !== '') await this.addToPanes" }],
    only: backfills,
  },
  {
    name: 'a snapshot from before a truncate is used',
    rule: 'E8, E18',
    edits: [{ file: rebuild, find: "if (mark.voidBelow !== undefined && base <= mark.voidBelow) return 'void';", replace: '' }],
    only: [{ kind: 'backfill' }, { kind: 'sink fails', sink: 'enriched', how: 'slow' }],
  },
  {
    name: 'a table that was set back is taken for one that has the rows',
    rule: 'E10, E17',
    edits: [{ file: 'test/simulation/outside-stores.ts', find: '          const found = this.marks.get(mark.backfill);\n', replace: '          const found = mark.at;\n' },
      // on a real server a table is set back at any moment, here only while nobody asks it for anything
      { file: backfillLoop, find: '      if (!(await sink.finish(range, base, mark))) return false;\n', replace: '      await this.#pause(700);\n      if (!(await sink.finish(range, base, mark))) return false;\n' }],
    only: [{ kind: 'backfill' }, { kind: 'sink set back', sink: 'enriched' }],
  },
  {
    name: 'late output stays beside the panes that have it now',
    rule: 'E14, E18',
    edits: [{ file: 'test/simulation/state-transaction.ts', find: 'if (of === set.name && isIn(pane) && position < base) this.#state.late.delete(at);', replace: "if (of === set.name && isIn(pane) && position < '') this.#state.late.delete(at);" }],
    only: backfills,
  },
  {
    name: 'windows that are open are repaired, and closed ones are not',
    rule: 'E14',
    edits: [{ file: rebuild, find: 'await stalePanes(tables, set, horizonMs, closesUpToMs), rebuilding', replace: 'await stalePanes(tables, set, closesUpToMs, Number.POSITIVE_INFINITY), rebuilding' }],
    only: backfills,
  },
  {
    name: 'final windows are not said anew',
    rule: 'E18',
    edits: [{ file: 'connectors/aggregate/window-closer.ts', find: 'revise: reviseRebuilt }, ends)', replace: 'revise }, ends)' }],
    only: backfills,
  },
  {
    name: 'a row that is taken out of an extreme does not mark its pane',
    rule: 'E15',
    edits: [{ file: 'core/views/extremes.ts', find: '  if (value === before) rows[entry]! += count;', replace: '  if (value === before) rows[entry]! += Math.max(0, count);' }],
  },
  {
    name: 'panes that have lost a min or max are not repaired',
    rule: 'E15',
    edits: [{ file: rebuild, find: 'extremesOf(set).length > 0 ? await tables.retractedPanes(set, from, before) : []', replace: '[]' }],
    only: backfills,
  },
  {
    name: 'what is late, or kept beside a backfill, takes nothing out of an extreme',
    rule: 'E14, E15',
    edits: [{ file: fold, find: 'touch(sums[value]!, sums[rows]!, entry, own, sign, isGreatest);', replace: 'touch(sums[value]!, sums[rows]!, entry, own, 1, isGreatest);' }],
  },
  {
    name: 'what is changed is taken out of the bucket of its new value',
    rule: 'I7',
    edits: [
      { file: 'core/views/bucket-slots.ts', find: '  readonly #hashed: number[] = [];\n', replace: '  readonly #hashed: number[] = [];\n  readonly #newest = new Map<string, number>();\n' },
      {
        file: 'core/views/bucket-slots.ts',
        find: '      if (slot >= 0) slots[row] = this.#entry(slot, bucketAt(row), keys);\n',
        replace: `      const at = batch.positions.subarray(row * 4, row * 4 + 4).join();
      if (batch.image === 'after') this.#newest.set(at, bucketAt(row));
      if (slot >= 0) slots[row] = this.#entry(slot, this.#newest.get(at) ?? bucketAt(row), keys);\n`,
      },
    ],
    knobs: { divided: true },
  },
  {
    name: 'buckets know keys by the numbers that others have now',
    rule: 'I6',
    edits: [
      { file: fold, find: '      this.#buckets?.clear();\n', replace: '' },
      { file: fold, find: 'const mostKeys = 200_000;', replace: 'const mostKeys = 1;' },
    ],
    knobs: { divided: true },
  },
  {
    name: 'what is late, or kept beside a backfill, is in the bucket of those without a value',
    rule: 'E14, E18',
    edits: [{ file: fold, find: '({ ...each, deltas: table.deltas(paneMs, texts) })', replace: "({ ...each, deltas: table.deltas(paneMs, this.#buckets ? texts.map((text) => text.slice(text.indexOf(' '))) : texts) })" }],
    knobs: { divided: true },
  },
  {
    name: 'panes of a snapshot are not divided',
    rule: 'E18',
    edits: [{ file: 'core/views/snapshot-fold.ts', find: 'new Folder(source.events, set, Number.POSITIVE_INFINITY)', replace: 'new Folder(source.events, { ...set, buckets: undefined } as never, Number.POSITIVE_INFINITY)' }],
    only: backfills,
    knobs: { divided: true },
  },
  {
    name: 'a register keeps the rank of rows that are gone',
    rule: 'I7',
    edits: [{ file: 'test/simulation/state-buckets.ts', find: 'if (rows > 0) greatest.set(', replace: 'greatest.set(' }],
    knobs: { divided: true },
  },
  {
    name: 'a worker that stood still brings back what all rows were written again without',
    rule: 'E17, E28',
    edits: [{ file: clickhouse, find: '    if (least !== undefined && least > written) await this.#rows.bury(least);\n', replace: '' }],
    only: [{ kind: 'stop' }, { kind: 'second worker' }, { kind: 'sink fails', sink: 'enriched', how: 'slow' }],
    rewrites: true,
  },
  {
    name: 'rows that were written again into a table that was set back count as there',
    rule: 'I3',
    edits: [{ file: clickhouse, find: '      if (found === undefined || found < at) throw new Error(', replace: "      if (found === '') throw new Error(" }],
    only: [{ kind: 'sink set back', sink: 'enriched' }, { kind: 'sink fails', sink: 'enriched', how: 'slow' }],
    rewrites: true,
  },
  {
    name: 'rows that were written again into two tables of one name count as there',
    rule: 'E10, I3',
    edits: [
      { file: 'activities/rewritten-sink.ts', find: 'await sink.mark(mark(base, loads + 1), target);', replace: 'await sink.mark(mark(base, loads + 1), (target = await sink.target()));' },
    ],
    only: [{ kind: 'sink fails', sink: 'enriched', how: 'slow' }],
    rewrites: true,
  },
  {
    name: 'what is kept while a change waits is confirmed before it is durable',
    rule: 'E4, I1',
    edits: [
      {
        file: 'connectors/postgres/undecided-capture.ts',
        find: '    if (endLsn !== undefined) this.#endLsns.set(seq, { to, endLsn: parseLsn(endLsn) });\n',
        replace: '    if (endLsn !== undefined) this.#endLsns.set(seq, { to, endLsn: parseLsn(endLsn) });\n    if (endLsn !== undefined) this.#confirmation.spooled(to, parseLsn(endLsn));\n',
      },
    ],
    only: [{ kind: 'disk slow' }],
    knobs: { maxSlotLagBytes: 500, segmentRows: 2 },
    renames: true,
  },
  {
    name: 'what was kept while a change waited is forgotten before the spool has it',
    rule: 'E4, I1',
    edits: [
      { file: 'connectors/postgres/kept-stream.ts', find: '      await spool();\n      if (segments.length > 0 && !isOver())', replace: '      void spool().catch(() => {});\n      if (segments.length > 0 && !isOver())' },
      { file: undecidedLog, find: 'return parsePosition(tail).lsn >= parsePosition(kept).lsn ? log.trim(wholeTo(kept), 0) : Promise.resolve();', replace: 'return log.trim(wholeTo(kept), tail.length * 0);' },
    ],
    only: [{ kind: 'kill' }, { kind: 'power failure' }, { kind: 'disk slow' }],
    knobs: { maxSlotLagBytes: 500, segmentRows: 2 },
    renames: true,
  },
  {
    name: 'a transaction of which a part is kept counts as kept',
    rule: 'E6',
    edits: [{ file: 'connectors/postgres/pgoutput/undecided-writer.ts', find: 'return ordinal === whole ? to : position(epoch, lsn - 1n, whole);', replace: 'return ordinal === whole ? to : position(epoch, lsn, whole);' }],
    only: [{ kind: 'kill' }, { kind: 'walsender ends' }, { kind: 'disk slow' }],
    knobs: { segmentRows: 2 },
    renames: true,
  },
];
