/** From settings to what the workflows take. Pure; used by the SDK and the command line alike. */
import type { Settings } from '../config/settings.ts';
import type { PushInput } from './push.ts';
import type { TrainInput } from './train.ts';
import type { UpInput } from './up-input.ts';

/** Between the first signal and SIGKILL when a job is stopped: time for a checkpoint. */
const defaultGraceMs = 30_000;

export function upInput(settings: Settings, forOneJob: boolean, unprotected = false): UpInput {
  const { name, providers, providersSaid, need, template, limits } = settings;
  return {
    name,
    providers,
    anyProvider: !providersSaid,
    need,
    template,
    forOneJob,
    maxTimeSeconds: limits.maxTimeSeconds,
    idleSeconds: limits.idleSeconds,
    stallSeconds: limits.stallSeconds,
    unprotected,
    budgetUsd: limits.budgetUsd,
  };
}

/** What of the machine's is a job's own: the outputs, and where it resumes from. */
export function pushInput(settings: Settings, sizeMeant: boolean): PushInput {
  const { name, sync, outputs, retry } = settings;
  return { name, sync, outputs: [...outputs, ...(retry.resumeFrom === null ? [] : [retry.resumeFrom])], sizeMeant, hosts: hostsOf(settings) };
}

/** Hosts of the user's own that are to be used. No other provider has to be loaded to see that it has none. */
export function hostsOf({ providers, need }: Settings): Readonly<Record<string, unknown>> {
  const { ssh } = need.providerOptions;
  return ssh === undefined || !providers.includes('ssh') ? {} : { ssh };
}

/** What a caller decides at each `train`, beside the settings. */
export type TrainChoices = Pick<TrainInput, 'command' | 'secrets' | 'detach' | 'teardown' | 'keepOnFailure' | 'stamped' | 'startFrom' | 'sizeMeant'> & {
  /** As `UpInput` has it. */
  readonly unprotected?: boolean;
};

export function trainInput(settings: Settings, { unprotected = false, ...choices }: TrainChoices): TrainInput {
  const { setup, env, sync, outputs, folder, metrics, log, retry, preemptSignal } = settings;
  return {
    ...choices,
    up: upInput(settings, true, unprotected),
    setup,
    env,
    sync,
    outputs,
    folder,
    metrics,
    graceMs: defaultGraceMs,
    splitLog: log.split,
    logLimitBytes: log.limitBytes,
    retry,
    preemptSignal,
  };
}
