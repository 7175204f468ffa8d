import { expect, test } from 'vitest';
import engagement from '../pipelines/engagement.ts';
import { explainedText, explainRequest, windowAt, type ExplainedWindow } from './explained-window.ts';

const at = Date.UTC(2026, 10, 21, 10);

test.each([
  ['the one that ends then', at, at],
  ['or the next one', at + 1, at + 10_000],
  ['or that which it is in the last pane of', at + 9_999, at + 10_000],
])('%s', (_, ms, end) => expect(windowAt({ everyMs: 10_000, sizeMs: 60_000 }, ms)).toEqual({ fromMs: end - 60_000, toMs: end }));

test.each([
  [at - 1, 'nothing', 'Pipeline engagement has no view nothing; it has top10m, leaderboard.'],
  [at + 1, undefined, 'The window of 2026-11-21T10:00:00.001Z has not come yet. Ask for one that has closed.'],
])('%d of %s is refused', (ms, view, sentence) => expect(() => explainRequest(engagement, ms, view, at)).toThrow(sentence));

test('without a view it is the first one; without any there is nothing to explain', () => {
  expect(explainRequest(engagement, at, undefined, at)).toEqual({ pipeline: 'engagement', atMs: at, view: 'top10m' });
  expect(() => explainRequest({ ...engagement, views: {} }, at, undefined, at)).toThrow('Pipeline engagement has no views, so no windows. To compare its rows of a time: ./sluice reconcile engagement');
});

test('in words: what each side has, the first rows, the difference, and what to type', () => {
  const explained: ExplainedWindow = {
    pipeline: 'engagement',
    view: 'leaderboard',
    fromMs: at - 60_000,
    toMs: at,
    source: { rows: 1200, counted: { keys: '3', score: '7.2' }, first: [{ id: '5', event_ts: '2026-11-21 09:59:01+00' }] },
    sinks: [{ sink: 'aggregate', has: 'panes: keys=3 score=7.4' }, { sink: 'external', has: 'not comparable without its receiver' }],
    compared: [{ sink: 'aggregate', what: 'panes', windows: 6, different: 1, differing: [{ fromMs: at - 10_000, toMs: at }], differences: [{ kind: 'changed', key: { key: 'a' }, expected: { score: '2' }, actual: { score: '2.2' } }], mend: { tag: 'views', views: ['leaderboard'] } }],
  };
  expect(explainedText(explained)).toBe(
    `engagement, leaderboard, the window 2026-11-21T09:59..2026-11-21T10:00 (UTC): DIFFERENT

  source     1,200 rows; counted: keys=3 score=7.2
  aggregate  panes: keys=3 score=7.4
  external   not comparable without its receiver

first rows:
  id=5 event_ts='2026-11-21 09:59:01+00'

aggregate, panes: 1 window, 2026-11-21T09:59:50..2026-11-21T10:00
  changed key=a: score is 2.2, expected 2

To repair it: ./sluice reconcile engagement --from 2026-11-21T09:59 --to 2026-11-21T10:00 --repair`,
  );
  const equal = explainedText({ ...explained, compared: [] });
  expect(equal).toContain('equal everywhere');
  expect(equal).not.toContain('To repair');
});
