import { describe, expect, test } from 'vitest';
import engagement from '../pipelines/engagement.ts';
import { resolve } from './define/resolve.ts';
import { reshaped } from './migration/shape.ts';
import { position } from './position.ts';
import { planOf, type LaneLook, type RecoveryLook } from './recovery-plan.ts';
import { recoveryText } from './recovery.ts';

const pipeline = resolve(engagement, { SLUICE_EXTERNAL_URL: 'http://127.0.0.1:1/events', SLUICE_EXTERNAL_SECRET: 'whsec_c2VjcmV0' });
const tail = position(2, 0x1000n, 3);
const well: readonly LaneLook[] = ['aggregate', 'enriched', 'live', 'external'].map((lane) => ({ lane, fence: tail }));
const plan = (more: Partial<RecoveryLook> = {}) => planOf({ pipeline, epoch: 2, isLoaded: true, gap: null, rows: 1_234, tail, openChange: undefined, lanes: well, asked: undefined, ...more });
const instead = (...looks: readonly LaneLook[]) => well.map((each) => looks.find(({ lane }) => lane === each.lane) ?? each);
const emptied: LaneLook = { lane: 'enriched', fence: undefined, lack: 'Lane enriched: its destination has no fence.' };

describe('what a recovery does', () => {
  test.each<[string, Partial<RecoveryLook>, readonly string[] | undefined]>([
    ['nothing is missing: everything, as somebody asks for it', {}, undefined],
    ['a destination with versions lacks rows: only those', { lanes: instead(emptied) }, ['enriched']],
    ['the stream lacks something: everything', { gap: 'The slot is gone.' }, undefined],
    ['both: everything', { gap: 'The slot is gone.', lanes: instead(emptied) }, undefined],
    ['panes lack something, too: everything', { lanes: instead(emptied, { lane: 'aggregate', fence: position(1, 1n, 0), lack: 'Lane aggregate: of load 1.' }) }, undefined],
    ['messages cannot be written again alone', { lanes: instead({ lane: 'external', fence: position(2, 1n, 0), lack: 'Lane external: trimmed.' }) }, undefined],
    ['a load that was refused: everything', { isLoaded: false, lanes: instead(emptied) }, undefined],
    ['rows with columns that the source has lost: everything', { pipeline: reshaped(pipeline, { events: { device: { lost: 'empty' } } }), lanes: instead(emptied) }, undefined],
    ['one that is asked for: that one, whatever it lacks', { asked: 'enriched' }, ['enriched']],
  ])('%s', (_, look, lanes) => expect(plan(look).lanes).toEqual(lanes));

  test.each<[string, Partial<RecoveryLook>, string]>([
    ['no rows with versions', { asked: 'live' }, 'live of engagement cannot be written again alone: only rows with versions can, which are those of enriched.'],
    ['rows with what the source has lost', { asked: 'enriched', pipeline: reshaped(pipeline, { events: { device: { lost: 'empty' } } }) }, 'Rows of enriched cannot be written again alone: the source of engagement has no more what device had before, so those values are in these rows alone. Written again they are, without those values, when everything is loaded anew: ./sluice recover engagement'],
    ['nobody knows it', { asked: 'nothing' }, 'nothing of engagement cannot be written again alone'],
    ['the stream does not go on', { asked: 'enriched', gap: 'The slot is gone.' }, 'The stream of engagement does not go on, so the rows of enriched would not either: The slot is gone. See ./sluice recover engagement without a lane.'],
  ])('one that is asked for, and refused: %s', (_, look, sentence) => expect(() => plan(look)).toThrow(sentence));
});

describe('what it says beforehand', () => {
  test('of a gap: what is missing, where destinations are, and what nobody can know', () => {
    const text = recoveryText(plan({ gap: 'The slot is gone: from here to there.', lanes: instead({ lane: 'external', fence: position(2, 0xf00n, 0) }, { lane: 'enriched', fence: undefined, unknown: 'it does not answer' }) }));
    expect(text).toBe(`The slot is gone: from here to there.
About 1,234 rows are read from the source.
What enriched lacks is not known: it does not answer
Every sink gets the source as it is now, and loses what is not there any more, under a new epoch: nothing of the old stream counts against it. Dead letters that wait end with it. The stream goes on exactly where the load ends.
So far (WAL position) destinations have the stream: aggregate 0/1000, live 0/1000, external 0/F00; the spool has it up to 0/1000.
Nobody can know what was inserted, updated or deleted in between, when, and what rows were before: windows show what the rows that are there now make of them.
What was changed or deleted in the gap, external does not get as single events: only what is there now.
external has not got all that the spool has, and would not get it as single events either: let it come to the spool's end first.
Rows that are written are enriched with content as it is then; what it was when each of them came is not known any more.`);
  });

  test('of one destination, and of a migration that is in the way', () => {
    const text = recoveryText(plan({ lanes: instead(emptied), openChange: 4 }));
    expect(text).toMatch(/^Lane enriched: its destination has no fence\.\nAbout 1,234 rows are read from the source\.\nMigration 4 of its source's columns is not over\. Decide it first: \.\/sluice migrations engagement\..*\nAll rows of enriched are written again from one snapshot of the source, and what is there besides is gone\..*\nDead letters of enriched from before it end/);
  });

  test('of nothing: that nothing needs to be done, what would be done all the same, and how less is', () => {
    const beginning = /^Nothing is missing in the stream or in a destination, as far as can be seen\.\nNothing needs to be done\. If it is approved all the same, the whole pipeline is loaded anew, as follows here\. To write the rows of one destination again, and nothing else: \.\/sluice recover engagement --lane enriched\nAbout 1,234 rows are read from the source\.\nEvery sink gets/;
    expect(recoveryText(plan())).toMatch(beginning);
    // what is not known may need it
    expect(recoveryText(plan({ lanes: instead({ lane: 'live', fence: undefined, unknown: 'it does not answer' }) }))).toMatch(/as far as can be seen\.\nIf it is approved all the same/);
    expect(recoveryText(plan({ pipeline: reshaped(pipeline, { events: { device: { lost: 'empty' } } }) }))).toMatch(/as follows here\.\nAbout/);
  });

  test.each<[string, Partial<RecoveryLook>]>([
    ['something is missing', { lanes: instead(emptied) }],
    ['a load was refused', { isLoaded: false }],
    ['one destination was asked for', { asked: 'enriched' }],
  ])('nothing of that when %s', (_, look) => expect(plan(look).needless).toBeUndefined());

  test('not how many rows, if that is not known', () => expect(recoveryText(plan({ gap: 'The slot is gone.', rows: null }))).toMatch(/^The slot is gone\.\nEvery sink gets/));
});
