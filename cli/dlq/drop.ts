import { defineCommand } from 'citty';
import { dropLetters } from '../../client/dead-letters.ts';
import { dataArg, instanceConfig } from '../instance.ts';
import { laneArg, letterChoice, which } from './choice.ts';

export default defineCommand({
  meta: { name: 'drop', description: 'Give letters up: their destination will never have these events' },
  args: { which, lane: laneArg, ...dataArg },
  async run({ args }) {
    const choice = letterChoice(args.which, args.lane);
    const dropped = await dropLetters(instanceConfig(args), choice);
    console.log(`${dropped} dropped; ./sluice verify names them as such as long as they are remembered`);
  },
});
