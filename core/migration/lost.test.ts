import { expect, test } from 'vitest';
import engagement from '../../pipelines/engagement.ts';
import { lostViews, uncountableViews } from './lost.ts';
import { reshaped, type Shape } from './shape.ts';

const names = Object.keys(engagement.views);

test.each<[string, Shape, readonly string[], readonly string[]]>([
  ['nothing', {}, [], []],
  ['a column that no view reads', { events: { device: { lost: 'empty' } } }, [], []],
  ['what views count', { events: { event_type: { lost: 'empty' } } }, names, names],
  ['what is only a label', { content: { title: { lost: 'empty' } } }, ['leaderboard'], []],
])('of %s that is lost', (_, shape, lost, uncountable) => {
  const pipeline = reshaped(engagement, shape);
  expect([...lostViews(pipeline)].toSorted()).toEqual(lost.toSorted());
  expect([...uncountableViews(pipeline)].toSorted()).toEqual(uncountable.toSorted());
});
