/** Flags and arguments that mean the same in every command that has them. Each can be given by environment too, as GPU_RUN_<FLAG>. */
import { Args, Flags } from '@oclif/core';
import type { FlagValues } from '../config/load.ts';

/** On or off. */
export function toggle(name: string, description: string, more: { readonly char?: 'f'; readonly group?: string } = {}) {
  const { char, group } = more;
  return Flags.boolean({ description, env: variableOf(name), ...(char === undefined ? {} : { char }), ...(group === undefined ? {} : { helpGroup: group }) });
}

/** A value that the command itself reads. */
export function option(name: string, description: string, helpValue: string) {
  return Flags.string({ description, helpValue, env: variableOf(name) });
}

/** A value that becomes a setting: its variable is read with the rest of the settings, so that a mistake in it is reported under its own name. */
function setting(name: string, description: string, helpValue: string) {
  return Flags.string({ description: `[env: ${variableOf(name)}] ${description}`, helpValue });
}

export function variableOf(name: string): string {
  return `GPU_RUN_${name.replaceAll('-', '_').toUpperCase()}`;
}

const everywhere = { group: 'GLOBAL' };

/** Every command has these. */
export const globalFlags = {
  json: toggle('json', 'One JSON document on stdout as the last line; everything else goes to stderr', everywhere),
  quiet: toggle('quiet', 'No progress: results, warnings and errors only', everywhere),
  verbose: toggle('verbose', 'Errors with everything that led to them', everywhere),
  yes: toggle('yes', 'Answer yes to every question', everywhere),
};

/** Commands that show a job's log. */
export const logFlags = {
  timestamps: toggle('timestamps', 'Each line with the time at which it began, in UTC'),
  fold: Flags.boolean({
    description: 'Of a progress bar only the last state, and one every half minute; default: with CI set, where the output is neither a terminal nor a file',
    env: variableOf('fold'),
    allowNo: true,
  }),
};

/** Commands that read `gpu-run.yaml`. */
export const configFlags = { config: setting('config', 'The config to use instead of the gpu-run.yaml of this folder or of one above it', 'FILE') };

/** Which machine. */
export const machineFlags = {
  ...configFlags,
  provider: setting('provider', 'Where the machine comes from; several with commas are tried in order', 'P'),
  template: setting('template', 'Recipe for the machine; `gpu-run templates` lists them', 'T'),
  gpu: setting('gpu', 'GPU and how many of it', 'L4:1'),
  region: setting('region', 'Where the machine may be; several with commas', 'R'),
  spot: Flags.boolean({ description: '[env: GPU_RUN_SPOT] A cheaper machine that may be taken back at any time; --no-spot: never such a one', allowNo: true }),
  'public-ip': Flags.boolean({
    description: '[env: GPU_RUN_PUBLIC_IP] An address of its own for the machine; --no-public-ip: none, SSH goes through the tunnel of its provider',
    allowNo: true,
  }),
  nodes: setting('nodes', 'Machines under this one name', 'N'),
  'max-time': setting('max-time', 'The machine ends after this, whatever happens', '4h'),
  budget: setting('budget', 'US dollars that may be spent; they become a deadline', '5'),
  idle: setting('idle', 'The machine ends after this long without a job or a login; off: never', '15m'),
  stall: setting('stall', 'A job that writes nothing for this long while no GPU works is ended; off: never', '60m'),
};

/** What a job is given. */
export const jobFlags = {
  env: Flags.string({
    description: '[env: GPU_RUN_ENV] A variable for the job, as often as needed',
    helpValue: 'K=V',
    multiple: true,
    multipleNonGreedy: true,
  }),
  secret: Flags.string({
    description: '[env: GPU_RUN_SECRET] A variable whose value is taken from the environment of gpu-run and never written down',
    helpValue: 'NAME',
    multiple: true,
    multipleNonGreedy: true,
  }),
  split: Flags.boolean({ description: '[env: GPU_RUN_SPLIT] Keep stdout and stderr apart, at the price of their common order', allowNo: true }),
};

export const dryRunFlag = toggle('dry-run', 'Only show what would be done, and what it could cost at most');

export const nameArg = Args.string({ description: "The machine's name; left out: the one of this folder", ignoreStdin: true });
export const jobArg = Args.string({
  description: "The job's id, or its last part as in k3v9xq; left out: the newest job of this folder's machine",
  ignoreStdin: true,
});

/** As oclif gives them; each command has some of them. */
export interface ParsedSettings {
  readonly name?: string | undefined;
  readonly config?: string | undefined;
  readonly provider?: string | undefined;
  readonly template?: string | undefined;
  readonly gpu?: string | undefined;
  readonly region?: string | undefined;
  readonly spot?: boolean | undefined;
  readonly 'public-ip'?: boolean | undefined;
  readonly nodes?: string | undefined;
  readonly 'max-time'?: string | undefined;
  readonly budget?: string | undefined;
  readonly idle?: string | undefined;
  readonly stall?: string | undefined;
  readonly env?: string[] | undefined;
  readonly secret?: string[] | undefined;
  readonly split?: boolean | undefined;
}

export function flagValues({
  name,
  config,
  provider,
  template,
  gpu,
  region,
  spot,
  'public-ip': publicIp,
  nodes,
  'max-time': maxTime,
  budget,
  idle,
  stall,
  env,
  secret,
  split,
}: ParsedSettings): FlagValues {
  return { name, config, provider, template, gpu, region, spot, publicIp, nodes, maxTime, budget, idle, stall, env, secret, split } as FlagValues;
}
