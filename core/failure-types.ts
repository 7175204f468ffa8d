/** Types of failures that activities end with and workflows tell apart; no retry mends them. */
export const configurationFailure = 'ConfigurationError';
export const bugFailure = 'Bug';
