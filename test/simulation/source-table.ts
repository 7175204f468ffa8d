import type { PlainEvent, TextRow } from '../../core/segment-builder.ts';
import type { ServerTable } from './pgoutput-writer.ts';
import type { Change } from './plan.ts';

export type TableName = 'events' | 'posts';
/** A column, by its name in rows. */
export type Renamed = { readonly table: TableName; readonly of: string };

const first = (name: string, typeOid: number) => ({ name, of: name, typeOid });
const firstForms: Readonly<Record<TableName, ServerTable>> = {
  events: { id: 1, name: 'events', columns: [first('id', 20), first('k', 25), first('at', 1184), first('points', 23)] },
  posts: { id: 2, name: 'posts', columns: [first('id', 25), first('title', 25)] },
};

/** The rows of the source as they are, and what a change of them is as an event. */
export class SourceTables {
  readonly #rows = new Map<string, TextRow>();
  readonly #posts = new Map<string, TextRow>();
  #forms: Readonly<Record<TableName, ServerTable>> = firstForms;
  #nextId = 1;
  /** How often the events were truncated: another file each time. */
  truncates = 0;

  get rows(): Iterable<TextRow> {
    return this.#rows.values();
  }

  get posts(): Iterable<TextRow> {
    return this.#posts.values();
  }

  /** As what is written now looks. */
  get forms(): Readonly<Record<TableName, ServerTable>> {
    return this.#forms;
  }

  /** Its rows stay as they are. */
  rename({ table, of }: Renamed): void {
    const form = this.#forms[table];
    const columns = form.columns.map((column) => (column.of === of ? { ...column, name: `${of}_${Number(column.name.slice(of.length + 1)) + 1}` } : column));
    this.#forms = { ...this.#forms, [table]: { ...form, columns } };
  }

  /** The source's servers fork: another one goes on with what this one has. */
  copy(): SourceTables {
    const copy = new SourceTables();
    for (const [id, row] of this.#rows) copy.#rows.set(id, row);
    for (const [id, row] of this.#posts) copy.#posts.set(id, row);
    copy.#nextId = this.#nextId;
    copy.#forms = this.#forms;
    copy.truncates = this.truncates;
    return copy;
  }

  change({ kind, slot, k, lagMs, points }: Change, nowMs: number): PlainEvent | undefined {
    const row = (id: string): TextRow => ({ id, k, at: timestamp(nowMs - lagMs), points });
    const old = [...this.#rows.values()][slot % Math.max(1, this.#rows.size)];
    switch (kind) {
      case 'insert': {
        const inserted = row(String(this.#nextId++));
        this.#rows.set(inserted.id!, inserted);
        return { op: 'insert', row: inserted };
      }
      case 'update':
      case 'rekey': {
        if (!old) return undefined;
        const updated = row(kind === 'update' ? old.id! : String(this.#nextId++));
        this.#rows.delete(old.id!);
        this.#rows.set(updated.id!, updated);
        return { op: 'update', old, row: updated };
      }
      case 'delete':
        return old && this.#rows.delete(old.id!) ? { op: 'delete', old } : undefined;
      case 'truncate':
        this.#rows.clear();
        this.truncates++;
        return { op: 'truncate' };
      case 'post': {
        const id = k ?? 'a';
        const before = this.#posts.get(id);
        const post = { id, title: `title ${slot % 7}` };
        this.#posts.set(id, post);
        return before ? { op: 'update', table: 'posts', old: before, row: post } : { op: 'insert', table: 'posts', row: post };
      }
      case 'unpost': {
        const post = this.#posts.get(k ?? 'a');
        return post && this.#posts.delete(post.id!) ? { op: 'delete', table: 'posts', old: post } : undefined;
      }
      case 'truncate posts':
        this.#posts.clear();
        return { op: 'truncate', table: 'posts' };
    }
  }
}

/** As Postgres writes it: no zeros at the end. */
function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().replace('T', ' ').replace(/\.?0*Z$/, '')}+00`;
}
