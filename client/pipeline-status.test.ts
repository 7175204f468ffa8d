import { describe, expect, test } from 'vitest';
import { parseConfig } from '../core/config.ts';
import type { WorkflowStatus } from '../workflows/messages.ts';
import { pipelineStatus } from './pipeline-status.ts';
import type { PartReport } from './progress.ts';

const config = parseConfig({
  SLUICE_SOURCE_URL: 'postgres://h/s',
  SLUICE_STATE_URL: 'postgres://h/t',
  SLUICE_REDIS_URL: 'redis://h',
  SLUICE_CLICKHOUSE_URL: 'http://h',
  TEMPORAL_ADDRESS: 'h:7233',
  SLUICE_TEMPORAL_UI_URL: 'http://ui:8233/',
});
const now = 1_000_000_000;
const report = (more: Partial<PartReport>): PartReport => ({ fence: 'a', eventsPerSecond: 5, commitTimeMs: now - 60, lagMs: 40, watermarkMs: now - 2_000, error: null, reportedAtMs: now - 500, ...more });
const part = { name: 'aggregate', kind: 'aggregate', state: 'running', fence: '0', last: null, error: null } as const;
const answer: WorkflowStatus = { name: 'trending', state: 'running', capture: { ...part, name: 'capture', kind: 'capture' }, lanes: [part], notes: [], error: null, started: '2026-11-21T10:00:00.000Z' };

const statusOf = (capture: PartReport, lane?: PartReport) => pipelineStatus(config, 'trending', answer, new Map([['trending/capture', capture], ...(lane ? [['trending/aggregate', lane] as const] : [])]), now);

describe('status', () => {
  test('joins what the workflow says with what the parts report', () => {
    expect(statusOf(report({ slotLagBytes: 10, spoolBytes: 20 }), report({ fence: 'a' }))).toMatchObject({
      state: 'running',
      eventsPerSecond: 5,
      slotLagBytes: 10,
      spoolBytes: 20,
      watermark: new Date(now - 2_000).toISOString(),
      lanes: [{ name: 'aggregate', fence: 'a', lagMs: 40 }],
      workflowUrl: 'http://ui:8233/namespaces/default/workflows/pipeline%2Ftrending',
    });
  });

  test('the lag of a lane that stands still grows with time', () => {
    const stalled = statusOf(report({ fence: 'b' }), report({ fence: 'a', commitTimeMs: now - 30_000 }));
    expect(stalled.lanes[0]!.lagMs).toBeGreaterThan(25_000);
    // it gathers, and the newest canary is not in it yet
    expect(statusOf(report({ fence: 'b' }), report({ fence: 'a', commitTimeMs: now - 2_100 })).lanes[0]!.lagMs).toBe(40);
    const quiet = report({ fence: 'b', eventsPerSecond: 0 });
    expect(statusOf(quiet, report({ fence: 'a', commitTimeMs: now - 10_100 })).lanes[0]!.lagMs).toBe(40);
    expect(statusOf(quiet, report({ fence: 'a', commitTimeMs: now - 30_000 })).lanes[0]!.lagMs).toBeGreaterThan(15_000);
  });

  test('nothing is made up when there is no report, or only an old one', () => {
    expect(statusOf(report({ reportedAtMs: now - 60_000 }))).toMatchObject({ eventsPerSecond: 0, watermark: null, lanes: [{ fence: '0', lagMs: null }] });
  });

  test('what the source keeps is told as long as somebody looks, whatever the workflow does', () => {
    const slot = { alarm: 'critical', keptBytes: 5, leftBytes: 1, walBytesPerSecond: 1, leftSeconds: 1, sentence: 'the source keeps 5 bytes' } as const;
    const told = (reportedAtMs: number) => pipelineStatus(config, 'trending', 'no worker answered', new Map([['trending/source', report({ slot, reportedAtMs })]]), now).slot;
    expect(told(now - 6_000)).toEqual(slot);
    expect(told(now - 90_000)).toBeNull();
  });

  test('what the last reconcile found is told, however long ago that was', () => {
    const reconcile = { state: 'equal', ended: '2026-11-21T09:00:00.000Z', sentence: '720 windows compared, all equal', workflowId: 'reconcile/trending/1', sinks: [] } as const;
    const told = pipelineStatus(config, 'trending', answer, new Map([['trending/reconcile', report({ reconcile, reportedAtMs: now - 9_000_000 })]]), now).reconciled;
    expect(told).toEqual({ state: 'equal', ended: reconcile.ended, sentence: reconcile.sentence, workflowId: reconcile.workflowId, workflowUrl: 'http://ui:8233/namespaces/default/workflows/reconcile%2Ftrending%2F1' });
    expect(statusOf(report({})).reconciled).toBeNull();
  });

  test('a workflow that cannot be asked is unreachable, with the reason', () => {
    expect(pipelineStatus(config, 'trending', 'no worker answered', new Map(), now)).toMatchObject({ state: 'unreachable', reason: 'no worker answered', lanes: [], capture: null });
  });
});
