import type { Pipeline, SinkDefinition, Text } from '../pipeline.ts';

/** Puts the environment's values in the place of env(...) placeholders. Throws MissingVariable. */
export function resolve(pipeline: Pipeline<Text>, environment: Readonly<Record<string, string | undefined>>): Pipeline {
  const sinks = Object.entries(pipeline.sinks).map(([name, sink]) => {
    const text = (value: Text) => textOf(value, environment, `the sink ${name} of pipeline ${pipeline.name}`);
    return [name, resolveSink(sink, text)] as const;
  });
  return { ...pipeline, sinks: Object.fromEntries(sinks) };
}

export class MissingVariable extends Error {
  override readonly name = 'MissingVariable';
  constructor(variable: string, user: string) {
    super(
      `${variable} is not set, and ${user} needs it. Set it in the environment, or let ./sluice up start everything by itself.`,
    );
  }
}

function resolveSink(sink: SinkDefinition<Text>, text: (value: Text) => string): SinkDefinition {
  switch (sink.kind) {
    case 'redis-live':
    case 'redis-results':
      return { ...sink, key: text(sink.key) };
    case 'http':
      return { ...sink, url: text(sink.url), secret: text(sink.secret) };
    case 'clickhouse':
    case 'postgres-results':
      return sink;
  }
}

/** An empty variable counts as absent. */
function textOf(value: Text, environment: Readonly<Record<string, string | undefined>>, user: string): string {
  if (typeof value === 'string') return value;
  const found = environment[value.env] || value.byDefault;
  if (found === undefined) throw new MissingVariable(value.env, user);
  return found;
}
