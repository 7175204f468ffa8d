/** One queue for everything: a worker that does a pipeline's workflow tasks gets its steps by eager dispatch (E24). */
export const taskQueue = 'sluice';

export function pipelineWorkflowId(pipeline: string): string {
  return `pipeline/${pipeline}`;
}
