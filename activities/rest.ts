import type { Context } from '@temporalio/activity';

/** Sleeps. A worker that is to end meanwhile leaves the rest to the next attempt: the server takes no cancellation that it has not asked for. */
export async function rest(context: Context, ms: number): Promise<void> {
  try {
    await context.sleep(ms);
  } catch (error) {
    throw context.cancellationDetails?.cancelRequested ? error : new Error('its worker is to end; the next attempt goes on');
  }
}
