import { Random } from '../../bench/load/random.ts';
import type { Pipeline } from '../../core/pipeline.ts';
import type { Position } from '../../core/position.ts';
import { position } from '../../core/position.ts';
import { MemoryDisk } from './memory-files.ts';
import { LiveStore, Receiver, VersionedTable } from './outside-stores.ts';
import { simulatedPipeline } from './pipeline.ts';
import type { Plan } from './plan.ts';
import { Scheduler } from './scheduler.ts';
import { SourceServer } from './source-server.ts';
import { StateDatabase } from './state-database.ts';
import { Trouble } from './trouble.ts';

/** Everything outside the workers' processes. Loaded with nothing: streaming begins at `start`. */
export class World {
  readonly plan: Plan;
  readonly pipeline: Pipeline;
  readonly scheduler: Scheduler;
  readonly trouble = new Trouble();
  readonly disk: MemoryDisk;
  readonly source: SourceServer;
  readonly state: StateDatabase;
  readonly rows: VersionedTable;
  readonly live: LiveStore;
  readonly receiver: Receiver;
  readonly start: Position = position(1, 1_000n, 0);
  /** Fences that workers have reported: what one process knows of another's lanes. */
  readonly reported = new Map<string, Position>();
  nextCapture = 1;
  readonly hasRenames: boolean;

  constructor(plan: Plan) {
    const random = new Random(plan.seed ^ 0x5bd1e995);
    this.plan = plan;
    this.hasRenames = plan.items.some(({ kind }) => kind === 'column renamed');
    this.pipeline = simulatedPipeline(plan.knobs);
    this.scheduler = new Scheduler(random, beginMs);
    this.disk = new MemoryDisk(random);
    this.source = new SourceServer(this.scheduler, random, this.pipeline.name);
    this.state = new StateDatabase(this.pipeline, this.trouble);
    this.state.fences.set('aggregate', this.start);
    this.state.fences.set('external', this.start);
    this.state.aggregate = { ...this.state.aggregate, loadEpoch: 1 };
    this.state.confirmed = { lsn: 1_000n, to: this.start, timeline: undefined };
    this.rows = new VersionedTable(this.trouble, this.start);
    this.live = new LiveStore(this.trouble, this.start);
    this.receiver = new Receiver(this.trouble);
  }
}

/** A round moment. */
export const beginMs = Date.UTC(2026, 10, 21, 10);
