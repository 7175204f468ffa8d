import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { expect, inject, test } from 'vitest';
import { checkout } from '../../infra/supervisor/checkout.ts';
import { OwnServer } from '../capture/own-server.ts';

const guide = await readFile(join(checkout, 'docs/guide.md'), 'utf8');
const blocks = (language: string) => [...guide.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map((block) => block[1]!);

/** Installed already, as with whoever has used Sluice before: a clone that has parts and packages of this one. */
class Clone implements AsyncDisposable {
  readonly folder: string;
  readonly #environment: NodeJS.ProcessEnv;

  static async make(sourceUrl: string): Promise<Clone> {
    const folder = join(await mkdtemp(join(tmpdir(), 'sluice-guide-')), 'sluice');
    const clone = new Clone(folder, sourceUrl);
    await clone.run(`git clone -q '${checkout}' '${folder}'`, '/');
    await symlink(join(checkout, 'node_modules'), join(folder, 'node_modules'));
    await mkdir(join(folder, '.sluice'));
    for (const part of ['node', 'parts']) await symlink(join(checkout, '.sluice', part), join(folder, '.sluice', part));
    return clone;
  }

  private constructor(folder: string, sourceUrl: string) {
    this.folder = folder;
    this.#environment = { ...process.env, NO_COLOR: '1', SLUICE_SOURCE_URL: sourceUrl, SLUICE_PORT_BASE: String(inject('portBase') + 60) };
  }

  /** Returns what it said; throws with that if it fails. */
  run(script: string, cwd = this.folder): Promise<string> {
    return new Promise((resolve, reject) => {
      execFile('bash', ['-ec', script], { cwd, env: this.#environment, maxBuffer: 64 << 20 }, (error, stdout, stderr) => (error ? reject(new Error(`${script}\n${stdout}\n${stderr}`, { cause: error })) : resolve(`${stdout}${stderr}`)));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.run('./sluice down').catch(() => {});
    await rm(join(this.folder, '..'), { recursive: true, force: true });
  }
}

/** Somebody uses the database all the time. */
async function writing(client: Client, sql: readonly string[], signal: AbortSignal): Promise<void> {
  for (let turn = 0; !signal.aborted; turn++) {
    await client.query(sql[turn % sql.length]!);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const tables = `
  create table orders (id bigint generated always as identity primary key, customer int not null, state text not null, total numeric(10, 2), placed_at timestamptz not null default now());
  insert into orders (customer, state, total, placed_at) select n % 50, (array['new', 'paid', 'sent'])[1 + n % 3], n % 100, now() - (5000 - n) * interval '1 s' from generate_series(1, 5000) n;

  create table pgbench_accounts (aid int primary key, bid int, abalance int, filler char(84), created_at timestamptz not null default now());
  insert into pgbench_accounts select n, n % 5 + 1, 0, '' from generate_series(1, 1000) n;

  create schema "Sales"; create type mood as enum ('ok', 'bad');
  create table "Sales"."Order's" ("Id" uuid primary key, "it's ""quoted"" \\ name" int, "When?" timestamp not null, "Mood" mood not null, price numeric(10, 2));

  create table visits (id bigint generated always as identity, page text not null, at timestamptz not null, primary key (id, at)) partition by range (at);
  create table visits_old partition of visits for values from (minvalue) to ('2026-01-01');
  create table "Visits new" partition of visits for values from ('2026-01-01') to (maxvalue);
  insert into visits (page, at) select 'page ' || n % 7, now() - n * interval '6 hours' from generate_series(1, 2000) n;
  analyze`;

const writes = [
  "insert into orders (customer, state, total) values (random() * 50, 'new', random() * 100)",
  "update orders set state = 'paid', customer = customer + 1 where id in (select id from orders order by id desc offset 3 limit 1)",
  'delete from orders where id in (select id from orders order by random() limit 1)',
  'update pgbench_accounts set abalance = abalance + 1, bid = 1 + aid % 7 where aid = 1 + (random() * 999)::int',
  `insert into "Sales"."Order's" values (gen_random_uuid(), 1, now(), (array['ok', 'bad'])[1 + (random() * 1)::int]::mood, 1.5)`,
  `update "Sales"."Order's" set price = null, "When?" = "When?" - interval '1 hour' where "Id" in (select "Id" from "Sales"."Order's" order by random() limit 1)`,
  "insert into visits (page, at) values ('page ' || (random() * 7)::int, now() - random() * interval '400 days')",
  "update visits set at = at - interval '1 day' where id in (select id from visits order by random() limit 1)",
];

test('the guide does what it says, within five minutes; so do tables of other kinds', { timeout: 600_000 }, async () => {
  await using server = await OwnServer.make(40);
  await server.start();
  await using clone = await Clone.make(server.url);
  const [owner, writer] = [new Client({ connectionString: server.url }), new Client({ connectionString: server.url })];
  await Promise.all([owner.connect(), writer.connect()]);
  await owner.query(tables);
  const end = new AbortController();
  const written = writing(writer, writes, end.signal);
  try {
    const startedAt = performance.now();
    const [init, ...others] = blocks('sh').map((block) => block.replace(/^export .*\n/m, ''));
    const index = join(clone.folder, 'pipelines/index.ts');
    expect(await clone.run(init!)).toContain(blocks('sql')[0]!.trim());
    await owner.query(blocks('sql')[0]!);
    await writeFile(index, blocks('ts')[0]!);
    const said: string[] = [];
    for (const block of others) said.push(await clone.run(block));
    expect((performance.now() - startedAt) / 1000).toBeLessThan(300);
    expect(said.join('\n')).toMatch(/it streams: what is written comes through.*everything is equal.*orders is destroyed/s);
    expect((await owner.query('select from pg_replication_slots')).rowCount).toBe(0);

    const choices = { accounts: '--table pgbench_accounts --event-time created_at', sales: `--table "Sales.Order's"`, visits: '--table visits' };
    for (const [name, choice] of Object.entries(choices)) {
      const { needs } = JSON.parse((await clone.run(`./sluice init ${name} ${choice} --sinks clickhouse,redis,results --yes --json 2>/dev/null`))) as { needs: { sql: string }[] };
      for (const { sql } of needs) await owner.query(sql);
    }
    const names = Object.keys(choices);
    await writeFile(index, [blocks('ts')[0]!.split('\n')[0]!, ...names.map((name) => `import ${name} from './${name}.ts';`), `export const pipelines: Readonly<Record<string, Pipeline<Text>>> = { ${names.join(', ')} };`, ''].join('\n'));
    await clone.run('./sluice up --detach --rate 0');
    for (const name of names) {
      await clone.run(`./sluice apply ${name}`);
      expect(await clone.run(`./sluice verify ${name}`)).toContain('everything is equal');
    }
  } finally {
    end.abort();
    await written.catch(() => {});
    await Promise.all([owner.end(), writer.end()]);
  }
});
