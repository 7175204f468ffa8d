import { unreachable } from '../../core/unreachable.ts';
import { assertChain, assertEqual, assertLive, assertRepaired, assertSafe, closedTo, hasBackfills, hasPhantoms, neededFences } from './check.ts';
import { Violation } from './compare.ts';
import { ordinalsOf } from './oracle.ts';
import { Orchestrator } from './orchestrator.ts';
import type { Item, Part, Plan } from './plan.ts';
import { lastMs, longestOpenMs } from './plan.ts';
import { position } from '../../core/position.ts';
import { World, beginMs } from './world.ts';

/** equal: every sink has what the source had. parked: it stopped with this sentence, rightly. */
export type Outcome = { readonly kind: 'equal' | 'parked'; readonly steps: number; readonly sentence?: string };

/** Runs a schedule to its end. Throws a Violation if a promise was broken, or nothing moved any more. */
export async function simulate(plan: Plan): Promise<Outcome> {
  const world = new World(plan);
  const { scheduler, source, trouble, state } = world;
  let broken: unknown;
  source.onConfirm = (lsn) => {
    try {
      assertSafe(world, lsn);
    } catch (error) {
      broken ??= error;
    }
  };
  world.live.onSwap = () => {
    try {
      // what was taken of a lost timeline is nowhere in the source
      if (!hasPhantoms(world)) assertLive(world);
    } catch (error) {
      broken ??= error;
    }
  };
  const orchestrator = new Orchestrator(world);
  for (const item of plan.items) schedule(world, orchestrator, item);

  await scheduler.run(() => broken !== undefined, beginMs + lastMs, mostSteps);
  // quiet: everything is mended, and what stood still wakes up
  trouble.endAll();
  world.disk.delayMs = 0;
  source.comeUp();
  for (const worker of orchestrator.workers) orchestrator.wake(worker);
  if (!orchestrator.running()) orchestrator.start();
  orchestrator.resume();

  // a canary of a capture that streams now: everything before it has come
  const quietUs = (beginMs + lastMs + longestOpenMs) * 1000;
  const target = () => {
    const first = source.wal.find(({ commitUs }) => commitUs > quietUs);
    return first && position(1, first.lsn, ordinalsOf(first.events));
  };
  const caughtUp = () => {
    const to = target();
    const fences = [...neededFences(world).map(([, fence]) => fence), world.live.fence];
    return to !== undefined && fences.every((fence) => fence !== undefined && fence >= to) && state.relayFence === state.aggregate.outboxSeq;
  };
  // what is parked may go on when a rewrite ends
  const done = () => broken !== undefined || orchestrator.broken !== undefined || (orchestrator.rewrites === 0 && orchestrator.parked.size > 0) || (orchestrator.backfills + orchestrator.rewrites === 0 && caughtUp());
  let ended = await scheduler.run(done, beginMs + lastMs + quietMs, mostSteps);
  const isRepaired = ended === 'done' && hasBackfills(world) && orchestrator.parked.size === 0 && broken === undefined && orchestrator.broken === undefined;
  const closedMs = closedTo(world);
  if (isRepaired) {
    // before: what it computes anew would hide what was wrong there
    assertEqual(world);
    void orchestrator.repair();
    ended = await scheduler.run(done, beginMs + lastMs + 2 * quietMs, 2 * mostSteps);
  }
  broken ??= orchestrator.broken;
  if (broken !== undefined) throw broken as Error;
  assertChain(world);
  const [parked] = orchestrator.parked;
  if (parked) {
    const [part, { sentence, cause }] = parked;
    if (!isRight(world, part, sentence)) throw new Violation(`${part} stopped without need: ${sentence}`, { cause });
    return { kind: 'parked', steps: scheduler.steps, sentence };
  }
  if (ended === 'late') throw new Violation(`nothing moves: the stream goes to ${target()}, and the lanes are at ${JSON.stringify([...neededFences(world), ['live', world.live.fence]])}, relay ${state.relayFence} of ${state.aggregate.outboxSeq}`);
  assertEqual(world);
  if (isRepaired) assertRepaired(world, closedMs);
  return { kind: 'equal', steps: scheduler.steps };
}

const quietMs = 60_000;
const mostSteps = 60_000;

