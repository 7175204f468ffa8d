import { defineConfig } from 'vite';

/** `npx vite web` serves the page while one works on it, with the data of the API at SLUICE_API_PORT. */
const api = `http://127.0.0.1:${process.env['SLUICE_API_PORT'] ?? 7406}`;

export default defineConfig({
  root: import.meta.dirname,
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  // nothing is inlined: the API allows no data: scripts or styles
  build: { target: 'es2022', assetsInlineLimit: 0, modulePreload: { polyfill: false }, emptyOutDir: true },
  server: { proxy: { '/pipelines': api, '/session': api } },
});
