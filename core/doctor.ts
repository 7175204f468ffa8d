import { loadAnew } from './load-anew.ts';
import type { Pipeline, Text } from './pipeline.ts';
import { bytesText } from './quantities.ts';
import { sqlIdentifier, sqlRelation } from './sql-names.ts';

/** What `./sluice doctor` says: what is wrong, given what the services said of themselves. Nothing here asks anybody. */
export type Finding = {
  readonly service: Service;
  /** Null: it is for all of them. */
  readonly pipeline: string | null;
  /** warning: it runs, and something about it is worse than it need be. wrong: something does not work, or will not. */
  readonly state: 'ok' | 'warning' | 'wrong';
  readonly found: string;
  /** The SQL to type in that service, or the command; null if it is ok, or if the sentence says what to do. */
  readonly mend: string | null;
};
export type Service = 'source' | 'state' | 'redis' | 'clickhouse' | 'temporal' | 'spool';

/** What a pipeline cannot be without. */
export function servicesOf({ sinks }: Pick<Pipeline<Text>, 'sinks'>): ReadonlySet<Service> {
  const services = new Set<Service>(['source', 'state', 'temporal', 'spool']);
  for (const { kind } of Object.values(sinks)) {
    if (kind === 'clickhouse') services.add('clickhouse');
    if (kind === 'redis-live' || kind === 'redis-results') services.add('redis');
  }
  return services;
}

/** What a check of the product itself says (a ConfigurationError has this form). */
export type Problem = { readonly what: string; readonly mend: string | undefined };

/** How a service is reached. `host`: empty for a socket of this machine. */
export type Reached = { readonly host: string; readonly isEncrypted: boolean };
/** What a server has of something, and what is taken. */
export type Room = { readonly max: number; readonly used: number };

export type ServerFacts = Reached & {
  /** 18.4. */
  readonly version: string;
  /** 180004. */
  readonly versionNumber: number;
  /** It follows another server and takes no writes. */
  readonly isReplica: boolean;
};

export type SourceFacts = ServerFacts & {
  readonly role: string;
  readonly walLevel: Problem | undefined;
  readonly slots: Room;
  readonly walSenders: Room;
  /** max_slot_wal_keep_size; undefined: unlimited. */
  readonly keepBytes: number | undefined;
  /** idle_replication_slot_timeout; 0: none. */
  readonly slotIdleSeconds: number;
  /** pg_read_all_stats. */
  readonly seesOthers: boolean;
  /** What a replication connection was refused with. */
  readonly refused: { readonly code: string; readonly message: string } | undefined;
};

export type TableFacts = {
  readonly relation: string;
  readonly problems: readonly Problem[];
  readonly isThere: boolean;
  readonly isPartitioned: boolean;
  readonly mayUseSchema: boolean;
  readonly maySelect: boolean;
  /** Whoever makes the publication must be the owner, or have the owner's role. */
  readonly owner: string;
  readonly isOwned: boolean;
  /** Of the event table, its event time, if no index begins with it. */
  readonly unindexedTime: string | undefined;
  readonly otherColumns: readonly string[];
};

export type PipelineFacts = {
  readonly name: string;
  readonly role: string;
  readonly database: string;
  /** Its slot and its publication. */
  readonly names: { readonly slot: string; readonly publication: string };
  readonly tables: readonly TableFacts[];
  /** Of the whole pipeline: its publication, its source, synchronous standbys. */
  readonly problems: readonly Problem[];
  /** Undefined: not known, as the state database does not answer. */
  readonly isLoaded: boolean | undefined;
  /** The number of a migration of its columns that is not over. */
  readonly openChange?: number | undefined;
  /** `keptBytes`: WAL that the source keeps for it. */
  readonly slot: { readonly isLost: boolean; readonly isRead: boolean; readonly keptBytes: number } | undefined;
  readonly mayCreatePublication: boolean;
  /** Of a publication that is there. */
  readonly publicationOwner: { readonly isUs: boolean } | undefined;
};

export type StateFacts = ServerFacts & { readonly isPrepared: boolean; /** Undefined: not known. */ readonly isSourceServer: boolean | undefined };
export type RedisFacts = Reached & { readonly version: string; readonly eviction: Problem | undefined; /** Undefined: it does not say. */ readonly appends: boolean | undefined };
export type ClickhouseFacts = Reached & { readonly version: string };
export type TemporalFacts = Reached & {
  readonly address: string;
  readonly version: string;
  readonly namespace: string;
  readonly hasNamespace: boolean;
  /** Undefined: it does not say. */
  readonly missingAttributes: readonly { readonly name: string; readonly type: string }[] | undefined;
};
export type SpoolFacts = { readonly directory: string; readonly freeBytes: number; readonly usedBytes: number; /** Of the pipelines. */ readonly budgetBytes: number; /** Left free whatever the budget is. */ readonly spareBytes: number };

