import { expect, test } from 'vitest';
import { explained } from './source.ts';

test.each([
  ['42P01', 'relation "content" does not exist', /^The tables of the sample pipelines are not in h:5432\/app: relation "content" does not exist\. \.\/sluice up makes them .* run infra\/demo\/source\.sql$/],
  ['42703', 'column "device" of relation "engagement_events" does not exist', /^A column of the sample pipelines' tables in h:5432\/app was renamed or dropped: column "device" of relation "engagement_events" does not exist\. .*: rename it back, or add it again\./],
  ['23502', 'null value', /^Writing to PostgreSQL at h:5432\/app failed: null value$/],
])('%s says what is not as the load needs it, and how to go on', (code, message, sentence) => {
  expect(explained(Object.assign(new Error(message), { code }), 'postgres://u:secret@h:5432/app').message).toMatch(sentence);
});
