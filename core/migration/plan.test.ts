import { describe, expect, test } from 'vitest';
import type { ColumnType } from '../columns/vector.ts';
import { definitionHash } from '../define/definition-hash.ts';
import { resolve } from '../define/resolve.ts';
import { rowSchema } from '../define/row-schema.ts';
import { bigint, clickhouse, definePipeline, dimension, div, float4, hopping, integer, postgres, sum, table, text, timestamptz, uuid } from '../define-pipeline.ts';
import { planMigration, type Outcome } from './plan.ts';
import { reshaped, type Shape } from './shape.ts';
import type { SourceChange } from './source-changes.ts';

function define({ seconds = integer().nullable(), device = true }: { seconds?: ReturnType<typeof integer>; device?: boolean } = {}) {
  return definePipeline({
    name: 'visits',
    source: postgres({
      events: table('visits', { id: bigint(), at: timestamptz(), page: uuid(), seconds, heat: float4().nullable(), ...(device ? { device: text().nullable().interned() } : {}) }, { key: 'id', eventTime: 'at' }),
      pages: dimension('pages', { id: uuid(), title: text().nullable() }, { key: 'id', on: 'page' }),
    }),
    enrich: ({ events, pages }) => ({ title: pages.title, minutes: div(events.seconds, 60) }),
    views: ({ events, pages }) => ({ pages: hopping('1m', { every: '10s', key: events.page, score: sum(events.seconds), top: 3, labels: { title: pages.title } }) }),
    sinks: { rows: clickhouse({ table: 'visits', orderBy: ['at', 'id'], partitionBy: 'at' }) },
  });
}

const pipeline = resolve(define(), {});
const planOf = (changes: readonly SourceChange[], shape: Shape = {}, where = 'events') => planMigration(pipeline, shape, [{ table: where, changes }]);
const shapeOf = (outcome: Outcome) => (outcome.possible ? outcome.shape : undefined);
const whyOf = (outcome: Outcome) => (outcome.possible ? [] : outcome.why);
const renamed = (column: string, to: string, type: ColumnType = 'text'): SourceChange => ({ kind: 'renamed', column, to, type });
const retyped = (column: string, from: ColumnType, to: ColumnType): SourceChange => ({ kind: 'retyped', column, from, to, typeName: to });

describe('what no column of the definition has to do with', () => {
  test.each<SourceChange>([
    { kind: 'added', column: 'more', type: 'text', typeName: 'text' },
    { kind: 'dropped', column: 'other' },
    renamed('other', 'another'),
    retyped('other', 'int4', 'text'),
  ])('$kind', (change) => {
    const { verdict, approve, changes } = planOf([change]);
    expect(verdict).toBe('nothing');
    expect(shapeOf(approve)).toEqual({});
    expect(changes).toHaveLength(1);
  });
});

describe('a wider type', () => {
  test('is taken over without asking', () => {
    const { verdict, approve } = planOf([retyped('seconds', 'int4', 'int8')]);
    expect(verdict).toBe('automatic');
    expect(shapeOf(approve)).toEqual({ events: { seconds: { type: 'int8' } } });
    expect(rowSchema(reshaped(pipeline, shapeOf(approve)!))['seconds']).toMatchObject({ type: 'int8', nullable: true });
  });

  test('of the key is none, as sinks are sorted by it', () => {
    const { verdict, approve, reject } = planOf([retyped('id', 'int8', 'int4')]);
    expect(verdict).toBe('impossible');
    expect(whyOf(approve)[0]).toBe('events.id cannot become int4: it is the key of events, what the table of sink rows is sorted by.');
    expect(whyOf(reject)).toHaveLength(1);
  });

  test('and a rename together need approval', () => {
    const { verdict, approve } = planOf([renamed('heat', 'warmth', 'float4'), retyped('warmth', 'float4', 'float8')]);
    expect(verdict).toBe('approval');
    expect(shapeOf(approve)).toEqual({ events: { heat: { from: 'warmth', type: 'float8', was: ['heat'] } } });
  });
});

