import { Context } from '@temporalio/activity';
import { leave } from '../connectors/postgres/leave.ts';
import { explainRange } from '../connectors/reconciliation/explain-range.ts';
import { statementMs } from '../connectors/reconciliation/place.ts';
import { systemClock } from '../connectors/system-clock.ts';
import { openWorkingDatabase } from '../connectors/verification/working-database.ts';
import { windowAt, type ExplainedWindow, type ExplainRequest } from '../core/explained-window.ts';
import { endMarksOfTheDead } from './dead-marks.ts';
import { beating } from './beating.ts';
import { assertComparable, openPanes, ownName } from './reconcile.ts';
import type { Runtime } from './runtime.ts';

/** What the workflow that explains a window sees. */
export type ExplainActivities = { explainWindow(request: ExplainRequest): Promise<ExplainedWindow> };

export function explainWindow(runtime: Pick<Runtime, 'config' | 'state' | 'definition'>, { pipeline: name, atMs, view }: ExplainRequest): Promise<ExplainedWindow> {
  return beating(async () => {
    const context = Context.current();
    const { pipeline } = await runtime.definition(name);
    const range = windowAt(pipeline.views[view]!.window, atMs);
    await assertComparable(runtime, name, context.cancellationSignal);
    const panes = await openPanes(runtime, pipeline);
    await endMarksOfTheDead(context.client, panes, ownName());
    await panes.checkCompared(range);
    const database = await openWorkingDatabase(runtime.config.stateUrl, `sluice ${name} verify`, statementMs);
    try {
      const place = { database, pipeline, addresses: runtime.config, panes, name: ownName(), unavailable: new Map<string, string>(), clock: systemClock, signal: context.cancellationSignal, onPhase: () => {} };
      return { pipeline: name, view, ...range, ...(await explainRange(place, view, range)) };
    } finally {
      await panes.endCompared(ownName()).catch(() => {});
      await leave(database);
    }
  });
}

