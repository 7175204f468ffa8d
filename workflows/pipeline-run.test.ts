import { describe, expect, test } from 'vitest';
import type { StepResult } from '../activities/steps.ts';
import { PipelineRun } from './pipeline-run.ts';

const step = (ended: StepResult['ended'], change?: number): StepResult => ({ ended, segments: 0, events: 0, ...(change === undefined ? {} : { change }) });
const notOver = 'migration 3 of its source\'s columns is not over: ./sluice migrations p';

/** Its capture has found change 3, and somebody has paused it by its name. */
function paused(): PipelineRun {
  const run = new PipelineRun('p', undefined, 0);
  run.stepped('capture', step('changed', 3));
  run.moveLane('capture', 'pause');
  return run;
}

describe('a capture that was paused while a migration waited', () => {
  test('says what it would wait for, until that is over, whatever became of it, and also to the run that follows', () => {
    const run = paused();
    expect(run.status().capture).toMatchObject({ state: 'paused', error: notOver });
    run.migrationOver(2);
    expect(run.status().capture.error).toBe(notOver);
    run.migrationOver(3);
    expect(run.status().capture).toMatchObject({ state: 'paused', error: null });
    // a step that kept what follows it hears of the pause later
    run.stepped('capture', step('asked', 3));
    expect(run.status().capture.error).toBeNull();
    expect(new PipelineRun('p', run.memory(), 0).status().capture.error).toBeNull();
  });

  test('waits for it again if it was given up, when it is resumed', () => {
    const run = paused();
    run.migrationOver(3);
    run.moveLane('capture', 'resume');
    run.stepped('capture', step('changed', 3));
    expect(run.status().capture).toMatchObject({ state: 'migrating', error: notOver });
    run.moveLane('capture', 'pause');
    run.stepped('capture', step('asked', 3));
    expect(run.status().capture).toMatchObject({ state: 'paused', error: notOver });
  });
});
