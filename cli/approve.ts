import { decisionCommand } from './decide.ts';

export default decisionCommand('approve', 'Let rows, state and the tables of sinks follow a change of the source\'s columns that waits');
