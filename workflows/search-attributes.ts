import { defineSearchAttributeKey } from '@temporalio/common';

/** By what runs are found in the Web UI; `sluice up` registers them. An upsert costs an event: state on change only. */
export const pipelineAttribute = defineSearchAttributeKey('SluicePipeline', 'KEYWORD');
export const kindAttribute = defineSearchAttributeKey('SluiceKind', 'KEYWORD');
export const stateAttribute = defineSearchAttributeKey('SluiceState', 'KEYWORD');
