/**
 * What a pipeline as a whole is doing.
 *
 *               loaded              pause, drain               stopped
 *   loading ------------> running ----------------> draining -----------> paused
 *    ^  | |                 |                       ^  ^  |                 |
 *    |  | +-----------------|-----------------------+  |  | resume          | resume
 *    |  |       pause       | refuse                   |  |                 |
 *    |  | refuse            v                   pause  |  |                 |
 *    |  +--------------> parked -----------------------+  |                 |
 *    |                      | resume                      |                 |
 *    +----------------------+-----------------------------+-----------------+
 *
 * loading: not yet known or not yet loaded; a pipeline that is loaded passes through it at once. draining: its steps
 * are coming to their end. parked: the source cannot be captured until a person has mended something; lanes go on with
 * what the spool has.
 */
export type PipelineState = 'loading' | 'running' | 'draining' | 'paused' | 'parked';
export type PipelineEvent = 'loaded' | 'refuse' | 'pause' | 'drain' | 'stopped' | 'resume';

export const pipelineStates: Readonly<Record<PipelineState, Readonly<Record<PipelineEvent, PipelineState>>>> = {
  loading: { loaded: 'running', refuse: 'parked', pause: 'draining', drain: 'loading', stopped: 'loading', resume: 'loading' },
  running: { loaded: 'running', refuse: 'parked', pause: 'draining', drain: 'draining', stopped: 'running', resume: 'running' },
  // a capture that is refused while it ends says so when it is resumed
  draining: { loaded: 'draining', refuse: 'draining', pause: 'draining', drain: 'draining', stopped: 'paused', resume: 'loading' },
  paused: { loaded: 'paused', refuse: 'paused', pause: 'paused', drain: 'paused', stopped: 'paused', resume: 'loading' },
  parked: { loaded: 'parked', refuse: 'parked', pause: 'draining', drain: 'parked', stopped: 'parked', resume: 'loading' },
};
