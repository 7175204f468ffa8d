/** One queue for everything: a worker that does a pipeline's workflow tasks gets its steps by eager dispatch (E24). */
export const taskQueue = 'sluice';

export function pipelineWorkflowId(pipeline: string): string {
  return `pipeline/${pipeline}`;
}

/** Of the schedule by which a pipeline is reconciled. */
export function reconcileScheduleId(pipeline: string): string {
  return `reconcile/${pipeline}`;
}

/** Search attributes: what a workflow of ours is found by from its start on. */
export function startValues(pipeline: string, kind: string, state: string): Readonly<Record<string, string>> {
  return { SluicePipeline: pipeline, SluiceKind: kind, SluiceState: state };
}
