import { defineCommand } from 'citty';
import { LetterSettled, readLetter } from '../../client/dead-letters.ts';
import { replayLetters } from '../../client/replay.ts';
import { replayText, waitingIn } from '../../core/dead-letters/replay-report.ts';
import { dataArg, instanceConfig } from '../instance.ts';
import { laneArg, letterChoice, which } from './choice.ts';

export default defineCommand({
  meta: { name: 'replay', description: 'Send letters again, by the replay workflow; newer changes of their rows stay. Exit code 1 if some wait on' },
  args: { which, lane: laneArg, json: { type: 'boolean', description: 'As JSON' }, ...dataArg },
  async run({ args }) {
    const { id, lane, ...choice } = letterChoice(args.which, args.lane);
    const config = instanceConfig(args);
    const letter = id === undefined ? undefined : await readLetter(config, id);
    if (letter && letter.state !== 'waiting') throw new LetterSettled(letter.id, letter.state);
    const pipeline = choice.pipeline ?? letter!.pipeline;
    const input = { pipeline, ...(lane === undefined ? {} : { lane }), ...(id === undefined ? {} : { id }) };
    const report = await replayLetters(config, input, ({ workflowId, workflowUrl }) => console.error(`replaying; see ${workflowUrl ?? workflowId}`));
    console.log(args.json ? JSON.stringify(report, undefined, 2) : replayText(report));
    process.exitCode = waitingIn(report) === 0 ? 0 : 1;
  },
});
