/** Compute Engine as this provider asks it: Google's client library, behind the seam. */
import type { Clock } from '../../../core/clock.ts';
import type { GceApi } from '../gce-api.ts';
import { createGceCalls } from './calls.ts';
import { accountOf, type Environment, projectOf, readCredentialsFile } from './credentials-file.ts';
import { endpointVariable, originOf } from './endpoint.ts';
import { createAgents } from './proxy.ts';
import type { CallLimits } from './repeat-call.ts';
import { createSeam } from './seam.ts';
import { createTokens } from './tokens.ts';

export interface GceApiOptions {
  /** From the config; null: what the environment or the credentials say. */
  readonly project: string | null;
  /** From the config, absolute; null: Application Default Credentials. */
  readonly credentialsFile: string | null;
  /** The caller's environment: nothing here reads another. */
  readonly env: Environment;
  readonly platform: NodeJS.Platform;
  readonly clock: Clock;
  /** For --verbose: method, URL, status and milliseconds of each request; never headers or bodies. */
  readonly log?: (line: string) => void;
  /** Default: 30 s a try, 60 s a call with all its tries. Waiting for an operation: 130 s, as the API holds it for up to 120 s. */
  readonly limits?: CallLimits;
  readonly waitLimits?: CallLimits;
  /** From 0 to 1; default `Math.random`. */
  readonly random?: () => number;
}

const usualLimits: CallLimits = { tryMs: 30_000, callMs: 60_000 };
const usualWaitLimits: CallLimits = { tryMs: 130_000, callMs: 130_000 };

/**
 * Reads the credentials and the environment; no request is made, and Google's client library is not loaded before the first call.
 * @throws GpuRunError `not-allowed` (credentials), `bad-input` (project, endpoint, proxy)
 */
export async function createGceApi(options: GceApiOptions): Promise<GceApi> {
  const { env, clock } = options;
  const origin = originOf('compute', env[endpointVariable]);
  const reread = () => readCredentialsFile(options.credentialsFile, env, options.platform);
  const file = reread();
  const project = projectOf(options.project, env, file);
  const agent = createAgents(env);
  const tokens = await createTokens(file, { env, agent, reread });
  const limits = options.limits ?? usualLimits;
  const random = options.random ?? Math.random;
  const ask = createSeam({ tokens, origin, agent, clock, limits, log: options.log ?? (() => {}), random });
  return createGceCalls({ project, account: accountOf(file), ask, tokens, clock, limits, waitLimits: options.waitLimits ?? usualWaitLimits, random });
}
