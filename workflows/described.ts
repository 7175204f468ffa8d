import { condition } from '@temporalio/workflow';
import type { Description } from '../activities/steps.ts';
import type { PipelineRun } from './pipeline-run.ts';
import { describe } from './steps.ts';

/**
 * What the workers say the pipeline is. One asks after another, for two activities of one id cannot run at once; and
 * whoever asked last has the newest answer.
 */
export function described(run: PipelineRun): Promise<Description> {
  if (run.describing) return condition(() => !run.describing).then(() => described(run));
  run.describing = true;
  const description = describe(run.name);
  const end = () => {
    run.describing = false;
  };
  // beside it: in the way of the answer, it would change the order in which a recorded history goes on
  description.then(end, end);
  return description;
}
