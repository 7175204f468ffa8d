/** What each sink promises, and by what means; the invariants and rules are those of the tests' names. */
export type SinkPromise = { readonly sink: string; readonly promised: string; readonly means: string };

export const promises: readonly SinkPromise[] = [
  {
    sink: 'Panes, windows, outbox (state database)',
    promised: 'Every change counts exactly once. The same stream gives the same windows, revisions and late output, whatever crashes and however it is cut.',
    means: 'One transaction moves panes, clock, results and fence, by compare-and-set on the fence (I2, I3, I6).',
  },
  {
    sink: 'Results table (Postgres)',
    promised: 'Each window stands there once, with its newest revision.',
    means: 'A relay reads the outbox in order; rows and fence are one transaction (I3).',
  },
  {
    sink: 'Leaderboard and live structure (Redis)',
    promised: 'Exact at their fence at any moment. What Redis loses is made again.',
    means: 'One script compares the fence, applies and sets it; a fence without its structures counts as lost, and they are rebuilt from the panes (I3, I4, E11).',
  },
  {
    sink: 'Enriched rows (ClickHouse)',
    promised: 'One live row a key, the newest, read with FINAL. Repeating changes nothing.',
    means: 'Rows and tombstones have their position as version; the fence row is written after them, so it may lag and never leads (E8, E10).',
  },
  {
    sink: 'HTTP receiver',
    promised: 'At least once, in messages with stable ids; folded by key to the greatest position, each row once.',
    means: 'The range is recorded before it is sent, and a retry sends exactly it (E12).',
  },
  {
    sink: 'Source',
    promised: 'Nothing is confirmed that is not in every sink or in a durable spool; a sick sink does not make its WAL grow beyond maxSlotLag; its shutdown does not wait for us.',
    means: 'The smallest fence is confirmed, beyond maxSlotLag the spool; on record first (I1, E6, E7).',
  },
];