function schedule(world: World, orchestrator: Orchestrator, item: Item): void {
  const { scheduler, source, disk, trouble, rows, live } = world;
  const at = (ms: number, then: () => void) => scheduler.timer(undefined, ms, then);
  if (item.kind === 'transaction') {
    at(item.atMs, () => {
      const transaction = source.begin();
      at(item.openMs, () => transaction.commit(item.changes));
    });
    return;
  }
  if (item.kind === 'sink set back') {
    let restore = () => {};
    at(item.atMs - item.byMs, () => (restore = (item.sink === 'live' ? live : rows).backup()));
    at(item.atMs, () => {
      trouble.restart(item.sink);
      restore();
    });
    return;
  }
  at(item.atMs, () => {
    const worker = orchestrator.running();
    switch (item.kind) {
      case 'kill':
        if (worker) orchestrator.kill(worker, 500);
        return;
      case 'power failure':
        for (const each of orchestrator.workers.slice()) orchestrator.kill(each, 800);
        disk.failPower();
        return;
      case 'stop':
        if (worker) orchestrator.stop(worker, item.forMs);
        return;
      case 'second worker': {
        const second = orchestrator.start();
        at(item.forMs, () => orchestrator.retire(second));
        return;
      }
      case 'graceful restart':
        if (worker) orchestrator.retire(worker);
        return;
      case 'attempt given up':
        return orchestrator.giveUp(item.part);
      case 'pause':
        return orchestrator.pause(item.forMs);
      case 'rotate':
        return orchestrator.rotate();
      case 'clock':
        if (worker) worker.process.skewMs = item.skewMs;
        return;
      case 'walsender ends':
        return source.endWalsender();
      case 'source restarts':
        source.goDown();
        at(item.forMs, () => source.comeUp());
        return;
      case 'promotion':
        source.goDown();
        source.promote(item.lost);
        at(item.forMs, () => source.comeUp());
        return;
      case 'slot dropped':
        source.slot = undefined;
        return source.endWalsender();
      case 'spool deleted':
        return disk.deleteAll();
      case 'disk slow':
        disk.delayMs = item.byMs;
        at(item.forMs, () => (disk.delayMs = 0));
        return;
      case 'sink fails':
        trouble.begin(item.sink, item.how, item.byMs);
        at(item.forMs, () => trouble.end(item.sink));
        return;
      case 'backfill': {
        const fromMs = Math.floor(scheduler.nowMs) - item.backMs;
        return void orchestrator.backfill(`backfill ${item.atMs} ${item.backMs}`, { fromMs, toMs: fromMs + item.lengthMs });
      }
      case 'rewrite':
        if (item.emptied) {
          trouble.restart('enriched');
          rows.lose();
        }
        if (item.replacedAfterMs > 0) at(item.replacedAfterMs, () => orchestrator.rewrites > 0 && rows.lose());
        return void orchestrator.rewrite(`rewrite ${item.atMs}`);
      case 'column renamed':
        return source.rename({ table: item.column === 'title' ? 'posts' : 'events', of: item.column }, item.within);
      case 'redis emptied':
        return live.lose(item.structuresOnly);
      default:
        return unreachable(item);
    }
  });
}

const isBeforeRename = /which is before migration/;

/** Whether the schedule did something that only a person can mend, and the sentence says that. */
function isRight(world: World, part: Part, sentence: string): boolean {
  const has = (kind: Item['kind']) => world.plan.items.some((item) => item.kind === kind);
  // replaced when they had just been written again, or put back to a backup that was made in the midst of that
  if (/has no fence/.test(sentence)) return has('rewrite') && (has('sink set back') || world.plan.items.some((item) => item.kind === 'rewrite' && item.replacedAfterMs > 0));
  if (part === 'capture') {
    if (/^The replication slot .* is gone/.test(sentence)) return has('slot dropped');
    if (/^The source .* (was promoted|was set back|is not the one its spool was written from)/.test(sentence)) return hasPhantoms(world);
    if (/already told to forget/.test(sentence)) return has('spool deleted');
    // what was decided for good, and then read again from before
    return isBeforeRename.test(sentence) && (has('spool deleted') || has('sink set back'));
  }
  if (isBeforeRename.test(sentence)) return part === 'enriched' && has('sink set back');
  if (/begins at .* was trimmed/.test(sentence)) return part !== 'live' && has('sink set back');
  return false;
}
