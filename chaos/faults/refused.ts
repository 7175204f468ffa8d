import { pausePipeline, resumePipeline } from '../../client/pipelines.ts';
import { quote, quoteRelation } from '../../connectors/postgres/source-catalog.ts';
import type { Fault } from '../fault.ts';
import { until } from '../until.ts';
import type { World } from '../world.ts';

/** Tables that cannot be captured are refused with a sentence. */

const identityDefault: Fault = {
  name: 'data/replica-identity-default',
  what: 'The table gets REPLICA IDENTITY DEFAULT while rows are updated and deleted.',
  expected: 'The first change without its old row parks the pipeline with a sentence; with FULL again and loaded anew, everything is equal.',
  drawn: false,
  forgets: true,
  async strike(world, _, signal) {
    const { relation } = world.pipeline.source.events;
    let sentence: string;
    try {
      await world.source.query(`alter table ${quoteRelation(relation)} replica identity default`);
      sentence = await world.untilParked('capture', /without its whole old row.*REPLICA IDENTITY FULL.*Load the pipeline anew/s, signal);
    } finally {
      await world.source.query(`alter table ${quoteRelation(relation)} replica identity full`);
    }
    await world.loadAnew(signal);
    return { evidence: `the capture said: ${sentence}` };
  },
};

const identityNothing: Fault = {
  name: 'data/replica-identity-nothing',
  what: 'The table gets REPLICA IDENTITY NOTHING: the source itself then refuses updates and deletes of a published table.',
  expected: 'Nothing is lost, as nothing but inserts can happen; the next capture refuses the table until it is FULL again.',
  drawn: false,
  async strike(world, _, signal) {
    const { relation, key } = world.pipeline.source.events;
    let evidence = '';
    try {
      await world.source.query(`alter table ${quoteRelation(relation)} replica identity nothing`);
      evidence = await world.source.query(`delete from ${quoteRelation(relation)} where ${quote(key)} in (select ${quote(key)} from ${quoteRelation(relation)} limit 1)`).then(
        () => { throw new Error('A delete went through.'); },
        (error: Error) => `the source said: ${error.message}`,
      );
      evidence += `; the capture said: ${await nextCapture(world, /does not have REPLICA IDENTITY FULL/, signal)}`;
    } finally {
      await world.source.query(`alter table ${quoteRelation(relation)} replica identity full`);
    }
    await world.resumeParked(['capture'], signal);
    return { evidence };
  },
};

const noKey: Fault = {
  name: 'data/no-primary-key',
  what: 'The primary key of the event table is dropped.',
  expected: 'The next capture refuses the table: two rows with one key would become one. It goes on once there is a key.',
  drawn: false,
  async strike(world, _, signal) {
    const { relation } = world.pipeline.source.events;
    const { rows: [constraint] } = await world.source.query<{ name: string; definition: string }>('select conname as name, pg_get_constraintdef(oid) as definition from pg_constraint where conrelid = $1::regclass and contype = $2', [quoteRelation(relation), 'p']);
    let sentence: string;
    try {
      await world.source.query(`alter table ${quoteRelation(relation)} drop constraint ${constraint!.name}`);
      sentence = await nextCapture(world, /no primary key or unique index/, signal);
    } finally {
      await world.source.query(`alter table ${quoteRelation(relation)} add constraint ${constraint!.name} ${constraint!.definition}`);
    }
    await world.resumeParked(['capture'], signal);
    return { evidence: `the capture said: ${sentence}` };
  },
};

/** What is wrong with a table is seen when a capture begins, each five minutes at the latest; here at once. */
async function nextCapture(world: World, sentence: RegExp, signal: AbortSignal): Promise<string> {
  await until('the capture to be paused', () => pausePipeline(world.config, world.name, 'capture').then(() => true), { timeoutMs: 60_000, signal });
  await resumePipeline(world.config, world.name, 'capture').catch(() => {});
  return world.untilParked('capture', sentence, signal);
}

export const refusedFaults: readonly Fault[] = [identityDefault, identityNothing, noKey];
