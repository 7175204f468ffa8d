import { describe, expect, test } from 'vitest';
import { clickhouseFindings, doctorText, type Finding, isLocal, isWell, notReached, pipelineFindings, type PipelineFacts, redisFindings, sourceFindings, type SourceFacts, spoolFindings, stateFindings, type TableFacts, temporalFindings } from './doctor.ts';

const source: SourceFacts = {
  version: '18.4',
  versionNumber: 180_004,
  isReplica: false,
  host: '127.0.0.1:5432',
  isEncrypted: false,
  role: 'sluice',
  walLevel: undefined,
  slots: { max: 10, used: 1 },
  walSenders: { max: 10, used: 1 },
  keepBytes: 8 * 2 ** 30,
  slotIdleSeconds: 0,
  seesOthers: true,
  refused: undefined,
};
const table: TableFacts = { relation: 'public.events', problems: [], isThere: true, isPartitioned: false, mayUseSchema: true, maySelect: true, owner: 'app', isOwned: true, unindexedTime: undefined, otherColumns: [] };
const pipeline: PipelineFacts = {
  name: 'orders',
  role: 'sluice',
  database: 'app',
  names: { slot: 'sluice_orders', publication: 'sluice_orders' },
  tables: [table],
  problems: [],
  isLoaded: true,
  slot: { isLost: false, isRead: true, keptBytes: 1 << 20 },
  mayCreatePublication: true,
  publicationOwner: { isUs: true },
};
const redis = { version: 'Redis 8.0.0', eviction: undefined, appends: true, host: 'localhost:6379', isEncrypted: false };
const temporal = { address: '127.0.0.1:7233', host: '127.0.0.1:7233', version: '1.29', namespace: 'default', hasNamespace: true, missingAttributes: [], isEncrypted: false };
const state = { version: '18.4', versionNumber: 180_004, isReplica: false, host: '127.0.0.1:5432', isEncrypted: false, isPrepared: true, isSourceServer: true };
const GiB = 2 ** 30;
const spool = { directory: '/data/spool', freeBytes: 20 * GiB, usedBytes: GiB, budgetBytes: 4 * GiB, spareBytes: 64 << 20 };

/** What is not ok, as `state: what mends it`. */
const bad = (findings: readonly Finding[]) => findings.filter((finding) => finding.state !== 'ok').map((finding) => `${finding.state}: ${finding.mend}`);

test('where all is well, nothing is to be mended', () => {
  const all = [...sourceFindings(source, [pipeline]), ...pipelineFindings(pipeline), ...stateFindings(state), ...redisFindings(redis), ...clickhouseFindings({ version: '26.7.3.1', host: 'localhost:8123', isEncrypted: false }), ...temporalFindings(temporal), ...spoolFindings(spool)];
  expect(bad(all)).toEqual([]);
  expect(isWell(all)).toBe(true);
});

