import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { defineCommand } from 'citty';
import { browserFor } from '../infra/embedded/browser.ts';
import { checkout } from '../infra/supervisor/checkout.ts';
import { runProgram } from './program.ts';

/** Stages that count as one test each. */
const checks = [
  { name: 'types', program: 'node_modules/typescript/bin/tsc', args: ['--noEmit'] },
  { name: 'lint', program: 'node_modules/oxlint/bin/oxlint', args: ['--deny-warnings', '--type-aware'] },
];
/** The projects of vitest.config.ts in two runs at once: half of the time each waits for services. */
const runs = [
  { name: 'product', projects: ['product'] },
  { name: 'parts', projects: ['simulation', 'unit', 'integration'] },
];

export default defineCommand({
  meta: {
    name: 'test',
    description: 'Types, lint, simulation, unit, property, integration and browser tests: what CI runs',
  },
  args: {
    full: { type: 'boolean', description: 'Also what docs/guide.md says, Temporal and the worker killed at every stage, DDL of each kind beside a backfill, and then every fault of the laboratory by name, and docs/guarantees.md out of what was seen; takes an hour and a half' },
    only: { type: 'string', valueHint: 'worker,redis/flushall', description: 'Of the laboratory only these families or faults, and no tests' },
  },
  async run({ args }) {
    if (args.only !== undefined) {
      process.exitCode = await runProgram('chaos/full.ts', ['--only', args.only]);
      return;
    }
    const environment = { ...process.env, ...(args.full ? { SLUICE_FULL: '1' } : {}), ...(await browserFor(join(checkout, 'test/browser'), console.log)) };
    let passed = 0;
    let failed = 0;
    for (const check of checks) {
      if ((await stage(check.name, [check.program, ...check.args], environment)) === 0) passed += 1;
      else failed += 1;
    }
    for (const counts of await Promise.all(runs.map((each) => vitest(each, environment)))) {
      passed += counts.passed;
      failed += counts.failed;
    }
    console.log(`${passed} passed, ${failed} failed`);
    const laboratory = args.full ? await runProgram('chaos/full.ts', []) : 0;
    process.exitCode = failed === 0 && laboratory === 0 ? 0 : 1;
  },
});

type Counts = { readonly passed: number; readonly failed: number };

async function vitest({ name, projects }: (typeof runs)[number], environment: NodeJS.ProcessEnv): Promise<Counts> {
  const report = join(checkout, '.sluice', 'test', `${name}.json`);
  rmSync(report, { force: true });
  const chosen = projects.map((project) => `--project=${project}`);
  const code = await stage(name, ['node_modules/vitest/vitest.mjs', 'run', ...chosen, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`], environment, `${name.padEnd(7)} | `);
  return countTests(report, code);
}

/** Its output goes to ours, each line behind the prefix. */
async function stage(name: string, args: readonly string[], environment: NodeJS.ProcessEnv, prefix = ''): Promise<number | null> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, args, { cwd: checkout, env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const output of [child.stdout, child.stderr]) createInterface(output).on('line', (line) => console.log(`${prefix}${line}`));
  const code = await new Promise<number | null>((resolve, reject) =>
    child.once('error', reject).once('close', resolve),
  );
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  console.log(`${name.padEnd(12)} ${code === 0 ? 'ok' : 'FAILED'} after ${seconds} s\n`);
  return code;
}

/** A file that could not even be loaded has no tests: it counts as one that failed. So does a run without a report. */
function countTests(report: string, code: number | null): Counts {
  if (!existsSync(report)) return { passed: 0, failed: 1 };
  const { numPassedTests, testResults } = JSON.parse(readFileSync(report, 'utf8')) as VitestReport;
  const failures = testResults.map(({ status, assertionResults }) => {
    const own = assertionResults.filter((each) => each.status === 'failed').length;
    return own === 0 && status === 'failed' ? 1 : own;
  });
  const failed = failures.reduce((sum, each) => sum + each, 0);
  return { passed: numPassedTests, failed: failed === 0 && code !== 0 ? 1 : failed };
}

type VitestReport = {
  readonly numPassedTests: number;
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
};
