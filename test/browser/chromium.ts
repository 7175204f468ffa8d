import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium, type Browser } from 'playwright-core';

/** A real Chromium: SLUICE_BROWSER, else one on PATH. Throws with what to type. */
export async function launchChromium(): Promise<Browser> {
  const executablePath = process.env['SLUICE_BROWSER'] || onPath();
  if (!executablePath || !existsSync(executablePath)) {
    throw new Error(
      `The browser tests need a Chromium, and there is none at ${executablePath || 'SLUICE_BROWSER or on PATH'}. ` +
        'Type: apt-get update && apt-get install chromium (as root), or set SLUICE_BROWSER=/path/to/chromium.',
    );
  }
  return chromium.launch({ executablePath, args });
}

const args = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

function onPath(): string | undefined {
  const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
  const candidates = (process.env['PATH'] ?? '')
    .split(delimiter)
    .flatMap((folder) => names.map((name) => join(folder, name)));
  return candidates.find((candidate) => existsSync(candidate));
}