describe('another type', () => {
  test('of a mere value can be approved', () => {
    const { verdict, approve, reject } = planOf([retyped('device', 'text', 'int4')]);
    expect(verdict).toBe('approval');
    expect(rowSchema(reshaped(pipeline, shapeOf(approve)!))['device']).toEqual({ type: 'int4', nullable: true, interned: false });
    expect(shapeOf(reject)).toEqual({ events: { device: { lost: 'empty', type: 'text' } } });
  });

  test('of a dimension cannot, as its rows of before are kept', () => {
    expect(whyOf(planOf([retyped('title', 'text', 'int4')], {}, 'pages').approve)[0]).toBe('pages.title cannot become int4: rows of pages are kept as they were at any time, with values of text.');
    expect(planOf([retyped('title', 'text', 'int4')], {}, 'pages').reject.possible).toBe(true);
  });

  test('of what is counted cannot, unless it is read the same', () => {
    expect(whyOf(planOf([retyped('seconds', 'int4', 'text')]).approve)[0]).toBe('events.seconds cannot become text: it is what minutes is computed from, what view pages counts, which takes int.');
    expect(planOf([retyped('seconds', 'int4', 'int2')]).approve.possible).toBe(true);
    expect(planOf([retyped('seconds', 'int4', 'int2')]).verdict).toBe('approval');
  });
});

describe('a dropped column', () => {
  test('that is a mere value can be removed, or stay empty', () => {
    const { verdict, approve, reject } = planOf([{ kind: 'dropped', column: 'device' }]);
    expect(verdict).toBe('approval');
    const [without, empty] = [reshaped(pipeline, shapeOf(approve)!), reshaped(pipeline, shapeOf(reject)!)];
    expect(Object.keys(rowSchema(without))).not.toContain('device');
    expect(without.source.events.columns['device']).toBeUndefined();
    expect(empty.source.events.columns['device']).toEqual({ type: 'text', nullable: true, interned: true, from: null });
    expect(Object.keys(rowSchema(empty))).toEqual(Object.keys(rowSchema(pipeline)));
  });

  test('of which something is computed can only stay empty, which says what becomes empty with it', () => {
    const { verdict, approve, reject } = planOf([{ kind: 'dropped', column: 'seconds' }]);
    expect(verdict).toBe('approval');
    expect(whyOf(approve)).toEqual(['events.seconds cannot be removed: it is what minutes is computed from, what view pages counts.']);
    expect(reject).toMatchObject({ possible: true, says: ['events.seconds is NULL from there on, and it is what minutes is computed from, what view pages counts; rows of rows can no more be repaired or written again alone, but only by a load of everything'] });
  });

  test.each([['at', 'the event time'], ['id', 'the key of events'], ['page', 'what dimension pages hangs on']])('%s cannot be missed', (column, why) => {
    const { verdict, reject } = planOf([{ kind: 'dropped', column }]);
    expect(verdict).toBe('impossible');
    expect(whyOf(reject)[0]).toContain(why);
  });

  test('of a dimension', () => {
    const { approve, reject } = planOf([{ kind: 'dropped', column: 'title' }], {}, 'pages');
    expect(whyOf(approve)[0]).toContain('a label of view pages');
    expect(reshaped(pipeline, shapeOf(reject)!).source.dimensions['pages']!.columns['title']).toMatchObject({ from: null });
  });

  test('and another one of its name at once is the same question', () => {
    const { verdict, approve } = planOf([{ kind: 'dropped', column: 'device' }, { kind: 'added', column: 'device', type: 'int4', typeName: 'integer' }]);
    expect(verdict).toBe('approval');
    expect(shapeOf(approve)).toEqual({ events: { device: { type: 'int4' } } });
  });

  test('that comes back is read again if that is approved', () => {
    const shape: Shape = { events: { device: { lost: 'empty', type: 'text' } } };
    const { verdict, approve, reject } = planOf([{ kind: 'added', column: 'device', type: 'text', typeName: 'text' }], shape);
    expect(verdict).toBe('approval');
    expect(definitionHash(reshaped(pipeline, shapeOf(approve)!))).toBe(definitionHash(pipeline));
    expect(shapeOf(reject)).toEqual(shape);
  });

  test.each<[string, Shape, SourceChange, SourceChange]>([
    ['renamed back', {}, renamed('device', 'gadget'), renamed('gadget', 'device')],
    ['made again', {}, { kind: 'dropped', column: 'device' }, { kind: 'added', column: 'device', type: 'text', typeName: 'text' }],
    ['retyped back', {}, retyped('device', 'text', 'int4'), retyped('device', 'int4', 'text')],
    ['renamed back to the name that a migration had followed', { events: { device: { from: 'gadget', was: ['device'] } } }, renamed('gadget', 'thing'), renamed('thing', 'gadget')],
  ])('that was rejected and is %s is read again if that is approved, and not if that is rejected too', (_, before, there, back) => {
    const lost = shapeOf(planOf([there], before).reject)!;
    expect(lost['events']!['device']).toMatchObject({ lost: 'empty' });
    const { verdict, approve, reject } = planOf([back], lost);
    expect(verdict).toBe('approval');
    expect(definitionHash(reshaped(pipeline, shapeOf(approve)!))).toBe(definitionHash(reshaped(pipeline, before)));
    expect(shapeOf(reject)).toEqual(lost);
  });

  test('that comes back with another type has that, and one that was removed comes back to tables as well, or stays away', () => {
    const lost: Shape = { events: { device: { lost: 'removed' } } };
    const { approve, reject } = planOf([renamed('gadget', 'device', 'int4')], lost);
    expect(shapeOf(approve)).toEqual({ events: { device: { type: 'int4' } } });
    expect(shapeOf(reject)).toEqual(lost);
    expect(planOf([renamed('gadget', 'other')], lost).verdict).toBe('nothing');
  });
});

