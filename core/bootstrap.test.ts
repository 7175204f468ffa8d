import { describe, expect, test } from 'vitest';
import { needsOtherWorker, otherFileText, replacedText, startVerdict, wrongText, type BootstrapStatus, type Comparison, type SeenPipeline, type SeenReport } from './bootstrap.ts';
import type { LaneState } from './lane-state.ts';
import type { PipelineState } from './pipeline-state.ts';
import { position } from './position.ts';

const loadedAt = position(2, 100n, 0);
const beyond = position(2, 200n, 0);

function verdict(state: PipelineState, { capture = 'running', lane = 'running', reports = {}, error = null }: { capture?: LaneState; lane?: LaneState; reports?: Record<string, Partial<SeenReport>>; error?: string | null } = {}) {
  const seen: SeenPipeline = { state, error, capture: { name: 'capture', state: capture, error: null }, lanes: [{ name: 'rows', state: lane, error: lane === 'parked' ? 'the table is gone' : null }, { name: 'relay', state: 'running', error: null }] };
  const all = { capture: { fence: beyond, error: null }, rows: { fence: beyond, error: null } } as Record<string, SeenReport>;
  for (const [part, report] of Object.entries(reports)) all[part] = { ...all[part]!, ...report };
  return startVerdict('p', seen, { readers: ['rows'], reports: new Map(Object.entries(all)), loadedAt });
}

describe('whether a pipeline streams', () => {
  test.each<[PipelineState, string | RegExp]>([
    ['loading', 'its first load'],
    ['draining', 'its steps are coming to their end'],
  ])('%s is waited for', (state, why) => {
    expect(verdict(state)).toEqual({ tag: 'waits', why });
  });

  test('a person must do something about one that is paused or parked', () => {
    expect(verdict('paused')).toEqual({ tag: 'stopped', why: 'it is paused, as somebody asked. Go on with: ./sluice resume p' });
    expect(verdict('parked', { error: 'The source has wal_level=replica.' })).toEqual({ tag: 'stopped', why: 'The source has wal_level=replica.' });
    expect(verdict('running', { lane: 'parked' })).toEqual({ tag: 'stopped', why: 'rows is parked: the table is gone' });
    expect(verdict('running', { capture: 'broken' })).toEqual({ tag: 'stopped', why: 'capture is broken: type ./sluice resume p --lane capture' });
  });

  test('running, it streams when capture and lanes are beyond the load; relays and paused lanes are not waited for', () => {
    expect(verdict('running')).toEqual({ tag: 'streams' });
    expect(verdict('running', { lane: 'paused', reports: { rows: { fence: loadedAt } } })).toEqual({ tag: 'streams' });
  });

  test('a migration is waited for', () => {
    expect(verdict('running', { capture: 'migrating' })).toEqual({ tag: 'waits', why: "a migration of its source's columns: see ./sluice migrations p" });
  });

  test.each<[string, Record<string, Partial<SeenReport>>, string]>([
    ['the capture stands where the load ended', { capture: { fence: loadedAt } }, 'capture to come beyond the load'],
    ['a lane does', { rows: { fence: loadedAt } }, 'rows to come beyond the load'],
    ['a lane is of an earlier load', { rows: { fence: position(1, 900n, 0) } }, 'rows to come beyond the load'],
    ['a lane has said nothing', { rows: { fence: null } }, 'rows to come beyond the load'],
    ['its attempts fail', { rows: { error: 'connection refused' } }, 'rows: connection refused'],
  ])('it does not yet: %s', (_, reports, why) => {
    expect(verdict('running', { reports })).toEqual({ tag: 'waits', why });
  });
});

describe('a worker that has read another file', () => {
  const comparison: Comparison = { worker: ['settings.lingerMs is 7, and was 50'], changes: [], isChanged: false, loaded: 'loaded', isRunning: true };
  const status = (more: Partial<BootstrapStatus>): BootstrapStatus => ({ pipeline: 'p', state: 'failed', comparison, findings: [], said: [], phase: '', error: '', ...more });

  test.each<[string, BootstrapStatus, boolean]>([
    ['is started anew', status({}), true],
    ['not only to say so', status({ dryRun: true }), false],
    ['not if it would refuse what runs', status({ comparison: { ...comparison, isChanged: true } }), false],
    ['but if that may be dropped', status({ comparison: { ...comparison, isChanged: true }, allow: true }), true],
    ['not for another failure', status({ comparison: { ...comparison, worker: [] } }), false],
    ['not without any', status({ state: 'done' }), false],
  ])('%s', (_, given, needs) => {
    expect(needsOtherWorker(given)).toBe(needs);
  });
});

test('who asks for a dry run of what no worker has read is told how to get one', () => {
  expect(otherFileText('p', ['it knows no pipeline of that name'], false)).not.toMatch(/dry run/);
  expect(otherFileText('p', ['it knows no pipeline of that name'], true)).toMatch(/^The worker has not read pipelines\/p\.ts as it is now:\n {2}it knows no pipeline of that name\n.*\nA dry run starts none, .*\.\/sluice down and \.\/sluice up/);
});

test('what is wrong is said with what mends it, and what is only a warning is not in the way', () => {
  const finding = { service: 'source', pipeline: 'p', found: 'Table public.t has no key.', mend: 'ALTER TABLE public.t ADD PRIMARY KEY (id);' } as const;
  expect(wrongText('p', [{ ...finding, state: 'wrong' }, { ...finding, state: 'warning', found: 'slow' }])).toBe('p cannot run so:\n  source: Table public.t has no key.\n    mend: ALTER TABLE public.t ADD PRIMARY KEY (id);\nThen type ./sluice apply p again.');
});

test('a changed definition is told change by change, with both ways out', () => {
  expect(replacedText('p', ['sinks.rows is new'])).toMatch(/^What p is defined as is not what was loaded:\n {2}sinks\.rows is new\n.*\.\/sluice apply p --allow .*Or put pipelines\/p\.ts back/s);
  expect(replacedText('p', [])).toMatch(/did not put on record which/);
});
