import { describe, expect, test } from 'vitest';
import type { SourceColumns } from '../../core/migration/schema-change.ts';
import type { SourceColumn } from '../../core/migration/source-changes.ts';
import { resolve } from '../../core/define/resolve.ts';
import type { Lsn } from '../../core/position.ts';
import definition from '../../pipelines/trending.ts';
import { ColumnWatch, noRecord, type ColumnRecord } from './column-watch.ts';

const pipeline = resolve(definition, {});
const oids = { int8: 20, timestamptz: 1184, text: 25, int4: 23, int2: 21 };

/** `id:int8#1`, with the number of the column. */
function columns(text: string): SourceColumn[] {
  return text.split(' ').map((each) => {
    const [, name, type, number] = /^(\w+):(\w+)#(\d+)$/.exec(each)!;
    return { name: name!, type: type as keyof typeof oids, typeName: type!, oid: oids[type as keyof typeof oids], number: Number(number) };
  });
}

const whole = columns('id:int8#1 post_id:int8#2 viewed_at:timestamptz#3 note:text#4');
const relationOf = (text: string) => ({ table: 'events', relation: { name: 'public.post_views', replicaIdentity: 'full' as const, columns: columns(text).map(({ name, oid }) => ({ name, typeOid: oid! })) } });

/** A capture that began when the catalogue was `whole`; `at`: what it says now. */
function watching(record: Partial<ColumnRecord> = {}) {
  const at = { columns: { events: whole } as SourceColumns, seenAt: 10n as Lsn };
  const recorded: unknown[] = [];
  const watch = new ColumnWatch(pipeline, { ...noRecord, known: { events: whole }, record: async ({ changes, position }) => recorded.push({ changes, position }), ...record }, at.columns);
  return { at, watch, recorded, source: { columns: async () => ({ ...at }) } };
}

describe('what a relation shows is judged by the catalogue of now, not of ten seconds ago', () => {
  test('the last column dropped and another of its type added is no rename', async () => {
    const { at, watch, source } = watching();
    const now = 'id:int8#1 post_id:int8#2 viewed_at:timestamptz#3 remark:text#5';
    at.columns = { events: columns(now) };
    const { changes } = await watch.found(source, relationOf(now));
    expect(changes).toEqual([{ table: 'events', changes: [{ kind: 'dropped', column: 'note' }, { kind: 'added', column: 'remark', type: 'text', typeName: 'text' }] }]);
  });

  test('a type that was made since is known', async () => {
    const { at, watch, source } = watching();
    at.columns = { events: whole.map((column) => (column.name === 'note' ? { ...column, oid: 90_001, typeName: 'mood' } : column)) };
    const relation = relationOf('id:int8#1 post_id:int8#2 viewed_at:timestamptz#3 note:text#4');
    relation.relation.columns[3]!.typeOid = 90_001;
    expect((await watch.found(source, relation)).changes).toEqual([]);
  });

  test('a type that no column has any more is known too', async () => {
    const { watch, source } = watching();
    const { changes } = await watch.found(source, relationOf('id:int8#1 post_id:int2#2 viewed_at:timestamptz#3 note:text#4'));
    expect(changes[0]!.changes).toEqual([{ kind: 'retyped', column: 'post_id', from: 'int8', to: 'int2', typeName: 'int2' }]);
  });

  test('where it is ahead of the stream, and names have moved on, the order decides', async () => {
    const { at, watch, source } = watching();
    at.columns = { events: columns('id:int8#1 post_id:int8#2 viewed_at:timestamptz#3 old:text#4 more:int4#5 remark:text#6') };
    const { changes } = await watch.found(source, relationOf('id:int8#1 post_id:int8#2 viewed_at:timestamptz#3 remark:text#4 more:int4#5'));
    expect(changes[0]!.changes[0]).toEqual({ kind: 'renamed', column: 'note', to: 'remark', type: 'text' });
  });
});

describe('what no row shows', () => {
  test('is a change as soon as the stream is beyond the place where it was seen', async () => {
    const { at, watch, source } = watching({ concerns: () => true });
    at.columns = { events: columns('id:int8#1 post_id:int8#2 seen_at:timestamptz#3 note:text#4') };
    await watch.look(source);
    expect(watch.passed(9n as Lsn)).toBeUndefined();
    expect(watch.passed(10n as Lsn)?.changes[0]!.changes).toEqual([{ kind: 'renamed', column: 'viewed_at', to: 'seen_at', type: 'timestamptz' }]);
  });

  test('and concerns nobody is on record only when a capture that begins anew would begin beyond it', async () => {
    const { at, watch, source, recorded } = watching();
    at.columns = { events: columns('id:int8#1 post_id:int8#2 viewed_at:timestamptz#3') };
    await watch.look(source);
    await watch.settle(9n as Lsn);
    expect(recorded).toEqual([]);
    expect(watch.namesOf('events')).toEqual(['id', 'post_id', 'viewed_at', 'note']);
    await watch.settle(10n as Lsn);
    await watch.settle(11n as Lsn);
    expect(recorded).toEqual([{ changes: [{ table: 'events', changes: [{ kind: 'dropped', column: 'note' }] }], position: null }]);
    expect(watch.namesOf('events')).toEqual(['id', 'post_id', 'viewed_at']);
  });
});
