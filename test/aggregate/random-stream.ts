import fc from 'fast-check';
import type { PlainEvent, PlainTransaction, TextRow } from '../../core/segment-builder.ts';
import { canary, second, transaction } from './world.ts';

/** A stream of transactions whose clock goes on, with events on time, late, of the future, and without a time. */
export const streams: fc.Arbitrary<readonly PlainTransaction[]> = fc.array(intentOfTransaction(), { minLength: 1, maxLength: 25 }).map(play);

type Intent = { readonly kind: 'insert' | 'update' | 'rekey' | 'delete' | 'truncate' | 'post' | 'unpost' | 'truncatePosts'; readonly slot: number; readonly k: string | null; readonly lag: number | 'infinity' | null; readonly points: string | null };

function intentOfTransaction() {
  const intent: fc.Arbitrary<Intent> = fc.record({
    kind: fc.oneof(
      { weight: 30, arbitrary: fc.constant('insert' as const) },
      { weight: 12, arbitrary: fc.constantFrom('update' as const, 'delete' as const, 'rekey' as const) },
      { weight: 6, arbitrary: fc.constantFrom('post' as const, 'unpost' as const) },
      { weight: 1, arbitrary: fc.constantFrom('truncate' as const, 'truncatePosts' as const) },
    ),
    slot: fc.nat(),
    k: fc.constantFrom('a', 'b', 'c', 'd', 'ü', '', 'a "quoted\\ {key},', '7 a', '\u{feff}a', null),
    lag: fc.oneof({ weight: 10, arbitrary: fc.integer({ min: 0, max: 4 }) }, { weight: 4, arbitrary: fc.integer({ min: 0, max: 60 }) }, { weight: 1, arbitrary: fc.constantFrom(-30, -90, 'infinity' as const, null) }),
    points: fc.constantFrom('0', '1', '2', '-3', '2147483647', null),
  });
  return fc.record({ pause: fc.oneof({ weight: 20, arbitrary: fc.integer({ min: 0, max: 12 }) }, { weight: 1, arbitrary: fc.constant(2_000) }), intents: fc.array(intent, { maxLength: 6 }) });
}

function play(intents: readonly { readonly pause: number; readonly intents: readonly Intent[] }[]): readonly PlainTransaction[] {
  const table = new Table();
  let now = 0;
  const transactions = intents.map(({ pause, intents: each }, index) => {
    now += pause;
    const events = each.flatMap((intent) => table.play(intent, now));
    return events.length === 0 ? canary(index + 1, now) : transaction(index + 1, now, events);
  });
  return transactions;
}

/** The rows that a stream leaves in the source. */
export function rowsLeftBy(transactions: readonly PlainTransaction[]): readonly TextRow[] {
  const rows = new Map<string, TextRow>();
  for (const event of transactions.flatMap(({ events }) => events)) {
    if (event.table !== undefined) continue;
    if (event.op === 'truncate') rows.clear();
    if ('old' in event) rows.delete(event.old.id!);
    if ('row' in event) rows.set(event.row.id!, event.row);
  }
  return [...rows.values()];
}

class Table {
  readonly #rows = new Map<string, TextRow>();
  readonly #posts = new Map<string, TextRow>();
  #next = 1;

  play({ kind, slot, k, lag, points }: Intent, now: number): PlainEvent[] {
    const row = (id: string): TextRow => ({ id, k, at: typeof lag === 'number' ? second(now - lag) : lag, points });
    const old = [...this.#rows.values()][slot % Math.max(1, this.#rows.size)];
    switch (kind) {
      case 'truncate':
        this.#rows.clear();
        return [{ op: 'truncate' }];
      case 'truncatePosts':
        this.#posts.clear();
        return [{ op: 'truncate', table: 'posts' }];
      case 'post':
        return this.#post(k ?? 'a', `title ${slot % 5}`);
      case 'unpost': {
        const post = this.#posts.get(k ?? 'a');
        return post && this.#posts.delete(post.id!) ? [{ op: 'delete', table: 'posts', old: post }] : [];
      }
      case 'delete':
        return old && this.#rows.delete(old.id!) ? [{ op: 'delete', old }] : [];
      case 'update':
      case 'rekey': {
        if (!old) return [];
        const updated = row(kind === 'update' ? old.id! : String(this.#next++));
        this.#rows.delete(old.id!);
        this.#rows.set(updated.id!, updated);
        return [{ op: 'update', old, row: updated }];
      }
      case 'insert': {
        const inserted = row(String(this.#next++));
        this.#rows.set(inserted.id!, inserted);
        return [{ op: 'insert', row: inserted }];
      }
    }
  }

  #post(id: string, title: string): PlainEvent[] {
    const old = this.#posts.get(id);
    const row = { id, title };
    this.#posts.set(id, row);
    return [old ? { op: 'update', table: 'posts', old, row } : { op: 'insert', table: 'posts', row }];
  }
}
