import type { PipelineStatus } from '../status.ts';
import type { Results } from './board.ts';
import type { Mailbox } from './mailbox.ts';
import { Poller } from './poller.ts';

type Read = {
  readonly statuses: () => Promise<readonly PipelineStatus[]>;
  readonly results: (pipeline: string) => Promise<Results>;
};

const statusEveryMs = 1_000;
const resultsEveryMs = 500;

/** Who follows which pipeline live. Everything is read once, however many follow, and only while somebody does. */
export class LiveFeeds {
  readonly #members = new Set<Mailbox>();
  readonly #statuses: Poller<ReadonlyMap<string, string>>;
  readonly #results: ReadonlyMap<string, Poller<string>>;

  constructor(pipelines: readonly string[], { statuses, results }: Read) {
    this.#statuses = new Poller<ReadonlyMap<string, string>>(
      async () => new Map((await statuses()).map((each) => [each.name, JSON.stringify(each)])),
      statusEveryMs,
    );
    this.#results = new Map(
      pipelines.map((name) => [name, new Poller(async () => JSON.stringify(await results(name)), resultsEveryMs)]),
    );
  }

  get clients(): number {
    return this.#members.size;
  }

  /** Returns how to leave. */
  join(pipeline: string, mailbox: Mailbox): () => void {
    this.#members.add(mailbox);
    const stopStatus = this.#statuses.subscribe((all) => {
      const data = all.get(pipeline);
      if (data !== undefined) mailbox.put('status', data);
    });
    const stopResults = this.#results.get(pipeline)!.subscribe((data) => mailbox.put('results', data));
    return () => {
      stopStatus();
      stopResults();
      this.#members.delete(mailbox);
    };
  }

  close(): void {
    for (const mailbox of this.#members) mailbox.close();
  }
}
