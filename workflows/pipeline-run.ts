import { patched, upsertSearchAttributes, setCurrentDetails, type CancellationScope } from '@temporalio/workflow';
import type { Description, StepResult } from '../activities/steps.ts';
import { laneStates, type LaneEvent, type LaneState } from '../core/lane-state.ts';
import { pipelineStates, type PipelineEvent, type PipelineState } from '../core/pipeline-state.ts';
import { detailsPage } from './details.ts';
import type { Hold } from './hold.ts';
import type { Part, PartStatus, WorkflowStatus } from './messages.ts';
import { stateAttribute } from './search-attributes.ts';
import type { Refusal } from './refusal.ts';
import { StepNumbers } from './step-numbers.ts';
import { stopSteps } from './steps.ts';

/** How a note begins of what was not applied yet. */
const otherDefinition = 'pipelines/ has another definition than what runs: ';

/** What one run hands to the next: O(lanes), never rows (E21). */
export type Memory = {
  readonly state: PipelineState;
  readonly parts: Readonly<Record<string, PartMemory>>;
  readonly description?: Description | undefined;
  readonly hold?: Hold | undefined;
  readonly released?: readonly string[];
  readonly notes: readonly string[];
  readonly error?: string | undefined;
  readonly startedMs: number;
  readonly spooling?: boolean;
};
export type PartMemory = { state: LaneState; fence?: string; last?: StepResult; error?: string };

/** The state of one run of a pipeline, and everything that moves it. Waits for nothing; `pipeline.ts` does. */
export class PipelineRun {
  readonly name: string;
  readonly #startedMs: number;
  readonly #parts: Map<string, PartMemory>;
  /** What runs now, by part. */
  readonly scopes = new Map<string, CancellationScope>();
  readonly #numbers = new StepNumbers();
  /** So many times steps are being told now that they are stopped. */
  #telling = 0;
  state: PipelineState;
  description: Description | undefined;
  hold: Hold | undefined;
  /** Ids of holds that are over, or must not begin. */
  released: readonly string[];
  error: string | undefined;
  notes: readonly string[];
  /** The run is over as soon as nothing runs: a fresh one continues. */
  rotating = false;
  /** The update that drains: lanes go on to the capture's last position before the pipeline is paused. */
  draining: object | undefined;
  /** The definition is being read. */
  describing = false;
  /** Paused, but its slot kept more than maxSlotLag: the capture goes on without its lanes (design 7). */
  spooling = false;
  /** Late changes, or rows that were taken out (E15), may have made windows stale: a run finds out at its beginning, and after these. */
  isStale = true;
  /** Its repair goes on. */
  isRepairing = false;
  /** While its capture waits for a decision, what follows is kept as it comes. */
  keepsUndecided = false;
  /** The last migration that the description has taken over: a step that began before may still say that it is due. */
  migrated: number | undefined;
  /** The last migration that was over while its capture was paused, whatever became of it: a step that waited for it may still say that it does. */
  #isOver: number | undefined;
  /** Somebody resumed while a step of theirs ran: what that is refused for may be mended. */
  readonly #resumed = new Set<string>();
  #published: PipelineState | undefined;

  constructor(name: string, memory: Memory | undefined, nowMs: number) {
    this.name = name;
    this.#startedMs = memory?.startedMs ?? nowMs;
    this.state = memory?.state ?? 'loading';
    this.#published = memory?.state;
    this.description = memory?.description;
    this.hold = memory?.hold;
    this.released = memory?.released ?? [];
    this.error = memory?.error;
    this.notes = memory?.notes ?? [];
    this.spooling = memory?.spooling ?? false;
    this.#parts = new Map(Object.entries(memory?.parts ?? {}));
  }

