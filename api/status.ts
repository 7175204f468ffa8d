import { z } from '@hono/zod-openapi';
import { pipelineStatus, type PipelineStatus as ClientStatus } from '../client/pipeline-status.ts';
import { pipelineStatuses } from '../client/pipelines.ts';
import type { Config } from '../core/config.ts';
import { reconcileStates } from '../core/reconcile-report.ts';
import { ApiError } from './errors.ts';
import type { Pipelines } from './known.ts';
import { openWindows } from './live/open-windows.ts';

const Lane = z
  .object({
    name: z.string(),
    kind: z.string(),
    state: z.enum(['running', 'paused', 'held', 'parked', 'broken', 'migrating']),
    lagMs: z.number().nullable().openapi({ description: "How far behind the source's commits its destination is." }),
    fence: z
      .string()
      .nullable()
      .openapi({ description: 'The position it has durably applied; of a relay the number of the result.' }),
    eventsPerSecond: z.number(),
    deadLetters: z
      .number()
      .openapi({ description: 'Events that its destination refused for their content, and that wait.' }),
    error: z
      .string()
      .nullable()
      .openapi({ description: 'Why it is parked or broken, or why its last attempt failed.' }),
  })
  .openapi('Lane');

export const PipelineStatus = z
  .object({
    name: z.string(),
    state: z.enum(['loading', 'running', 'draining', 'paused', 'parked', 'unreachable']),
    reason: z.string().nullable().openapi({ description: 'Why it is parked or unreachable.' }),
    capture: Lane.nullable(),
    lanes: z.array(Lane),
    watermark: z.iso.datetime().nullable().openapi({ description: 'No more events are expected from before it.' }),
    openWindows: z
      .array(z.object({ view: z.string(), count: z.number(), nextEnd: z.iso.datetime() }))
      .openapi({ description: 'Windows that have begun and are not computed yet; rolling ones never end.' }),
    eventsPerSecond: z.number(),
    slotLagBytes: z.number().nullable(),
    spoolBytes: z.number().nullable(),
    slot: z
      .object({
        alarm: z.enum(['none', 'warning', 'critical', 'lost']),
        keptBytes: z.number(),
        leftBytes: z.number().openapi({ description: 'Until its limit (max_slot_wal_keep_size, else maxSlotLag) is reached.' }),
        walBytesPerSecond: z.number(),
        leftSeconds: z.number().nullable().openapi({ description: 'Until the limit of the slot or of the spool is reached, if nothing changes; null: it is not going there.' }),
        sentence: z.string(),
      })
      .nullable()
      .openapi({ description: 'What the source keeps for the pipeline, and how long it can.' }),
    reconciled: z
      .object({
        state: z.enum(reconcileStates),
        ended: z.iso.datetime(),
        sentence: z.string(),
        workflowId: z.string(),
        workflowUrl: z.string().nullable(),
      })
      .nullable()
      .openapi({ description: 'What the last comparison of closed windows with the source found.' }),
    notes: z.array(z.string()),
    started: z.string().nullable(),
    workflowId: z.string(),
    workflowUrl: z.string().nullable().openapi({ description: 'Its run in the Temporal Web UI.' }),
  })
  .openapi('PipelineStatus');

export type PipelineStatus = z.output<typeof PipelineStatus>;

/** What every pipeline does; while Temporal is away they are all `unreachable`, with the reason. */
export async function readStatuses(config: Config, pipelines: Pipelines): Promise<PipelineStatus[]> {
  const statuses = await pipelineStatuses(config).catch((error: Error) =>
    Object.keys(pipelines).map((name) => pipelineStatus(config, name, error.message, new Map(), Date.now())),
  );
  return statuses.map((status) => ({
    ...status,
    lanes: [...status.lanes],
    notes: [...status.notes],
    openWindows: windowsOf(pipelines, status),
  }));
}

export async function readStatus(config: Config, pipelines: Pipelines, name: string): Promise<PipelineStatus> {
  const status = (await readStatuses(config, pipelines)).find((each) => each.name === name);
  if (status) return status;
  throw new ApiError(503, 'unavailable', `Nothing is known of ${name} at the moment. See ./sluice status.`);
}

function windowsOf(pipelines: Pipelines, { name, watermark }: ClientStatus): PipelineStatus['openWindows'] {
  const pipeline = pipelines[name];
  if (!pipeline || watermark === null) return [];
  const views = Object.entries(pipeline.views).filter(([, { window }]) => window.kind !== 'rolling');
  return views.map(([view, { window }]) => {
    const { count, nextEndMs } = openWindows(window, Date.parse(watermark), pipeline.settings.watermarkDelayMs);
    return { view, count, nextEnd: new Date(nextEndMs).toISOString() };
  });
}
