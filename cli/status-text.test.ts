import { describe, expect, test } from 'vitest';
import { position } from '../core/position.ts';
import type { PipelineStatus } from '../infra/supervisor/pipelines.ts';
import { duration } from './duration.ts';
import { pipelineText, servicesText } from './status-text.ts';

const lane = { kind: 'http', state: 'running', lagMs: 400, fence: null, eventsPerSecond: 0, deadLetters: 0, error: null } as const;
const status: PipelineStatus = {
  name: 'engagement',
  state: 'running',
  reason: null,
  capture: { ...lane, name: 'capture', kind: 'capture', fence: position(1, 0x1_0abc_de00n, 3) },
  lanes: [
    { ...lane, name: 'external', lagMs: 167_837, deadLetters: 2, error: 'HTTP 503' },
    { ...lane, name: 'leaderboard', kind: 'redis-results', fence: '6', lagMs: null },
  ],
  watermark: '2026-11-21T10:00:00.000Z',
  eventsPerSecond: 20,
  slotLagBytes: null,
  spoolBytes: null,
  slot: null,
  reconciled: { state: 'different', ended: '2026-11-21T09:48:04.000Z', sentence: 'windows differ: 2 of 360 of enriched', workflowId: 'reconcile/engagement/1', workflowUrl: null },
  notes: [],
  started: null,
  workflowId: 'pipeline/engagement',
  workflowUrl: null,
};

test.each([[0, '0.0 s'], [412, '0.4 s'], [48_200, '48 s'], [59_900, '1 min 0 s'], [167_837, '2 min 48 s'], [3_600_000, '1 h 0 min'], [100 * 3_600_000, '4 d 4 h']])('%d ms is %s', (ms, text) => {
  expect(duration(ms)).toBe(text);
});

describe('status is a page that one reads', () => {
  test('of the pipelines', () => {
    expect(pipelineText(status, Date.parse('2026-11-21T10:00:04Z'))).toEqual([
      'engagement: running, 20 events/s, watermark 2026-11-21T10:00:00.000Z (4.0 s ago)',
      '  PART         KIND           STATE    BEHIND      EVENTS/S  APPLIED UP TO',
      '  capture      capture        running  0.4 s       0         WAL 1/ABCDE00',
      '  external     http           running  2 min 48 s  0         -',
      '  leaderboard  redis-results  running  -           0         window result 6',
      '  external: 2 dead letters wait, see ./sluice dlq list engagement --lane external',
      '  external: HTTP 503',
      '  DIFFERENT: reconciled 12 min 0 s ago: windows differ: 2 of 360 of enriched',
    ]);
  });

  test('what a pipeline is parked for is told once, though its capture says it too', () => {
    const reason = 'The replication slot sluice_engagement of pipeline engagement is gone.';
    const parked = pipelineText({ ...status, state: 'parked', reason, capture: { ...status.capture!, state: 'parked', error: reason } }, Date.parse('2026-11-21T10:00:04Z'));
    expect(parked.filter((line) => line.includes(reason))).toEqual([`  ${reason}`]);
    expect(parked).toContain('  external: HTTP 503');
  });

  test('of the services, with the reason beside what is not healthy, and without passwords', () => {
    const services = {
      source: { url: 'postgres://sluice:secret@127.0.0.1:7400/source', pid: 12, health: { tag: 'healthy' } },
      worker: { url: 'http://127.0.0.1:7407', pid: null, health: { tag: 'down', why: 'connect ECONNREFUSED 127.0.0.1:7407' } },
      temporalUi: { url: null, pid: null, health: null },
    } as const;
    expect(servicesText(services)).toEqual([
      'SERVICE     STATE    PID  ADDRESS',
      'source      healthy  12   postgres://sluice@127.0.0.1:7400/source',
      'worker      DOWN     -    http://127.0.0.1:7407                    connect ECONNREFUSED 127.0.0.1:7407',
      'temporalUi  unknown  -    -',
    ]);
  });
});
