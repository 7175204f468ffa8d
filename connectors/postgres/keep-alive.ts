/** A server that is gone without a word is noticed within half a minute by whoever waits for its answer: the first probe comes after 10 s. */
export const keptAlive = { keepAlive: true, keepAliveInitialDelayMillis: 10_000 } as const;
