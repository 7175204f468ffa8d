import { Redis, ReplyError } from 'ioredis';
import { ConfigurationError } from '../sink.ts';
import { TransientError, isNetworkError } from '../transient-error.ts';

/** A connection that fails calls while the server is away, instead of keeping them: lanes repeat them from the fence. */
export function connectRedis(url: string): Redis {
  const redis = new Redis(url, {
    connectTimeout: 5_000,
    commandTimeout: 60_000,
    // Any more, and a call that was under way waits out its timeout when something accepts connections for a server that
    // is not there (a proxy, a load balancer): the client forgets such calls at the next connection's beginning.
    maxRetriesPerRequest: 0,
    retryStrategy: (attempt) => Math.min(attempt * 50, 1_000),
    // After a failover the old master is a replica: another connection finds the new one.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
  });
  redis.on('error', () => {}); // the calls say it
  return redis;
}

const configuration: Readonly<Record<string, string>> = {
  NOAUTH: 'Set SLUICE_REDIS_URL=redis://user:password@host:6379',
  WRONGPASS: 'Set SLUICE_REDIS_URL=redis://user:password@host:6379',
  NOPERM: 'Its user needs the commands EVALSHA, EVAL, INFO and SCAN, and the keys named here.',
  WRONGTYPE: 'The key is in use by somebody else. Choose another key in the definition, or DEL it.',
};

/** OOM: memory is full and nothing may be evicted; it goes on when there is room. */
const transient = ['LOADING', 'READONLY', 'CLUSTERDOWN', 'TRYAGAIN', 'MASTERDOWN', 'BUSY', 'OOM', 'MISCONF'];

/** Runs `work` and throws what the lane understands; an error that is in neither list is passed on as it is. */
export async function classified<T>(key: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw classify(key, error);
  }
}

function classify(key: string, error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof TransientError) return error;
  const lostConnection = error.name === 'MaxRetriesPerRequestError';
  // its own message is about options of the client
  const sentence = `Redis, key ${key}: ${lostConnection ? 'it cannot be reached, or the connection to it broke (SLUICE_REDIS_URL)' : error.message}`;
  if (error instanceof ReplyError) {
    // A script's error begins with its own words: 'ERR Error running script ... WRONGTYPE ...'
    const code = Object.keys(configuration).find((each) => error.message.includes(each));
    if (code !== undefined) return new ConfigurationError(`${sentence}. ${configuration[code]}`, { cause: error });
    if (transient.some((each) => error.message.startsWith(each) || error.message.includes(`-${each} `))) return new TransientError(sentence, { cause: error });
    return error;
  }
  const isAway = lostConnection || /Connection is closed|Command timed out|Stream isn't writeable/.test(error.message);
  return isAway || isNetworkError(error) ? new TransientError(sentence, { cause: error }) : error;
}

/** Eviction takes a structure and leaves its fence (E11). */
export async function demandNoEviction(redis: Redis): Promise<void> {
  const memory = await redis.info('memory');
  const policy = /^maxmemory_policy:(\S+)/m.exec(memory)?.[1];
  if (policy === undefined || policy === 'noeviction') return;
  throw new ConfigurationError(
    `Redis evicts keys when its memory is full (maxmemory-policy ${policy}), which would take results away unnoticed.`,
    { mend: { lead: 'Type: ', type: 'CONFIG SET maxmemory-policy noeviction' } },
  );
}