  memory(): Memory {
    const { state, description, hold, released, notes, error, spooling } = this;
    return { state, description, hold, released, notes, error, spooling, parts: Object.fromEntries(this.#parts), startedMs: this.#startedMs };
  }

  /** Nothing of before counts any more: a fresh run begins with the first load. */
  forget(): void {
    this.state = 'loading';
    this.description = undefined;
    this.error = undefined;
    this.#parts.clear();
    this.note('it is loaded anew, as it was asked to be');
  }

  /** Lanes that it does not have any more are forgotten; new ones begin with the next run. What others were parked for may be mended. */
  become(description: Description): void {
    this.description = description;
    for (const [name, { state }] of this.#parts) {
      if (!this.knows(name)) this.#parts.delete(name);
      else if (state === 'parked') this.moveLane(name, 'resume');
    }
    this.tellOther(description.isOther === true);
  }

  /** That pipelines/ has another definition than what runs. */
  tellOther(isOther: boolean): void {
    const others = this.notes.filter((note) => !note.startsWith(otherDefinition));
    this.notes = isOther ? [...others, `${otherDefinition}./sluice apply ${this.name} shows what would change, and does it`] : others;
  }

  get lanes(): readonly Part[] {
    return this.description?.lanes ?? [];
  }

  knows(part: string): boolean {
    return part === 'capture' || this.lanes.some(({ name }) => name === part);
  }

  part(name: string): PartMemory {
    let part = this.#parts.get(name);
    if (!part) this.#parts.set(name, (part = { state: 'running' }));
    return part;
  }

  /** Whether a step of this part may begin. */
  mayRun(name: string): boolean {
    const { state } = this.part(name);
    if (this.rotating || !(state === 'running' || (name === 'capture' && state === 'migrating' && this.keepsUndecided))) return false;
    if (this.state === 'draining') return this.draining !== undefined && this.hold !== undefined && name in this.hold.waiting;
    if (this.state === 'paused') return this.spooling && name === 'capture';
    return this.state === 'running' || (this.state === 'parked' && this.description?.loaded === true);
  }

  move(event: PipelineEvent): void {
    this.state = pipelineStates[this.state][event];
    if (event === 'pause' || event === 'resume') this.spooling = false;
    if (this.state !== 'parked') this.error = undefined;
    if (this.state === 'loading' && this.description?.loaded) this.state = pipelineStates[this.state].loaded;
    this.publish();
  }

  moveLane(name: string, event: LaneEvent): void {
    const part = this.part(name);
    part.state = laneStates[part.state][event];
    if (part.state === 'running') delete part.error;
    if (part.state !== 'running' && this.hold?.waiting[name]) this.settle(name, part.state === 'held' ? undefined : `it is ${part.state}`);
  }

  /** A person says that what was wrong with it is mended. */
  resume(name: string): void {
    if (this.scopes.has(name)) this.#resumed.add(name);
    this.moveLane(name, 'resume');
  }

  /** A step of it begins. */
  begins(name: string, scope: CancellationScope): void {
    this.scopes.set(name, scope);
    this.#resumed.delete(name);
  }

  /** A step ended as it should. */
  stepped(name: string, result: StepResult): void {
    const part = this.part(name);
    const isChange = result.ended === 'changed' && name === 'capture' && result.change !== this.migrated;
    if (isChange) this.#isOver = undefined;
    part.last = part.state === 'paused' && result.change === this.#isOver ? withoutChange(result) : result;
    if (result.late || result.retracted || result.stale) this.isStale = true;
    if (result.fence !== undefined) part.fence = result.fence;
    if (isChange) this.moveLane(name, 'change');
    if (!this.hold?.waiting[name]) return;
    if (result.ended === 'held') this.moveLane(name, 'hold');
    else if (result.ended === 'past') this.settle(name, `it is already past it, at ${result.fence}`);
  }

  /** A capture that is paused does not wait for it any more. One that was given up is found again by the same number, when that is resumed. */
  migrationOver(number: number): void {
    const part = this.part('capture');
    if (part.state !== 'paused' || part.last?.change !== number) return;
    this.#isOver = number;
    part.last = withoutChange(part.last);
  }

  /** A part that cannot go on by itself. Only this one stops; the pipeline itself only without its capture. */
  refused(name: string, refusal: Refusal | undefined): void {
    if (!refusal) return;
    const { kind, sentence } = refusal;
    if (kind === 'configuration' && this.#resumed.delete(name) && patched('a resume during a step tries once more')) return;
    this.part(name).error = sentence;
    this.moveLane(name, kind === 'configuration' ? 'refuse' : 'fail');
    if (name !== 'capture') return;
    this.state = pipelineStates[this.state].refuse;
    if (this.state === 'parked') this.error = sentence;
  }

  /** A lane of the hold is where it should be, or cannot get there for this reason. */
  settle(name: string, reason: string | undefined): void {
    const { hold } = this;
    if (!hold?.waiting[name]) return;
    delete hold.waiting[name];
    if (reason === undefined) hold.held[name] = this.part(name).fence ?? '';
    else hold.notHeld[name] = reason;
  }

  release(): void {
    const { hold } = this;
    if (!hold) return;
    this.hold = undefined;
    for (const name of Object.keys(hold.held)) this.moveLane(name, 'release');
    if (hold.captureHeld) this.moveLane('capture', 'release');
    this.publish();
  }

  /** Cancelled and told in one place: replay does not notice when the two change places (E27). */
  stop(names: Iterable<string> = this.scopes.keys()): void {
    const stopped = Array.from(names);
    for (const name of stopped) this.scopes.get(name)?.cancel();
    this.tell(stopped);
  }

  /** The number of what begins now as this part, by which it can be told to end. Undefined: it hears of it with a heartbeat soon enough. */
  number(name: string): number | undefined {
    return this.description?.tellsSteps ? this.#numbers.begin(name) : undefined;
  }

  ended(name: string): void {
    this.scopes.delete(name);
    this.#numbers.end(name);
  }

  /** Those that are cancelled learn it now and not with their next heartbeat; each is told once. */
  tell(names: Iterable<string> = this.scopes.keys()): void {
    const steps = this.#numbers.take(names);
    if (Object.keys(steps).length === 0) return;
    this.#telling++;
    void stopSteps(steps).finally(() => this.#telling--);
  }

  get isTelling(): boolean {
    return this.#telling > 0;
  }

  /** Once: while the newest note begins with the same words, it stays. */
  noteOnce(beginning: string, rest: string): void {
    if (!this.notes.at(-1)?.startsWith(beginning)) this.note(beginning + rest);
  }

  note(text: string): void {
    this.notes = [...this.notes.slice(-4), text];
  }

  /**
   * Shows the present state. Also where draining ends: the last step was its end. Search attributes are upserted here
   * only, and only on change: replay does not notice when they change places with other commands (E27).
   */
  publish(): void {
    if (this.state === 'draining' && this.scopes.size === 0 && !this.draining) this.state = pipelineStates.draining.stopped;
    setCurrentDetails(detailsPage(this.status()));
    if (this.state === this.#published) return;
    this.#published = this.state;
    upsertSearchAttributes([{ key: stateAttribute, value: this.state }]);
  }

  status(): WorkflowStatus {
    return {
      name: this.name,
      state: this.state,
      capture: this.#partStatus({ name: 'capture', kind: 'capture' }),
      lanes: this.lanes.map((lane) => this.#partStatus(lane)),
      notes: this.notes,
      error: this.error ?? null,
      started: new Date(this.#startedMs).toISOString(),
    };
  }

  #partStatus({ name, kind }: Part): PartStatus {
    const { state, fence = null, last = null, error = null } = this.part(name);
    const migrates = state === 'migrating' || (state === 'paused' && last?.change !== undefined);
    const shown = state === 'running' && this.state === 'paused' && !this.mayRun(name) ? 'paused' : (state === 'paused' || state === 'held') && this.scopes.has(name) ? 'running' : state;
    return { name, kind, state: shown, fence, last, error: error ?? (migrates ? `migration ${last?.change} of its source's columns is not over: ./sluice migrations ${this.name}` : null) };
  }
}

/** A run that follows knows of it by this alone. */
function withoutChange(result: StepResult): StepResult {
  const { change: _, ...rest } = result;
  return rest;
}
