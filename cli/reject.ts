import { decisionCommand } from './decide.ts';

export default decisionCommand('reject', 'Keep rows and tables as they are beside a change of the source\'s columns that waits: what is gone is NULL from there on');
