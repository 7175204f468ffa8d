import { defineSearchAttributeKey, type SearchAttributePair } from '@temporalio/common';

/** By what runs are found in the Web UI; the client registers it. An upsert costs an event: on change only. */
export const stateAttribute = defineSearchAttributeKey('SluiceState', 'KEYWORD');

/** What a workflow of ours is found by from its start on. */
export function startAttributes(pipeline: string, kind: string, state: string): SearchAttributePair[] {
  const values = { SluicePipeline: pipeline, SluiceKind: kind, SluiceState: state };
  return Object.entries(values).map(([name, value]) => ({ key: defineSearchAttributeKey(name, 'KEYWORD'), value }));
}
