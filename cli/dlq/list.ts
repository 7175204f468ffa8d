import { defineCommand } from 'citty';
import { listLetters, type Letter } from '../../client/dead-letters.ts';
import { letterStates } from '../../core/dead-letters/dead-letter.ts';
import { columns } from '../columns.ts';
import { dataArg, instanceConfig } from '../instance.ts';
import { laneArg, pipelineChoice } from './choice.ts';

const most = 1_000;

export default defineCommand({
  meta: { name: 'list', description: 'Letters that wait, in the order of the stream' },
  args: {
    name: { type: 'positional', description: 'Only those of this pipeline', required: false },
    lane: laneArg,
    all: { type: 'boolean', description: 'Those that were replayed or dropped too' },
    json: { type: 'boolean', description: 'As JSON' },
    ...dataArg,
  },
  async run({ args }) {
    const choice = pipelineChoice(args.name, args.lane);
    const letters = await listLetters(instanceConfig(args), { ...choice, states: args.all ? letterStates : ['waiting'], limit: most });
    console.log(args.json ? JSON.stringify(letters, undefined, 2) : text(letters));
  },
});

function text(letters: readonly Letter[]): string {
  if (letters.length === 0) return 'No dead letters wait.';
  const rows = letters.map(({ id, pipeline, lane, op, key, state, edits, foundAt, reason }) => [String(id), pipeline, lane, op, key ?? '', `${state}${edits > 0 ? ', edited' : ''}`, foundAt, oneLine(reason)]);
  const lines = columns([['number', 'pipeline', 'lane', 'op', 'key', 'state', 'found', 'reason'], ...rows]);
  return [...lines, ...(letters.length === most ? [`There may be more than these ${most}; choose a pipeline or a lane.`] : []), '', 'See one with ./sluice dlq show NUMBER; go on with edit, replay or drop.'].join('\n');
}

function oneLine(reason: string): string {
  const line = reason.replace(/\s+/g, ' ');
  return line.length > 100 ? `${line.slice(0, 99)}…` : line;
}
