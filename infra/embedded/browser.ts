import { existsSync } from 'node:fs';
import { onPath, run } from './parts.ts';

/**
 * A Chromium for the browser tests in a folder, if there are any: the one in SLUICE_BROWSER, one on PATH, or, for root on
 * Debian, the one of apt. Returns the variables the tests read; without one they fail and say what to type.
 */
export async function browserFor(tests: string, report: (line: string) => void): Promise<Record<string, string>> {
  if (!existsSync(tests) || process.env['SLUICE_BROWSER']) return {};
  const present = await installed();
  if (present) return { SLUICE_BROWSER: present };
  if (process.getuid?.() !== 0 || !(await onPath('apt-get'))) {
    report('Chromium is missing. To have it: apt-get install chromium (as root), or SLUICE_BROWSER=/path/to/chromium');
    return {};
  }
  report('fetching Chromium by apt-get; this is done once');
  const startedAt = performance.now();
  const parts = { signal: AbortSignal.timeout(300_000) };
  try {
    await run(parts, 'apt-get', ['update', '--quiet']);
    await run(parts, 'apt-get', ['install', '--quiet', '--yes', '--no-install-recommends', 'chromium']);
    report(`fetched Chromium in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
  } catch (error) {
    report(`Chromium could not be installed: ${(error as Error).message}`);
  }
  const fetched = await installed();
  return fetched ? { SLUICE_BROWSER: fetched } : {};
}

function installed(): Promise<string | undefined> {
  return onPath('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable');
}
