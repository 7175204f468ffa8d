import type { PartStatus, WorkflowStatus } from './messages.ts';

/** The page that the Web UI shows for a run. Headings, bullets and fenced blocks: it renders no tables (E27). */
export function detailsPage(status: WorkflowStatus): string {
  const { capture, lanes } = status;
  const troubled = [capture, ...lanes].filter(({ error }) => error !== null);
  return [
    `# ${escaped(status.name)}: ${status.state}`,
    ...sentences(status),
    '',
    '## Capture',
    `- ${partLine(capture)}`,
    '',
    '## Lanes',
    ...lanes.map((lane) => `- ${partLine(lane)}`),
    '',
    '## Fences',
    '```',
    ...[capture, ...lanes].map(({ name, fence }) => `${name.padEnd(16)} ${fence ?? 'not known yet'}`),
    '```',
    ...(status.notes.length > 0 ? ['', '## Notes', ...status.notes.map((note) => `- ${escaped(note)}`)] : []),
    '',
    '## What to do next',
    '```',
    ...(troubled.length > 0 ? troubled.map(({ name, state }) => (state === 'migrating' ? `sluice migrations ${status.name}` : `sluice resume ${status.name} --lane ${name}`)) : []),
    ...(lanes.some(({ last }) => last?.deadLetters) ? [`sluice dlq list ${status.name}`] : []),
    status.state === 'paused' || status.state === 'parked' ? `sluice resume ${status.name}` : `sluice pause ${status.name}`,
    '```',
  ].join('\n');
}

function sentences({ state, error, capture }: WorkflowStatus): string[] {
  if (error !== null) return [escaped(error)];
  switch (state) {
    case 'loading':
      return ['The tables are being read for the first time; streaming begins exactly where this ends.'];
    case 'draining':
      return ['Its steps are coming to their end.'];
    case 'paused':
      return [
        capture.state === 'running'
          ? 'Nothing is written. The replication slot had kept too much, so the capture goes on into the spool.'
          : 'Nothing is read or written. What the source writes waits in its replication slot.',
      ];
    case 'running':
    case 'parked':
      return [];
  }
}

function partLine({ name, kind, state, last, error }: PartStatus): string {
  const label = name === kind ? `**${escaped(name)}**` : `**${escaped(name)}** (${kind})`;
  const did = last ? `, last step: events ${last.events}, segments ${last.segments}` : '';
  const windows = last?.windowsClosed ? `, windows closed ${last.windowsClosed}` : '';
  const late = last?.late ? `, late ${last.late}` : '';
  const retracted = last?.retracted ? `, panes that lost a min or max ${last.retracted}` : '';
  const letters = last?.deadLetters ? `, dead letters ${last.deadLetters}` : '';
  const watermark = last?.watermark ? `, watermark ${last.watermark}` : '';
  return `${label} ${state}${did}${windows}${late}${retracted}${letters}${watermark}${error === null ? '' : `: ${escaped(error)}`}`;
}

/** Names and errors are text, not Markdown. */
function escaped(text: string): string {
  return text.replace(/[\\`*_{}[\]<>#|~]/g, '\\$&').replaceAll('\n', ' ');
}
