import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { differenceText, verificationText, type Verification } from '../../core/verification.ts';
import { start } from '../sinks/stream.ts';
import { World } from './world.ts';

let world: World;
let letters: number;
beforeEach(async () => {
  world = await World.open({ refuses: (event) => event % 41 === 7 });
  letters = Number((await world.state.query<{ count: string }>("select count(*) from sluice.dead_letter where lane = 'external'")).rows[0]!.count);
});
afterEach(() => world?.[Symbol.asyncDispose]());

const lanes = ['aggregate', 'enriched', 'live', 'external'];
const unequal = ({ checks }: Verification) => [...new Set(checks.filter(({ equal }) => !equal).map(({ sink }) => sink))];
const unexplained = ({ checks }: Verification) => checks.flatMap(({ differences }) => differences.map(differenceText));
const settle = (set: string, where: string) => world.state.query(`update sluice.dead_letter set ${set} where ${where}`);

describe('verify and dead letters', () => {
  test('those that wait are named, and everything else is compared', async () => {
    expect(letters).toBeGreaterThan(20);
    const verification = await world.verify();
    expect(unequal(verification).sort()).toEqual([...lanes].sort());
    expect(unexplained(verification)).toEqual([]);
    expect(verificationText(verification)).toContain(`external, events at 127.0.0.1:`);
    expect(verificationText(verification)).toContain(`${letters} events are in the dead letters and wait: replay with ./sluice dlq replay engagement --lane external, or see ./sluice dlq list engagement --lane external. They are left out of the comparison`);
  });

  test('once all are replayed everything is equal: newer changes, deletions, moves and late panes are what they should be', async () => {
    for (const lane of ['aggregate', 'enriched', 'external']) await world.replay(lane);
    // the panes have them now, and the structure is made of panes
    expect(unequal(await world.verify())).toEqual(['live']);
    await world.replay('live');
    const verification = await world.verify();
    expect(unexplained(verification)).toEqual([]);
    expect(verificationText(verification)).toMatch(/everything is equal/);
    expect(verificationText(verification)).not.toContain('dead letters');
  });

  test('a difference that no letter explains is found beside them', async () => {
    const { rows } = await world.state.query<{ pane_ms: string; key: string }>('select pane_ms, key from sluice.panes_engagement_top10m where score <> 0 order by pane_ms desc, key limit 1');
    await world.state.query('update sluice.panes_engagement_top10m set score = score + 1 where pane_ms = $1 and key = $2', [rows[0]!.pane_ms, rows[0]!.key]);
    expect(unexplained(await world.verify())).toEqual([expect.stringMatching(`^changed pane_ms=${rows[0]!.pane_ms} key=${rows[0]!.key}: score is `)]);
  });

  test('what was dropped, or edited before it was replayed, is named and is no difference', async () => {
    await settle("state = 'dropped', settled_at = now()", "lane in ('aggregate', 'external') and id % 2 = 0");
    await settle(`edited = jsonb_set(content, '{after,event_type}', '"click"'), edits = 1`, "lane = 'aggregate' and state = 'waiting' and content ? 'after'");
    await settle(`edited = jsonb_set(content, '{after,device}', '"edited"'), edits = 1`, "lane = 'external' and state = 'waiting' and content ? 'after'");
    for (const lane of ['aggregate', 'enriched', 'external', 'live']) await world.replay(lane);
    const verification = await world.verify();
    expect(unexplained(verification)).toEqual([]);
    expect(unequal(verification)).toEqual([]);
    expect(verificationText(verification)).toMatch(/external, events at .*: \d+ events are in the dead letters and were dropped; \d+ events are in the dead letters and were edited before the replay\. They are left out/);
  });

  test('E18: in the middle of a backfill everything is equal, but for what it has yet to say', async () => {
    // so that it changes something
    await settle("state = 'dropped', settled_at = now()", "lane = 'aggregate'");
    await world.backfill(start, start + 4 * 60_000, 'half');
    const { rows } = await world.state.query<{ rebuilding: { fromMs: number; toMs: number }[] }>('select rebuilding from sluice.aggregate');
    expect(rows[0]!.rebuilding[0]!.fromMs).toBeGreaterThan(start);
    expect(rows[0]!.rebuilding[0]!.fromMs).toBeLessThan(start + 4 * 60_000);
    expect(unexplained(await world.verify())).toEqual([]);
    await world.backfill(start, start + 4 * 60_000);
    expect(unexplained(await world.verify())).toEqual([]);
  });

  test('E18: panes that are computed anew have what the source has: then letters explain nothing in them', async () => {
    await settle("state = 'dropped', settled_at = now()", "lane = 'aggregate' and id % 2 = 0");
    await settle(`edited = jsonb_set(content, '{after,event_type}', '"click"'), edits = 1`, "lane = 'aggregate' and state = 'waiting' and content ? 'after'");
    await world.replay('aggregate');
    await world.backfill(start, start + 4 * 60_000);
    expect(unexplained(await world.verify())).toEqual([]);
    // one of a letter, and in such a pane
    await settle("state = 'waiting'", "lane = 'aggregate' and id % 2 = 0");
    await world.replay('aggregate');
    expect(unexplained(await world.verify())).toEqual([]);
  });
});
