import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

/** What `./sluice` starts, on a data directory on which nothing runs. */
function sluice(...args: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const environment = { ...process.env, SLUICE_SOURCE_URL: '', SLUICE_DATA: join(tmpdir(), 'sluice-nothing-here'), NO_COLOR: '1' };
    execFile(process.execPath, ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'main.ts'), ...args], { env: environment }, (error, stdout, stderr) => {
      resolve({ code: Number(error?.code ?? 0), output: stdout + stderr });
    });
  });
}

describe('what cannot be meant ends with 2, and says what can', () => {
  test.each([
    ['an unknown command', ['frobnicate'], /See the commands with: \.\/sluice --help/],
    ['an unknown command of dlq', ['dlq', 'frobnicate'], /\.\/sluice dlq --help/],
    ['an unknown option', ['down', '--detach'], /Unknown option --detach/],
    ['a missing argument', ['dlq', 'show'], /NUMBER\nSee: \.\/sluice dlq show --help/],
    ['a value of the wrong kind', ['up', '--rate', 'fast'], /--rate fast is not a number/],
    ['no pipeline', ['verify'], /^Which pipeline\? engagement, trending\. For example: \.\/sluice verify engagement\n$/],
    ['nothing to apply', ['apply'], /^Which pipeline\? engagement, trending\. For example: \.\/sluice apply engagement\n$/],
    ['nothing to destroy', ['destroy'], /^Which pipeline\? engagement, trending\. For example: \.\/sluice destroy engagement --dry-run\n$/],
    ['what cannot be a pipeline', ['destroy', '../x', '--yes'], /^pipeline "\.\.\/x": a name is a lower-case letter.*The pipelines are engagement, trending/],
    ['an unknown pipeline', ['pause', 'engagemnt'], /There is no pipeline engagemnt\. The pipelines are engagement, trending/],
    ['a new pipeline without a name', ['init'], /^What shall the pipeline be called\?/],
    ['a new pipeline with a bad name', ['init', 'Orders'], /^pipeline "Orders": a name is a lower-case letter/],
    ['a new pipeline with the name of the list', ['init', 'index'], /pipelines\/index\.ts is the list of all/],
    ['a new pipeline of no source', ['init', 'orders'], /^Which database\? \.\/sluice init orders --source postgres:/],
    ['a new pipeline of another kind of source', ['init', 'orders', '--source', 'mysql://a:secret@b/c'], /^The source is no address of a PostgreSQL(?![^]*secret)/],
    ['a new pipeline of a name that is taken', ['init', 'trending', '--source', 'postgres://a@b/c'], /trending\.ts is there already, and was left as it is\. Delete it, or choose another name/],
    ['a window of an unknown view', ['verify', 'engagement', '--window', '10m', '--view', 'nothing'], /^Pipeline engagement has no view nothing; it has top10m, leaderboard\.\n$/],
    ['a view without a window', ['verify', 'engagement', '--view', 'top10m'], /^--view is for one window: \.\/sluice verify engagement --view top10m --window 10m\n$/],
    ['nothing to backfill', ['backfill'], /^Which pipeline\? engagement, trending\. For example: \.\/sluice backfill engagement --from 3h --to 1h\n$/],
    ['no duration', ['backfill', 'engagement', '--from', '3h', '--to', '00m'], /^--to 00m is no time\. For example --to 2026-11-01/],
    ['half a range', ['reconcile', 'engagement', '--from', '2h'], /^A range has a beginning and an end/],
    ['a range that has not come', ['reconcile', 'engagement', '--from', '2h', '--to', '2126-01-01'], /which has not come yet\. Only windows that have closed are compared/],
    ['a recovery of an unknown lane', ['recover', 'engagement', '--lane', 'nosuch', '--yes'], /^engagement has no lane nosuch; it has aggregate, enriched, live, leaderboard, external\.\n$/],
    ['a recovery that nobody can be asked about', ['recover', 'engagement'], /say it beforehand: \.\/sluice recover engagement --yes\n$/],
    ['one of a lane, which stays in what is to be typed', ['recover', 'engagement', '--lane', 'enriched', '--data', '/d'], /say it beforehand: \.\/sluice recover engagement --lane enriched --data \/d --yes\n$/],
    ['an unknown letter', ['dlq', 'drop', 'engagement', '--lane', 'nowhere'], /has no lane nowhere/],
  ])('%s', async (_, args, output) => {
    expect(await sluice(...args)).toEqual({ code: 2, output: expect.stringMatching(output) as string });
  });

  test('nothing that runs is no bad input', async () => {
    expect(await sluice('pause', 'engagement')).toEqual({ code: 1, output: expect.stringContaining('./sluice up') as string });
  });
});

test.each([[['dlq', 'list'], './sluice dlq list'], [['pause'], './sluice pause'], [[], './sluice']])('help of %j is what one types', async (args, typed) => {
  expect((await sluice(...args, '--help')).output).toContain(`USAGE ${typed} `);
});

test('what is compared without a range is half as much without an index, as dueRanges has it', async () => {
  expect((await sluice('reconcile', '--help')).output.replace(/\s+/g, ' ')).toContain('the last two hours (twice settings.reconcileEveryMs), or half of that if the event time has no index');
});