describe('a renamed column', () => {
  test('is read by its new name and keeps its own', () => {
    const { verdict, approve } = planOf([renamed('at', 'happened', 'timestamptz')]);
    expect(verdict).toBe('approval');
    expect(reshaped(pipeline, shapeOf(approve)!).source.events.columns['at']).toEqual({ type: 'timestamptz', nullable: false, interned: false, from: 'happened' });
  });

  test('twice, and back', () => {
    const once = shapeOf(planOf([renamed('device', 'gadget')]).approve)!;
    const twice = shapeOf(planOf([renamed('gadget', 'thing')], once).approve)!;
    expect(twice).toEqual({ events: { device: { from: 'thing', was: ['device', 'gadget'] } } });
    const back = shapeOf(planOf([renamed('thing', 'device')], twice).approve)!;
    expect(definitionHash(reshaped(pipeline, back))).toBe(definitionHash(pipeline));
  });
});

test('several changes are one decision, and one of them that cannot be done stops all', () => {
  const { verdict, approve, reject, changes } = planOf([{ kind: 'dropped', column: 'device' }, { kind: 'dropped', column: 'seconds' }]);
  expect(verdict).toBe('approval');
  expect(approve.possible).toBe(false);
  expect(reject.possible).toBe(true);
  expect(changes).toHaveLength(2);
});

describe('who writes the change into the definition has the same pipeline', () => {
  test('a wider type', () => {
    const shape = shapeOf(planOf([retyped('seconds', 'int4', 'int8')]).approve)!;
    const written = resolve(define({ seconds: bigint().nullable() as never }), {});
    expect(definitionHash(reshaped(written, shape))).toBe(definitionHash(reshaped(pipeline, shape)));
    expect(definitionHash(written)).toBe(definitionHash(reshaped(pipeline, shape)));
  });

  test('a removed column', () => {
    const shape = shapeOf(planOf([{ kind: 'dropped', column: 'device' }]).approve)!;
    const written = resolve(define({ device: false }), {});
    expect(definitionHash(reshaped(written, shape))).toBe(definitionHash(reshaped(pipeline, shape)));
    expect(definitionHash(written)).toBe(definitionHash(reshaped(pipeline, shape)));
  });
});
