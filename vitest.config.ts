import { defineConfig } from 'vitest/config';

const needsServices = '**/*.{pg,redis,clickhouse,temporal}.test.ts';
const exclude = ['**/node_modules/**', '.sluice/**', 'web/dist/**'];

/** `./sluice test --full`: minutes that not every run needs. */
const isFull = process.env['SLUICE_FULL'] === '1';

/** Tests of the whole product, whose programs they start. */
const product = ['test/{faults,full,lifecycle,main-job,migration,redefine}/**/*.test.ts'];
const services = { globalSetup: 'test/embedded/setup.ts', testTimeout: 60_000, hookTimeout: 60_000 };

/** `simulation` and `unit` run alone; `integration` and `product` have an instance of the real services each (test/embedded/setup.ts). */
export default defineConfig({
  test: {
    // one file at a time: the services and the product that they test want the other core
    maxWorkers: 1,
    projects: [
      {
        test: {
          name: 'simulation',
          include: ['test/simulation/*.test.ts'],
          exclude,
          maxConcurrency: 2,
        },
      },
      {
        test: {
          name: 'unit',
          include: ['**/*.test.{ts,tsx}'],
          exclude: [...exclude, needsServices, 'test/!(arrows|rules).test.ts', 'test/*/**'],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/**/*.test.ts', needsServices],
          exclude: [...exclude, 'test/{arrows,rules}.test.ts', 'test/simulation/**', ...product],
          ...services,
        },
      },
      {
        test: {
          name: 'product',
          include: product,
          exclude: [...exclude, ...(isFull ? [] : ['test/full/**'])],
          ...services,
        },
      },
    ],
  },
});
