import { isPosition, lsnText, parsePosition } from '../core/position.ts';
import type { PipelineStatus } from '../infra/supervisor/pipelines.ts';
import type { Health } from '../infra/supervisor/probe.ts';
import { columns } from './columns.ts';
import { duration } from './duration.ts';

/** Without a health: where it is is not known. */
export type ServiceStatus = { readonly url: string | null; readonly pid: number | null; readonly health: Health | null };
export type Services = Readonly<Record<string, ServiceStatus>>;
type LaneStatus = PipelineStatus['lanes'][number];

export function servicesText(services: Services): string[] {
  const rows = Object.entries(services).map(([name, { url, pid, health }]) => {
    const word = health === null ? 'unknown' : health.tag === 'down' ? 'DOWN' : health.tag;
    const why = health === null || health.tag === 'healthy' ? '' : health.why;
    return [name, word, String(pid ?? '-'), url === null ? '-' : withoutPassword(url), why];
  });
  return columns([['SERVICE', 'STATE', 'PID', 'ADDRESS', ''], ...rows]);
}

export function pipelineText({ name, state, reason, eventsPerSecond, watermark, capture, lanes, slot, reconciled, notes, workflowUrl }: PipelineStatus, nowMs: number): string[] {
  const parts = [...(capture ? [capture] : []), ...lanes];
  return [
    `${name}: ${state}, ${eventsPerSecond} events/s${watermark === null ? '' : `, watermark ${watermark} (${duration(Math.max(0, nowMs - Date.parse(watermark)))} ago)`}`,
    ...(reason === null ? [] : [`  ${reason}`]),
    ...(parts.length === 0 ? [] : columns([['PART', 'KIND', 'STATE', 'BEHIND', 'EVENTS/S', 'APPLIED UP TO'], ...parts.map(cells)])).map((line) => `  ${line}`),
    ...parts.flatMap((part) => remarks(name, part, reason)),
    ...(slot === null ? [] : [`  ${slot.alarm === 'none' ? '' : `${slot.alarm.toUpperCase()}: `}${slot.sentence}`]),
    ...(reconciled === null ? [] : [`  ${reconciled.state === 'different' ? 'DIFFERENT: ' : ''}reconciled ${duration(Math.max(0, nowMs - Date.parse(reconciled.ended)))} ago: ${reconciled.sentence}`]),
    ...notes.filter(isOfDefinition).map((note) => `  ${note}`),
    ...(workflowUrl === null ? [] : [`  run: ${workflowUrl}`]),
  ];
}

/** That it has changed in pipelines/, or is still being taken over: other notes are of what is over. */
function isOfDefinition(note: string): boolean {
  return /^(pipelines\/ has another definition|redefinition \d+ is not complete|Lane \S+ was detached)/.test(note);
}

function cells({ name, kind, state, lagMs, eventsPerSecond, fence }: LaneStatus): string[] {
  return [name, kind, state, lagMs === null ? '-' : duration(lagMs), String(eventsPerSecond), fence === null ? '-' : applied(fence)];
}

/** `told`: what the pipeline is parked for, which is what its capture is parked for. */
function remarks(pipeline: string, { name, deadLetters, error }: LaneStatus, told: string | null): string[] {
  return [
    ...(deadLetters === 0 ? [] : [`  ${name}: ${deadLetters === 1 ? '1 dead letter waits' : `${deadLetters} dead letters wait`}, see ./sluice dlq list ${pipeline} --lane ${name}`]),
    ...(error === null || error === told ? [] : [`  ${name}: ${error}`]),
  ];
}

/** A lane of the stream is at a place in the source's WAL, as PostgreSQL writes it; a relay counts results. `--json` has the whole position. */
function applied(fence: string): string {
  if (!isPosition(fence)) return `window result ${fence}`;
  const { lsn } = parsePosition(fence);
  return lsn === 0n ? 'the beginning' : `WAL ${lsnText(lsn)}`;
}

/** Whoever looks over a shoulder needs no password; `--json` has the whole URL. */
function withoutPassword(url: string): string {
  if (!URL.canParse(url) || !url.includes('://')) return url;
  const shown = new URL(url);
  shown.password = '';
  return shown.href.replace(/\/$/, '');
}
