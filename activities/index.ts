import { backfill, endBackfill, planBackfill, type BackfillActivities } from './backfill.ts';
import { compareDefinition, examine, followStart, reload, type BootstrapActivities } from './bootstrap.ts';
import { captureStep } from './capture.ts';
import { describe } from './describe.ts';
import { beginDestroy, dropDestination, dropPublicationOf, dropSlotsOf, dropSpoolOf, dropState, endWorkflows, finishDestroy, planDestroy, type DestroyActivities } from './destroy.ts';
import { explainWindow, type ExplainActivities } from './explain.ts';
import { laneStep } from './lane-step.ts';
import { load } from './load.ts';
import { endReconcile, mendWindows, planReconcile, reconcile, type ReconcileActivities } from './reconcile.ts';
import { relayStep } from './relay-step.ts';
import { askToTakeOver, beginRedefinition, dropEnded, followRedefinition, prepareRedefinition, readPlan, takeOver, tellRedefinition, type RedefineActivities } from './redefine.ts';
import { fillLanes, fillPanes, sayKept } from './redefine-fill.ts';
import { staleWindows, type RepairActivities } from './repair.ts';
import { beginAnew, forgetLoad, planRecovery, untilLoaded, type RecoveryActivities } from './recovery.ts';
import { lanesToReplay, replay, type ReplayActivities } from './replay.ts';
import { changeSinks, drainToChange, planned, settleMigration, tellMigration, trimSinks, type MigrationActivities } from './migration.ts';
import { rewriteLane } from './rewrite-lane.ts';
import type { Runtime } from './runtime.ts';
import { slotLag } from './slot-lag.ts';
import type { Activities } from './steps.ts';
import { stopSteps } from './stop-steps.ts';
import { verify, type VerifyActivities } from './verify.ts';

/** Every activity, by the type that the Web UI shows. */
export function createActivities(runtime: Runtime): Activities & VerifyActivities & ReplayActivities & BackfillActivities & RepairActivities & MigrationActivities & RecoveryActivities & BootstrapActivities & DestroyActivities & ReconcileActivities & ExplainActivities & RedefineActivities {
  return {
    describe: (input) => describe(runtime, input),
    firstLoad: (input) => load(runtime, input),
    capture: (input) => captureStep(runtime, input),
    slotLag: (input) => slotLag(runtime, input),
    forgetLoad: (input) => forgetLoad(runtime, input),
    takeOver: (input) => takeOver(runtime, input),
    stopSteps: (input) => stopSteps(runtime, input),
    aggregate: (input) => laneStep(runtime, input),
    clickhouse: (input) => laneStep(runtime, input),
    'redis-live': (input) => laneStep(runtime, input),
    http: (input) => laneStep(runtime, input),
    'postgres-results': (input) => relayStep(runtime, input),
    'redis-results': (input) => relayStep(runtime, input),
    lanesToReplay: (input) => lanesToReplay(runtime, input),
    replay: (input) => replay(runtime, input),
    planBackfill: (input) => planBackfill(runtime, input),
    backfill: (input) => backfill(runtime, input),
    endBackfill: (input) => endBackfill(runtime, input),
    staleWindows: (input) => staleWindows(runtime, input),
    planMigration: (input) => planned(runtime, input),
    drainToChange: (input) => drainToChange(runtime, input),
    changeSinks: (input) => changeSinks(runtime, input),
    settleMigration: (input) => settleMigration(runtime, input),
    trimSinks: (input) => trimSinks(runtime, input),
    tellMigration: (input) => tellMigration(runtime, input),
    planRecovery: (input) => planRecovery(runtime, input),
    rewriteLane: (input) => rewriteLane(runtime, input),
    beginAnew: (input) => beginAnew(runtime, input),
    untilLoaded: (input) => untilLoaded(runtime, input),
    verify: (input) => verify(runtime, input),
    compareDefinition: (input) => compareDefinition(runtime, input),
    examine: (input) => examine(runtime, input),
    reload: (input) => reload(input),
    followStart: (input) => followStart(runtime, input),
    planDestroy: (input) => planDestroy(runtime, input),
    beginDestroy: (input) => beginDestroy(runtime, input),
    endWorkflows: (input) => endWorkflows(runtime, input),
    dropSlots: (input) => dropSlotsOf(runtime, input),
    dropPublication: (input) => dropPublicationOf(runtime, input),
    dropDestination: (input) => dropDestination(runtime, input),
    dropState: (input) => dropState(runtime, input),
    dropSpool: (input) => dropSpoolOf(runtime, input),
    finishDestroy: (input) => finishDestroy(runtime, input),
    planReconcile: (input) => planReconcile(runtime, input),
    reconcile: (input) => reconcile(runtime, input),
    mendWindows: (input) => mendWindows(runtime, input),
    endReconcile: (input) => endReconcile(runtime, input),
    explainWindow: (input) => explainWindow(runtime, input),
    beginRedefinition: (input) => beginRedefinition(runtime, input),
    readPlan: (input) => readPlan(runtime, input),
    prepareRedefinition: (input) => prepareRedefinition(runtime, input),
    askToTakeOver: (input) => askToTakeOver(runtime, input),
    sayKept: (input) => sayKept(runtime, input),
    fillPanes: (input) => fillPanes(runtime, input),
    fillLanes: (input) => fillLanes(runtime, input),
    dropEnded: (input) => dropEnded(runtime, input),
    tellRedefinition: (input) => tellRedefinition(runtime, input),
    followRedefinition: (input) => followRedefinition(runtime, input),
  };
}