/** A row filter and a column list, which a publication must not have, are only known from here on. */
export const leastPostgres = 150_000;
/** ReplacingMergeTree with a column that says that a row is deleted. */
const leastClickhouse = [23, 2] as const;

/** It could not be asked. */
export function notReached(service: Service, why: string, variable: string): Finding {
  return about(service).wrong(`It cannot be asked: ${why.replace(/\.$/, '')}.`, `./sluice up, or set ${variable}`);
}

export function sourceFindings(source: SourceFacts, pipelines: readonly Pick<PipelineFacts, 'slot'>[]): Finding[] {
  const { ok, warning, wrong, problem } = about('source');
  const role = sqlIdentifier(source.role);
  const findings = serverFindings('source', source, 'SLUICE_SOURCE_URL');
  if (source.versionNumber < leastPostgres) findings.push(wrong(`PostgreSQL ${source.version} is too old: Sluice needs 15 or newer.`, 'upgrade that server'));
  findings.push(source.walLevel ? problem(source.walLevel) : ok('wal_level is logical'));
  findings.push(roomFinding('replication slots', 'max_replication_slots', source.slots, pipelines.filter(({ slot }) => !slot).length));
  findings.push(roomFinding('walsenders', 'max_wal_senders', source.walSenders, pipelines.filter(({ slot }) => !slot?.isRead).length));
  findings.push(
    source.keepBytes === undefined
      ? warning('max_slot_wal_keep_size is unlimited: a slot that nobody reads any more keeps WAL until the disk of the source is full', "ALTER SYSTEM SET max_slot_wal_keep_size = '8GB'; SELECT pg_reload_conf();")
      : ok(`a slot may keep ${bytesText(source.keepBytes)} of WAL (max_slot_wal_keep_size)`),
  );
  if (source.slotIdleSeconds > 0) {
    findings.push(warning(`idle_replication_slot_timeout is ${source.slotIdleSeconds} s: a pipeline that is paused or stopped for that long loses its slot and must be loaded anew`, 'ALTER SYSTEM SET idle_replication_slot_timeout = 0; SELECT pg_reload_conf();'));
  }
  if (!source.refused) findings.push(ok(`role ${source.role} may replicate`));
  else if (source.refused.code === '42501') findings.push(wrong(`role ${source.role} may not replicate: ${source.refused.message}`, `ALTER ROLE ${role} REPLICATION;`));
  else findings.push(wrong(`role ${source.role} gets no replication connection: ${source.refused.message}`, 'SHOW hba_file; and let that role in there, or raise what the sentence names'));
  findings.push(
    source.seesOthers
      ? ok(`role ${source.role} sees the transactions of others (pg_read_all_stats)`)
      : warning(`role ${source.role} does not see the transactions of others: no window closes while nothing is written, as one of them could still commit (E13)`, `GRANT pg_read_all_stats TO ${role};`),
  );
  return findings;
}

export function pipelineFindings(facts: PipelineFacts): Finding[] {
  const { ok, wrong, problem } = about('source', facts.name);
  const findings = facts.tables.flatMap((table) => tableFindings(facts, table));
  if (facts.openChange !== undefined && !isWell(findings)) findings.unshift(wrong(`migration ${facts.openChange} of its source's columns is not over: what is said here of its tables may be what it asks about`, `./sluice migrations ${facts.name}`));
  findings.push(...facts.problems.map(problem));
  const { slot, publication } = facts.names;
  if (facts.isLoaded === undefined) return findings;
  if (!facts.isLoaded) {
    const rights = missingRights(facts);
    if (rights.length === 0) findings.push(ok(`not loaded yet: its first load makes the publication ${publication} and the slot ${slot}`));
    findings.push(...rights);
  } else if (!facts.slot || facts.slot.isLost) findings.push(wrong(`The replication slot ${slot} ${facts.slot ? 'was invalidated' : 'is gone'}: what is written since is not in the stream.`, loadAnew(facts.name)));
  else if (facts.problems.length === 0) findings.push(ok(`publication ${publication} has its tables; the source keeps ${bytesText(facts.slot.keptBytes)} for slot ${slot}`));
  return findings;
}

export function stateFindings(state: StateFacts): Finding[] {
  const { ok, warning } = about('state');
  const findings = serverFindings('state', state, 'SLUICE_STATE_URL');
  if (!state.isPrepared) findings.push(warning('it has no tables of Sluice yet', './sluice up'));
  if (state.isSourceServer) findings.push(ok('it is on the server of the source, whose slots read its WAL too; another server would take that off them'));
  return findings;
}