describe('the source', () => {
  test.each<[string, Partial<SourceFacts>, string]>([
    ['too old', { version: '14.9', versionNumber: 140_009 }, 'wrong: upgrade that server'],
    ['a standby', { isReplica: true }, 'wrong: Set SLUICE_SOURCE_URL to the primary'],
    ['without logical WAL', { walLevel: { what: 'wal_level=replica', mend: 'ALTER SYSTEM' } }, 'wrong: ALTER SYSTEM'],
    ['without a spare slot', { slots: { max: 10, used: 10 } }, 'warning: ALTER SYSTEM SET max_replication_slots = 20; then restart that server.'],
    ['without a spare walsender', { walSenders: { max: 30, used: 30 } }, 'warning: ALTER SYSTEM SET max_wal_senders = 34; then restart that server.'],
    ['with slots that may fill its disk', { keepBytes: undefined }, "warning: ALTER SYSTEM SET max_slot_wal_keep_size = '8GB'; SELECT pg_reload_conf();"],
    ['whose idle slots end', { slotIdleSeconds: 3_600 }, 'warning: ALTER SYSTEM SET idle_replication_slot_timeout = 0; SELECT pg_reload_conf();'],
    ['whose role may not replicate', { role: 'Worker', refused: { code: '42501', message: 'permission denied' } }, 'wrong: ALTER ROLE "Worker" REPLICATION;'],
    ['whose role does not see others (E13)', { seesOthers: false }, 'warning: GRANT pg_read_all_stats TO sluice;'],
    ['in the clear', { host: 'db.internal:5432' }, 'warning: Set SLUICE_SOURCE_URL=postgres://…?sslmode=verify-full'],
  ])('%s', (_, facts, expected) => {
    expect(bad(sourceFindings({ ...source, ...facts }, [pipeline]))).toEqual([expected]);
  });

  test('a pipeline that has no slot yet needs one, besides the spare one', () => {
    const unloaded = { slot: undefined };
    const of = (used: number) => sourceFindings({ ...source, slots: { max: 10, used } }, [pipeline, unloaded, unloaded])[2]!.state;
    expect([7, 8, 9].map(of)).toEqual(['ok', 'warning', 'wrong']);
  });

  test('an encrypted connection may go anywhere', () => {
    expect(bad(sourceFindings({ ...source, host: 'db.internal:5432', isEncrypted: true }, [pipeline]))).toEqual([]);
  });
});

describe('a pipeline', () => {
  const anew = /^wrong: Load the pipeline anew: \.\/sluice recover orders/;
  test.each<[string, Partial<PipelineFacts>, Partial<TableFacts>, string | RegExp]>([
    ['a check of the product', {}, { problems: [{ what: 'no identity', mend: 'ALTER TABLE public.events REPLICA IDENTITY FULL;' }] }, 'wrong: ALTER TABLE public.events REPLICA IDENTITY FULL;'],
    ['a check that says itself what to do', {}, { isThere: false, problems: [{ what: 'Create it', mend: undefined }] }, 'wrong: null'],
    ['no right to read', {}, { relation: 'public.Events', maySelect: false }, 'wrong: GRANT SELECT ON public."Events" TO sluice;'],
    ['no right to its schema', {}, { mayUseSchema: false }, 'wrong: GRANT USAGE ON SCHEMA public TO sluice;'],
    ['no index on the event time', {}, { unindexedTime: 'at' }, 'warning: CREATE INDEX CONCURRENTLY ON public.events (at);'],
    ['none, of a partitioned table', {}, { unindexedTime: 'the time', isPartitioned: true }, 'warning: CREATE INDEX ON public.events ("the time");'],
    ['a stream that is text', {}, { otherColumns: ['span'] }, 'warning: leave it out of pipelines/orders.ts, if nothing needs it'],
    ['a slot that is gone', { slot: undefined }, {}, anew],
    ['a slot that was invalidated', { slot: { isLost: true, isRead: false, keptBytes: 0 } }, {}, anew],
    ['no right to make a publication', { isLoaded: false, publicationOwner: undefined, mayCreatePublication: false }, {}, 'wrong: GRANT CREATE ON DATABASE app TO sluice;'],
    ["a publication of somebody else's", { isLoaded: false, publicationOwner: { isUs: false } }, {}, 'wrong: ALTER PUBLICATION sluice_orders OWNER TO sluice;'],
    ["a table of somebody else's", { isLoaded: false }, { isOwned: false }, 'wrong: GRANT app TO sluice;'],
  ])('%s', (_, facts, more, expected) => {
    const found = bad(pipelineFindings({ ...pipeline, ...facts, tables: [{ ...table, ...more }] }));
    expect(found).toEqual([typeof expected === 'string' ? expected : expect.stringMatching(expected)]);
  });

  test('whose columns change is told of that first', () => {
    const renamed = { ...table, problems: [{ what: 'Table public.events has no column kind', mend: undefined }] };
    expect(bad(pipelineFindings({ ...pipeline, openChange: 3, tables: [renamed] }))).toEqual(['wrong: ./sluice migrations orders', 'wrong: null']);
    expect(bad(pipelineFindings({ ...pipeline, openChange: 3 }))).toEqual([]);
  });

  test('that was loaded needs no right to make its publication', () => {
    expect(bad(pipelineFindings({ ...pipeline, mayCreatePublication: false, tables: [{ ...table, isOwned: false }] }))).toEqual([]);
  });

  test('of which nobody knows whether it was loaded is neither missing a slot nor a right', () => {
    expect(bad(pipelineFindings({ ...pipeline, isLoaded: undefined, slot: undefined, mayCreatePublication: false }))).toEqual([]);
  });
});

