/** Flags, as typed or as set by `GPU_RUN_<FLAG>`, read into a layer of settings. */
import { parseDuration } from '../core/duration.ts';
import { GpuRunError } from '../core/errors.ts';
import { parseGpuNeed } from '../core/gpu-need.ts';
import { checkMachineName } from '../core/run-id.ts';
import { checkEnvName } from './env-name.ts';
import type { Layer } from './layer.ts';
import { parseBudget, parseIdle } from './limit-text.ts';
import { type Problem, textOf } from './problem.ts';
import { parseSwitch } from './switch.ts';

/** As typed; what is left out was not given. */
export interface FlagValues {
  readonly name?: string;
  /** Path of the config, relative to the current folder. */
  readonly config?: string;
  /** One, or several with commas between, tried in order. */
  readonly provider?: string;
  readonly template?: string;
  readonly gpu?: string;
  /** One, or several with commas between. */
  readonly region?: string;
  readonly spot?: boolean | string;
  readonly publicIp?: boolean | string;
  readonly nodes?: string;
  readonly maxTime?: string;
  readonly budget?: string;
  readonly idle?: string;
  readonly stall?: string;
  /** `NAME=VALUE` each. */
  readonly env?: readonly string[];
  /** Names. */
  readonly secret?: readonly string[];
  readonly split?: boolean | string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The flags that the environment gives. An empty variable is one that was not set. `GPU_RUN_ENV` holds one NAME=VALUE a line, `GPU_RUN_SECRET` names with commas between. */
export function flagsFromEnv(env: Environment): FlagValues {
  const one = (name: string) => env[`GPU_RUN_${name}`]?.trim() || undefined;
  return {
    name: one('NAME'),
    config: one('CONFIG'),
    provider: one('PROVIDER'),
    template: one('TEMPLATE'),
    gpu: one('GPU'),
    region: one('REGION'),
    spot: one('SPOT'),
    publicIp: one('PUBLIC_IP'),
    nodes: env['GPU_RUN_JOB'] === undefined ? one('NODES') : undefined, // a job is told under this name how many nodes it has
    maxTime: one('MAX_TIME'),
    budget: one('BUDGET'),
    idle: one('IDLE'),
    stall: one('STALL'),
    env: one('ENV')?.split('\n'),
    secret: one('SECRET')?.split(','),
    split: one('SPLIT'),
  };
}

export const flagLabel = (key: keyof FlagValues) => (key === 'name' ? 'the name' : `--${kebab(key)}`);
export const envLabel = (key: keyof FlagValues) => `GPU_RUN_${kebab(key).replaceAll('-', '_').toUpperCase()}`;

/** @param label how a flag is called in messages */
export function readFlags(flags: FlagValues, label: (key: keyof FlagValues) => string): { readonly layer: Layer; readonly problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const read = <Key extends keyof FlagValues, T>(key: Key, parse: (value: NonNullable<FlagValues[Key]>) => T): T | undefined => {
    const value = flags[key];
    if (value === undefined) return undefined;
    try {
      refuseUntyped(value); // from JavaScript
      return parse(value as NonNullable<FlagValues[Key]>);
    } catch (error) {
      problems.push({ where: label(key), text: textOf(error) });
      return undefined;
    }
  };
  const layer: Layer = {
    name: read('name', checkMachineName),
    providers: read('provider', splitList),
    template: read('template', (name) => name),
    gpu: read('gpu', parseGpuNeed),
    regions: read('region', splitList),
    spot: read('spot', parseSwitch),
    publicIp: read('publicIp', parseSwitch),
    nodes: read('nodes', parseNodes),
    maxTimeSeconds: read('maxTime', parseDuration),
    budgetUsd: read('budget', parseBudget),
    idleSeconds: read('idle', parseIdle),
    stallSeconds: read('stall', parseIdle),
    env: read('env', (pairs) => Object.fromEntries(pairs.map(parsePair))),
    splitLog: read('split', parseSwitch),
    secrets: read('secret', (names) => names.map((name) => checkEnvName(name.trim()))),
  };
  return { layer, problems };
}

/** All is said as it is typed, with its unit. */
function refuseUntyped(value: unknown): void {
  if (typeof value === 'string' || typeof value === 'boolean' || Array.isArray(value)) return;
  throw new GpuRunError('bad-input', `${JSON.stringify(value)} is no text.`, { hints: ["Write it as on the command line: '30m', '2.50', 'L4:1'."] });
}

function kebab(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function splitList(text: string): string[] {
  const items = text.split(',').map((item) => item.trim());
  if (items.some((item) => item === ''))
    throw new GpuRunError('bad-input', `'${text}' has an empty place.`, { hints: ['Write one, or several with commas between, as in a,b.'] });
  return items;
}

function parseNodes(text: string): number {
  if (/^[1-9]\d{0,2}$/.test(text.trim())) return Number(text);
  throw new GpuRunError('bad-input', `'${text}' isn't a number of machines.`, { hints: ['Write a whole number from 1 to 999.'] });
}

/** The message never holds the value. */
function parsePair(pair: string): [string, string] {
  const split = pair.indexOf('=');
  if (split < 0)
    throw new GpuRunError('bad-input', `'${pair}' has no value.`, {
      hints: [`Write ${pair}=VALUE, or --secret ${pair} to take it from the environment of gpu-run.`],
    });
  return [checkEnvName(pair.slice(0, split)), pair.slice(split + 1)];
}