export function redisFindings(redis: RedisFacts): Finding[] {
  const { ok, warning, problem } = about('redis');
  return [
    ok(`${redis.version} at ${redis.host}`),
    redis.eviction ? problem(redis.eviction) : ok('nothing is evicted (maxmemory-policy noeviction)'),
    ...(redis.appends === false ? [warning('appendonly is off: a restart takes its results away, until they are made again', 'CONFIG SET appendonly yes')] : []),
    ...(redis.appends === true ? [ok('appendonly is on')] : []),
    ...inTheClear('redis', redis, 'Set SLUICE_REDIS_URL=rediss://…'),
  ];
}

export function clickhouseFindings(clickhouse: ClickhouseFacts): Finding[] {
  const { ok, wrong } = about('clickhouse');
  const [major, minor] = clickhouse.version.split('.').map(Number) as [number, number];
  const isOld = major < leastClickhouse[0] || (major === leastClickhouse[0] && minor < leastClickhouse[1]);
  return [
    isOld ? wrong(`ClickHouse ${clickhouse.version} is too old: Sluice needs ${leastClickhouse.join('.')} or newer.`, `install ClickHouse ${leastClickhouse.join('.')} or newer there`) : ok(`ClickHouse ${clickhouse.version} at ${clickhouse.host}`),
    ...inTheClear('clickhouse', clickhouse, 'Set SLUICE_CLICKHOUSE_URL=https://…'),
  ];
}

export function temporalFindings(temporal: TemporalFacts): Finding[] {
  const { ok, wrong } = about('temporal');
  const at = `--address ${temporal.address}`;
  const findings = [ok(`Temporal ${temporal.version} at ${temporal.address}`)];
  if (!temporal.hasNamespace) findings.push(wrong(`There is no namespace ${temporal.namespace}.`, `temporal operator namespace create --namespace ${temporal.namespace} ${at}`));
  else findings.push(ok(`namespace ${temporal.namespace}`));
  const missing = temporal.hasNamespace ? temporal.missingAttributes : [];
  if (missing === undefined) findings.push(ok('it does not say which search attributes it has, as Temporal Cloud does not'));
  else if (missing.length > 0) {
    const options = missing.map(({ name, type }) => `--name ${name} --type ${type}`).join(' ');
    findings.push(wrong(`Namespace ${temporal.namespace} lacks the search attributes ${missing.map(({ name }) => name).join(', ')}: without them no workflow can start.`, `temporal operator search-attribute create ${options} --namespace ${temporal.namespace} ${at}`));
  } else if (temporal.hasNamespace) findings.push(ok('search attributes are there'));
  return [...findings, ...inTheClear('temporal', temporal, 'Set TEMPORAL_TLS=true')];
}

export function spoolFindings({ directory, freeBytes, usedBytes, budgetBytes, spareBytes }: SpoolFacts): Finding[] {
  const { ok, warning, wrong } = about('spool');
  const disk = `the disk of ${directory} has ${bytesText(freeBytes)} free`;
  const has = `the spool has ${bytesText(usedBytes)} and may have ${bytesText(budgetBytes)} (spoolBudget)`;
  if (freeBytes <= spareBytes) return [wrong(`${disk}, and ${bytesText(spareBytes)} are left free: nothing more can be spooled.`, `du -sh ${directory}; and make room on that disk`)];
  if (usedBytes + freeBytes - spareBytes < budgetBytes) return [warning(`${disk}, and ${has}: it gets no more than there is, and what has no room stays in the source`, `df -h ${directory}; and make room, or set settings.spoolBudget lower in the definition`)];
  return [ok(`${disk}, and ${has}`)];
}

export function isWell(findings: readonly Finding[]): boolean {
  return findings.every(({ state }) => state !== 'wrong');
}

/** A line for each finding, and below what is not ok the line to type. */
export function doctorText(findings: readonly Finding[]): string {
  const width = (cells: readonly string[]) => Math.max(...cells.map((cell) => cell.length));
  const services = width(findings.map(({ service }) => service));
  const pipelines = width(findings.map(({ pipeline }) => pipeline ?? ''));
  const lines = findings.flatMap(({ service, pipeline, state, found, mend }) => {
    const head = [state.padEnd(7), service.padEnd(services), ...(pipelines === 0 ? [] : [(pipeline ?? '').padEnd(pipelines)])].join('  ');
    return [`${head}  ${found}`, ...(mend === null ? [] : [`${' '.repeat(head.length)}  mend: ${mend}`])];
  });
  const count = (state: Finding['state']) => findings.filter((finding) => finding.state === state).length;
  const warnings = count('warning');
  return [...lines, '', `${count('wrong')} wrong, ${warnings} ${warnings === 1 ? 'warning' : 'warnings'}, ${count('ok')} ok`].join('\n');
}

