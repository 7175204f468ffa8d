/**
 * Runs a task for each item at once. When one fails, the others are told by their signal, and the failure is thrown
 * once all have ended: nothing goes on behind the caller's back.
 */
export async function together<T>(
  signal: AbortSignal,
  items: readonly T[],
  task: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const failures: unknown[] = [];
  await Promise.all(
    items.map((item) =>
      task(item, either).catch((error: unknown) => {
        failures.push(error);
        failed.abort(error);
      }),
    ),
  );
  signal.throwIfAborted();
  if (failures.length > 0) throw failures[0];
}
