/** The definitions of every pipeline, for programs that stand on the client. */
export { pipelines } from '../pipelines/index.ts';