function serverFindings(service: 'source' | 'state', server: ServerFacts, variable: string): Finding[] {
  const { ok, wrong } = about(service);
  return [
    ok(`PostgreSQL ${server.version} at ${server.host || 'a socket of this machine'}`),
    ...(server.isReplica ? [wrong('It is a standby: it follows another server and takes no writes.', `Set ${variable} to the primary`)] : []),
    ...inTheClear(service, server, `Set ${variable}=postgres://…?sslmode=verify-full`),
  ];
}

/** `needed`: by pipelines that have none now. verify and backfill need one more for a moment. */
function roomFinding(what: string, setting: string, { max, used }: Room, needed: number): Finding {
  const { ok, warning, wrong } = about('source');
  const free = Math.max(0, max - used);
  const sentence = `${free} of ${max} ${what} are free`;
  const mend = `ALTER SYSTEM SET ${setting} = ${Math.max(20, used + needed + 4)}; then restart that server.`;
  if (free < needed) return wrong(`${sentence}, and ${needed === 1 ? 'a pipeline needs one' : `${needed} pipelines need one each`}`, mend);
  if (free < needed + 1) return warning(`${sentence}: none is left for verify and backfill, which need one for a moment`, mend);
  return ok(sentence);
}

function tableFindings({ name, role }: PipelineFacts, table: TableFacts): Finding[] {
  const { ok, warning, wrong, problem } = about('source', name);
  const { relation } = table;
  const findings = table.problems.map(problem);
  if (!table.isThere) return findings;
  const schema = relation.slice(0, relation.indexOf('.'));
  if (!table.mayUseSchema) findings.push(wrong(`role ${role} may not use the schema of table ${relation}`, `GRANT USAGE ON SCHEMA ${sqlIdentifier(schema)} TO ${sqlIdentifier(role)};`));
  if (!table.maySelect) findings.push(wrong(`role ${role} may not read table ${relation}, which loads, backfills and verify do`, `GRANT SELECT ON ${sqlRelation(relation)} TO ${sqlIdentifier(role)};`));
  if (table.otherColumns.length > 0) {
    findings.push(warning(`${table.otherColumns.join(', ')} of table ${relation} is declared as other(): the whole stream of the pipeline is sent as text, which costs more to read`, `leave it out of pipelines/${name}.ts, if nothing needs it`));
  }
  if (table.unindexedTime !== undefined) {
    // PostgreSQL makes no index of a partitioned table CONCURRENTLY
    const concurrently = table.isPartitioned ? '' : 'CONCURRENTLY ';
    findings.push(warning(`table ${relation} has no index that begins with its event time ${table.unindexedTime}: each chunk of a backfill reads all of it`, `CREATE INDEX ${concurrently}ON ${sqlRelation(relation)} (${sqlIdentifier(table.unindexedTime)});`));
  }
  return findings.some(({ state }) => state === 'wrong') ? findings : [ok(`table ${relation} is as declared`), ...findings];
}

/** What the first load needs in order to make the publication. */
function missingRights({ name, role, database, names, tables, mayCreatePublication, publicationOwner }: PipelineFacts): Finding[] {
  const { wrong } = about('source', name);
  const us = sqlIdentifier(role);
  const publication = sqlIdentifier(names.publication);
  const notOurs = tables.filter(({ isThere, isOwned }) => isThere && !isOwned);
  return [
    ...(mayCreatePublication || publicationOwner ? [] : [wrong(`role ${role} may not make the publication ${names.publication}`, `GRANT CREATE ON DATABASE ${sqlIdentifier(database)} TO ${us};`)]),
    ...(publicationOwner && !publicationOwner.isUs ? [wrong(`the publication ${names.publication} belongs to another role, and role ${role} must set it up`, `ALTER PUBLICATION ${publication} OWNER TO ${us};`)] : []),
    ...notOurs.map(({ relation, owner }) => wrong(`table ${relation} belongs to ${owner}, and only its owner may publish it: role ${role} is to make the publication ${names.publication}`, `GRANT ${sqlIdentifier(owner)} TO ${us};`)),
  ];
}

function inTheClear(service: Service, { host, isEncrypted }: Reached, mend: string): Finding[] {
  if (isEncrypted || isLocal(host)) return [];
  return [about(service).warning(`the connection to ${host} is not encrypted: passwords and rows are in the clear`, mend)];
}

/** `host` may have a port. */
export function isLocal(host: string): boolean {
  return host === '' || /^(localhost|127(\.\d+){3}|\[?::1\]?|::1)(:\d+)?$/i.test(host);
}

function about(service: Service, pipeline: string | null = null) {
  const finding = (state: Finding['state'], found: string, mend: string | null): Finding => ({ service, pipeline, state, found, mend });
  return {
    ok: (found: string) => finding('ok', found, null),
    warning: (found: string, mend: string) => finding('warning', found, mend),
    wrong: (found: string, mend: string) => finding('wrong', found, mend),
    problem: ({ what, mend }: Problem) => finding('wrong', what, mend ?? null),
  };
}
