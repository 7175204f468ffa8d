import { rowSinks } from './backfill.ts';
import { BadInput } from './bad-input.ts';
import { lostRowsText } from './migration/lost.ts';
import type { Pipeline } from './pipeline.ts';
import { lsnText, parsePosition, type Position } from './position.ts';
import type { RecoveryPlan } from './recovery.ts';

/** A destination of a lane that reads segments, as it was found. */
export type LaneLook = {
  readonly lane: string;
  /** Undefined: it has none, or nothing is known of it. */
  readonly fence: Position | undefined;
  /** What it lacks and the spool does not have any more, as a sentence. */
  readonly lack?: string;
  /** Why nothing is known of it. */
  readonly unknown?: string;
};

export type RecoveryLook = {
  readonly pipeline: Pipeline;
  readonly epoch: number;
  /** False: its load goes on, or was refused. */
  readonly isLoaded: boolean;
  /** Of the stream, as a sentence. */
  readonly gap: string | null;
  /** Null: not known. */
  readonly rows: number | null;
  /** Where the spool ends; undefined: it is empty. */
  readonly tail: Position | undefined;
  /** The migration that is not over. */
  readonly openChange: number | undefined;
  readonly lanes: readonly LaneLook[];
  /** The one that is asked for. */
  readonly asked: string | undefined;
};

/**
 * The least that heals: while the stream lacks nothing, only the destinations that do, if their rows can be written again
 * from a snapshot. Throws BadInput if one is asked for that cannot.
 */
export function planOf({ pipeline, epoch, isLoaded, gap, rows, tail, openChange, lanes, asked }: RecoveryLook): RecoveryPlan {
  const lost = lanes.filter(({ lack }) => lack !== undefined);
  if (asked !== undefined) assertAlone(pipeline, asked, gap, isLoaded);
  const isEnough = gap === null && isLoaded && lost.length > 0 && lost.every(({ lane }) => canBeRewritten(pipeline, lane));
  const alone = asked !== undefined ? [asked] : isEnough ? lost.map(({ lane }) => lane) : undefined;
  const unknown = lanes.flatMap(({ lane, unknown: why }) => (why === undefined ? [] : [`What ${lane} lacks is not known: ${why}`]));
  const missing = [gap, ...lost.map(({ lack }) => lack!)].filter((each) => each !== null);
  return {
    epoch,
    gap: missing.length === 0 ? null : missing.join('\n'),
    ...(alone && { lanes: alone }),
    ...(missing.length === 0 && isLoaded && !alone && { needless: needlessText(pipeline, unknown.length === 0) }),
    rows,
    says: [...unknown, ...migrationText(pipeline.name, openChange), ...(alone ? rewriteSays(alone) : anewSays(pipeline, lanes, tail)), ...labelsText(pipeline)],
  };
}

/** Its rows have versions, and the source still has all that is in them. */
function canBeRewritten(pipeline: Pipeline, lane: string): boolean {
  return rowSinks(pipeline).includes(lane) && lostRowsText(pipeline) === undefined;
}

function assertAlone(pipeline: Pipeline, lane: string, gap: string | null, isLoaded: boolean): void {
  if (gap !== null || !isLoaded) throw new BadInput(`The stream of ${pipeline.name} does not go on, so the rows of ${lane} would not either: ${gap ?? 'it is not loaded.'} See ./sluice recover ${pipeline.name} without a lane.`);
  const possible = rowSinks(pipeline);
  if (!possible.includes(lane)) throw new BadInput(`${lane} of ${pipeline.name} cannot be written again alone: only rows with versions can, ${possible.length === 0 ? 'and it has no such destination' : `which are those of ${possible.join(', ')}`}.`);
  const lost = lostRowsText(pipeline);
  if (lost !== undefined) throw new BadInput(`Rows of ${lane} cannot be written again alone: ${lost}`);
}

function needlessText(pipeline: Pipeline, isKnown: boolean): string {
  const possible = rowSinks(pipeline).filter((lane) => canBeRewritten(pipeline, lane));
  return [
    ...(isKnown ? ['Nothing needs to be done.'] : []),
    'If it is approved all the same, the whole pipeline is loaded anew, as follows here.',
    ...(possible.length === 0 ? [] : [`To write the rows of one destination again, and nothing else: ${possible.map((lane) => `./sluice recover ${pipeline.name} --lane ${lane}`).join(', or ')}`]),
  ].join(' ');
}

function migrationText(pipeline: string, open: number | undefined): readonly string[] {
  return open === undefined ? [] : [`Migration ${open} of its source's columns is not over. Decide it first: ./sluice migrations ${pipeline}. A load of the pipeline would end it, and may find other columns than the pipeline has, and be refused; rows of a single destination wait for it.`];
}

function rewriteSays(lanes: readonly string[]): readonly string[] {
  const those = lanes.join(', ');
  return [
    `All rows of ${those} are written again from one snapshot of the source, and what is there besides is gone. The stream and every other destination go on meanwhile; ${those} ${lanes.length === 1 ? 'follows' : 'follow'} from the snapshot on.`,
    `Dead letters of ${those} from before it end: their events are there as the source has them, or are not in the source any more. What is refused for its content has to be mended in the source first.`,
  ];
}

function anewSays({ sinks }: Pipeline, lanes: readonly LaneLook[], tail: Position | undefined): readonly string[] {
  const stand = lanes.flatMap(({ lane, fence }) => (fence === undefined ? [] : [`${lane} ${lsnText(parsePosition(fence).lsn)}`]));
  const external = Object.entries(sinks).flatMap(([lane, sink]) => (sink.kind === 'http' ? [lane] : []));
  const behind = lanes.filter(({ lane, fence }) => external.includes(lane) && fence !== undefined && tail !== undefined && fence < tail).map(({ lane }) => lane);
  return [
    'Every sink gets the source as it is now, and loses what is not there any more, under a new epoch: nothing of the old stream counts against it. Dead letters that wait end with it. The stream goes on exactly where the load ends.',
    ...(stand.length > 0 ? [`So far (WAL position) destinations have the stream: ${stand.join(', ')}${tail === undefined ? '' : `; the spool has it up to ${lsnText(parsePosition(tail).lsn)}`}.`] : []),
    'Nobody can know what was inserted, updated or deleted in between, when, and what rows were before: windows show what the rows that are there now make of them.',
    ...(external.length > 0 ? [`What was changed or deleted in the gap, ${external.join(', ')} does not get as single events: only what is there now${Object.values(sinks).some((sink) => sink.kind === 'http' && !sink.initialLoad) ? ', and where initialLoad is off not even that' : ''}.`] : []),
    ...(behind.length > 0 ? [`${behind.join(', ')} ${behind.length === 1 ? 'has' : 'have'} not got all that the spool has, and would not get it as single events either: let ${behind.length === 1 ? 'it' : 'them'} come to the spool's end first.`] : []),
  ];
}

function labelsText({ source }: Pipeline): readonly string[] {
  const dimensions = Object.keys(source.dimensions);
  return dimensions.length === 0 ? [] : [`Rows that are written are enriched with ${dimensions.join(', ')} as ${dimensions.length === 1 ? 'it is' : 'they are'} then; what it was when each of them came is not known any more.`];
}
