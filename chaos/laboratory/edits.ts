import { existsSync, readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Pipeline, SinkDefinition, Text } from '../../core/pipeline.ts';
import { pipelines } from '../../pipelines/index.ts';
import type { World } from '../world.ts';
import { grown } from './grown.ts';
import { withMore } from './more-views.ts';
import './pipeline.ts';

/** What somebody has changed in a pipeline's definition since it was loaded, as in its file in pipelines/. */
export type Edits = {
  /** It has views and sinks more. */
  readonly grown?: true;
  /** Its spool is soon full, and the lanes of these sinks may be detached then. */
  readonly detaches?: readonly string[];
};

/** By pipeline; in the data directory of those that run it. */
type EditsFile = Readonly<Record<string, Edits>>;

/** Without any. */
const written = { ...pipelines };

/** In this process: what is to be applied from now on. What runs goes on as it was. */
export function edit(name: string, edits: Edits): void {
  (pipelines as Record<string, Pipeline<Text>>)[name] = edited(written[name]!, edits);
}

/** Also for workers that are started from now on. */
export async function editFor({ config: { dataDir }, name }: Pick<World, 'config' | 'name'>, edits: Edits): Promise<void> {
  const file = fileIn(dataDir);
  const unfinished = `${file}.unfinished`;
  await writeFile(unfinished, JSON.stringify({ ...readEdits(dataDir), [name]: edits } satisfies EditsFile));
  await rename(unfinished, file);
  edit(name, edits);
}

export function editsOf({ config: { dataDir }, name }: Pick<World, 'config' | 'name'>): Edits {
  return readEdits(dataDir)[name] ?? {};
}

export function readEdits(dataDir: string): EditsFile {
  const file = fileIn(dataDir);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as EditsFile) : {};
}

function fileIn(dataDir: string): string {
  return join(dataDir, 'edits.json');
}

const segmentBytes = 512 << 10;
/** The smallest that a spool may be. */
const soonFull = { segmentBytes, spoolBudgetBytes: 4 * segmentBytes };

function edited(pipeline: Pipeline<Text>, { grown: hasGrown, detaches }: Edits): Pipeline<Text> {
  const whole = hasGrown ? withMore(pipeline, grown[pipeline.name]!) : pipeline;
  if (detaches === undefined) return whole;
  const sinks = Object.entries(whole.sinks).map(([name, sink]) => [name, detaches.includes(name) ? ({ ...sink, onBudget: 'detach' } as SinkDefinition<Text>) : sink]);
  return { ...whole, sinks: Object.fromEntries(sinks) as Pipeline<Text>['sinks'], settings: { ...whole.settings, ...soonFull } };
}
