import { defineSearchAttributeKey, type SearchAttributePair } from '@temporalio/common';
import { startValues } from '../core/workflow-names.ts';

/** By what runs are found in the Web UI; the client registers it. An upsert costs an event: on change only. */
export const stateAttribute = defineSearchAttributeKey('SluiceState', 'KEYWORD');

/** A child has none of its parent's. */
export function childAttributes(pipeline: string, kind: string, state = 'running'): SearchAttributePair[] {
  return Object.entries(startValues(pipeline, kind, state)).map(([name, value]) => ({ key: defineSearchAttributeKey(name, 'KEYWORD'), value }));
}
