import { describe, expect, test } from 'vitest';
import type { Compared } from './reconcile.ts';
import { reconcileSentence, reconcileState, reconcileSummary, reconcileText, repairOutcome, type ReconcileReport } from './reconcile-report.ts';

const at = (seconds: number) => Date.UTC(2026, 10, 21, 10) + seconds * 1000;
const panes: Compared = { sink: 'aggregate', what: 'panes of top', windows: 360, different: 0, differing: [], differences: [], mend: { tag: 'views', views: ['top'] } };
const rows: Compared = { ...panes, sink: 'enriched', what: 'rows of t', mend: { tag: 'rows' } };
const differs: Compared = { ...rows, different: 2, differing: [{ fromMs: at(10), toMs: at(20) }, { fromMs: at(40), toMs: at(50) }], differences: [{ kind: 'changed', key: { id: '5' }, expected: { title: 'b' }, actual: { title: 'a' } }] };
const away: Compared = { ...rows, windows: 0, problem: 'enriched could not be read' };
const report = (more: Partial<ReconcileReport>): ReconcileReport => {
  const found = { compared: [panes, rows], repaired: [], failed: [], problem: null, ...more };
  return { pipeline: 'p', repair: false, ranges: [{ fromMs: at(0), toMs: at(3600) }], left: [], rows: 12_000, ended: '2026-11-21T11:00:00.000Z', state: reconcileState(found), ...found };
};

test.each([
  ['equal', {}],
  ['different', { compared: [panes, differs] }],
  ['different', { compared: [panes, differs, away] }],
  ['repaired', { compared: [panes, differs], repaired: ['it'] }],
  ['different', { compared: [panes, differs], repaired: ['it'], failed: ['that'] }],
  ['incomplete', { compared: [panes, away] }],
  ['incomplete', { problem: 'the source is away' }],
  ['incomplete', { compared: [panes, differs, { ...away, sink: 'other' }], repaired: ['it'] }],
] as const)('%s: %j', (state, more) => expect(report(more).state).toBe(state));

describe('in words', () => {
  test.each([
    [{}, '720 windows compared, all equal'],
    [{ compared: [panes, differs] }, 'windows differ: 2 of 360 of enriched'],
    [{ compared: [panes, differs], repaired: ['it'] }, '2 of 360 of enriched differed, and were repaired'],
    [{ compared: [panes, away] }, '360 windows compared, none differs; not all could be compared: enriched could not be read'],
    [{ problem: 'Lane aggregate stands still.' }, '720 windows compared, none differs; not all could be compared: Lane aggregate stands still.'],
    [{ compared: [], problem: 'Migration 3 waits.' }, 'nothing was compared: Migration 3 waits.'],
    [{ left: [{ fromMs: at(0), toMs: at(60) }] }, '720 windows compared, all equal; the next one goes on with what is left'],
  ] as const)('%j', (more, sentence) => expect(reconcileSentence(report(more))).toBe(sentence));

  test('what differs is named, with what to type', () => {
    expect(reconcileText(report({ compared: [panes, differs, { ...panes, sink: 'external', what: 'events', windows: 0, note: 'not comparable without its receiver' }] }))).toBe(
      `p, 2026-11-21T10:00..2026-11-21T11:00 (UTC): windows differ: 2 of 360 of enriched
  aggregate, panes of top: 360 windows, none differs
  enriched, rows of t: 360 windows, 2 DIFFER
  external, events: not comparable without its receiver

enriched, rows of t: 2 windows, 2026-11-21T10:00:10..2026-11-21T10:00:20, 2026-11-21T10:00:40..2026-11-21T10:00:50
  changed id=5: title is a, expected b

12,000 rows of the source read
To repair it: ./sluice reconcile p --from 2026-11-21T10:00:10 --to 2026-11-21T10:00:50 --repair`,
    );
  });

  test('what no repair helps is not told to be repaired, but why', () => {
    const lost: Compared = { ...differs, mend: { tag: 'none' }, note: 'they cannot be repaired alone: so it is' };
    const text = reconcileText(report({ compared: [panes, lost] }));
    expect(text).toContain('enriched, rows of t: 360 windows, 2 DIFFER; they cannot be repaired alone: so it is');
    expect(text).not.toContain('To repair');
    expect(reconcileText(report({ compared: [{ ...panes, different: 1, differing: [{ fromMs: at(0), toMs: at(10) }] }, lost] }))).toMatch(/\nTo repair aggregate: \.\/sluice reconcile p --from 2026-11-21T10:00 --to 2026-11-21T10:00:10 --repair$/);
    expect(repairOutcome([lost], [lost])).toEqual({ repaired: [], failed: [expect.stringMatching(/still, changed id=5: title is a, expected b; they cannot be repaired alone: so it is$/)] });
  });

  test('a repair says what it did and what it did not', () => {
    const text = reconcileText(report({ repair: true, compared: [panes, differs], repaired: ['enriched, rows of t: 2 windows'], failed: ['live: still'] }));
    expect(text).toContain('\nrepaired: enriched, rows of t: 2 windows\nNOT REPAIRED: live: still');
    expect(text).not.toContain('To repair it');
  });
});

test('what was repaired is equal when it is compared again; everything else is not', () => {
  const before = [panes, differs, { ...differs, sink: 'live', what: 'members' }, { ...differs, sink: 'table', what: 'windows' }];
  const again = [{ ...differs, different: 0, differing: [], differences: [] }, { ...differs, sink: 'live', what: 'members', different: 1 }, { ...differs, sink: 'table', what: 'windows', problem: 'its lane is paused' }];
  const { repaired, failed } = repairOutcome(before, again);
  expect(repaired).toEqual([expect.stringMatching(/^enriched, rows of t: 2 windows, 2026/)]);
  expect(failed).toEqual([expect.stringMatching(/^live, members: 2 windows.*: 1 window, .* still, changed id=5/), expect.stringMatching(/^table, windows: .*: its lane is paused$/)]);
  expect(repairOutcome(before, undefined).failed).toHaveLength(3);
  expect(repairOutcome([differs], [{ ...differs, different: 0, differing: [] }, { ...differs, sink: 'new' }]).failed).toEqual([expect.stringMatching(/^new, rows of t: .* after the repair/)]);
});

test('status, dashboard and metrics get numbers by sink', () => {
  expect(reconcileSummary(report({ compared: [panes, { ...panes, what: 'panes of other' }, differs] }), 'reconcile/p/1')).toEqual({
    state: 'different',
    ended: '2026-11-21T11:00:00.000Z',
    sentence: 'windows differ: 2 of 360 of enriched',
    workflowId: 'reconcile/p/1',
    sinks: [
      { sink: 'aggregate', windows: 720, different: 0 },
      { sink: 'enriched', windows: 360, different: 2 },
    ],
  });
});