describe('the others', () => {
  test.each<[string, readonly Finding[], readonly string[]]>([
    ['a state database without tables', stateFindings({ ...state, isPrepared: false }), ['warning: ./sluice up']],
    ['Redis that evicts', redisFindings({ ...redis, eviction: { what: 'it evicts', mend: 'CONFIG SET maxmemory-policy noeviction' } }), ['wrong: CONFIG SET maxmemory-policy noeviction']],
    ['Redis without a log', redisFindings({ ...redis, appends: false }), ['warning: CONFIG SET appendonly yes']],
    ['Redis that says nothing of it', redisFindings({ ...redis, appends: undefined }), []],
    ['Redis in the clear', redisFindings({ ...redis, host: 'cache.internal:6379' }), ['warning: Set SLUICE_REDIS_URL=rediss://…']],
    ['ClickHouse that is too old', clickhouseFindings({ version: '23.1.9', host: '[::1]:8123', isEncrypted: false }), ['wrong: install ClickHouse 23.2 or newer there']],
    ['Temporal without the namespace', temporalFindings({ ...temporal, hasNamespace: false }), ['wrong: temporal operator namespace create --namespace default --address 127.0.0.1:7233']],
    ['Temporal without attributes', temporalFindings({ ...temporal, missingAttributes: [{ name: 'SluiceKind', type: 'Keyword' }, { name: 'SluiceLagSeconds', type: 'Double' }] }), ['wrong: temporal operator search-attribute create --name SluiceKind --type Keyword --name SluiceLagSeconds --type Double --namespace default --address 127.0.0.1:7233']],
    ['Temporal that does not say', temporalFindings({ ...temporal, missingAttributes: undefined }), []],
    ['a disk smaller than the spool may be', spoolFindings({ ...spool, freeBytes: GiB }), ['warning: df -h /data/spool; and make room, or set settings.spoolBudget lower in the definition']],
    ['a full disk', spoolFindings({ ...spool, freeBytes: 1 << 20 }), ['wrong: du -sh /data/spool; and make room on that disk']],
    ['one that is away', [notReached('redis', 'connect ECONNREFUSED', 'SLUICE_REDIS_URL')], ['wrong: ./sluice up, or set SLUICE_REDIS_URL']],
  ])('%s', (_, findings, expected) => {
    expect(bad(findings)).toEqual(expected);
  });
});

test.each([['', true], ['localhost:5432', true], ['127.0.0.1', true], ['127.1.2.3:1', true], ['[::1]:8123', true], ['::1', true], ['127.0.0.1.example.org', false], ['10.0.0.1:5432', false], ['db.localhost.org', false]])('%s is this machine: %s', (host, expected) => {
  expect(isLocal(host)).toBe(expected);
});

test('warnings alone are well, and the text has a line for each finding and what mends it below', () => {
  const findings: Finding[] = [
    { service: 'source', pipeline: null, state: 'ok', found: 'PostgreSQL 18.4', mend: null },
    { service: 'source', pipeline: 'orders', state: 'warning', found: 'no index', mend: 'CREATE INDEX' },
  ];
  expect(isWell(findings)).toBe(true);
  expect(doctorText(findings).split('\n')).toEqual(['ok       source          PostgreSQL 18.4', 'warning  source  orders  no index', '                         mend: CREATE INDEX', '', '0 wrong, 1 warning, 1 ok']);
  expect(isWell([...findings, { service: 'redis', pipeline: null, state: 'wrong', found: '', mend: '' }])).toBe(false);
});
