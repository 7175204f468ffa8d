import { expect, test } from 'vitest';
import engagement from '../../pipelines/engagement.ts';
import { lostOfRows, lostRowsText, lostViews, uncountableViews } from './lost.ts';
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

test('rows that have what the source has lost are written again by a load alone', () => {
  const pipeline = reshaped(engagement, { events: { device: { lost: 'empty' }, event_type: { lost: 'removed' } }, content: { title: { lost: 'empty' } } });
  expect(lostOfRows(pipeline)).toEqual(['device', 'title']);
  expect(lostRowsText(pipeline)).toBe('the source of engagement has no more what device, title had before, so those values are in these rows alone. Written again they are, without those values, when everything is loaded anew: ./sluice recover engagement');
  expect(lostRowsText(engagement)).toBeUndefined();
});
