/** Failure types that activities and workflows agree on. No retry mends these. */
export const configurationFailure = 'ConfigurationError';
export const bugFailure = 'Bug';
