/**
 * Settings from everything that says something about them: flags beat environment beats `gpu-run.yaml` beats template
 * beats defaults. May import core and protocol. `zod` and `yaml` are loaded only when there is a file to read.
 */
import { homedir } from 'node:os';
import { basename, dirname, relative, resolve } from 'node:path';
import { GpuRunError } from '../core/errors.ts';
import type { ResourceNeed } from '../core/offer.ts';
import { toMachineName } from '../core/run-id.ts';
import { findConfig } from './find-config.ts';
import { envLabel, type FlagValues, flagLabel, flagsFromEnv, readFlags } from './flags.ts';
import { firstOf, type Layer, type ProviderOptions } from './layer.ts';
import { type Problem, throwProblems } from './problem.ts';
import { alsoInEnv, explainAlsoInEnv } from './secrets.ts';
import type { Settings, SyncSettings } from './settings.ts';
import { loadTemplate } from './template.ts';

export type { FlagValues } from './flags.ts';

export interface SettingsInput {
  /** Where the search for `gpu-run.yaml` begins. */
  readonly cwd: string;
  readonly flags: FlagValues;
  readonly env: Readonly<Record<string, string | undefined>>;
}

const defaults = { maxTimeSeconds: 4 * 3600, idleSeconds: 15 * 60, stallSeconds: 60 * 60, nodes: 1, spot: false } as const;
const noRetry: Settings['retry'] = { on: [], attempts: 1, resumeFrom: null };

/** @throws GpuRunError bad-input that shows everything wrong with flags, environment and config at once; not-allowed for a file that can't be read */
export async function loadSettings({ cwd, flags, env }: SettingsInput): Promise<Settings> {
  const start = resolve(cwd);
  const userHome = env['HOME'] ?? homedir();
  const byFlags = readFlags(flags, flagLabel);
  const envFlags = flagsFromEnv(env);
  const byEnv = readFlags(envFlags, envLabel);
  const given = flags.config ?? envFlags.config;
  if (given === '') throw new GpuRunError('bad-input', '--config names no file.', { hints: ['Write the path of a gpu-run.yaml behind it, or leave it out.'] });
  const configFile = given === undefined ? findConfig(start) : resolve(start, given);
  const folder = configFile === null ? start : dirname(configFile);
  const byConfig = configFile === null ? nothing : await readConfig(configFile, shownAs(configFile, start), userHome);
  throwProblems([...byFlags.problems, ...byEnv.problems, ...byConfig.problems]);
  const said = [byFlags.layer, byEnv.layer, byConfig.layer];
  const template = firstOf(said, 'template') ?? null;
  const byTemplate: Layer = template === null ? {} : await loadTemplate(template, { folder, userHome });
  return settle([...said, byTemplate], { folder, configFile, template });
}

const nothing: { readonly layer: Layer; readonly problems: readonly Problem[] } = { layer: {}, problems: [] };

async function readConfig(file: string, name: string, userHome: string): Promise<typeof nothing> {
  const [{ readConfigFile }, { layerOfConfig }] = await Promise.all([import('./checked-file.ts'), import('./config-layer.ts')]);
  const { value, problems } = await readConfigFile(file, name, { folder: dirname(file), userHome });
  return { layer: value === null ? {} : layerOfConfig(value), problems };
}

/** Relative to the current folder where that is shorter to read. */
function shownAs(file: string, cwd: string): string {
  const path = relative(cwd, file);
  return path.startsWith('..') ? file : path;
}

/** @param layers strongest first, the template last */
function settle(layers: readonly Layer[], found: Pick<Settings, 'folder' | 'configFile' | 'template'>): Settings {
  const options = mergeOptions(layers);
  const env = mergeRecords(layers.map((layer) => layer.env));
  const secrets = [...new Set(layers.flatMap((layer) => layer.secrets ?? []))];
  const clashes = alsoInEnv(secrets, env);
  if (clashes.length > 0) throwProblems([{ where: 'secrets', text: explainAlsoInEnv(clashes) }]);
  const need = needOf(layers, options);
  const said = firstOf(layers, 'providers') ?? ofBlocks(options);
  const idleSeconds = firstOf(layers, 'idleSeconds');
  const stallSeconds = firstOf(layers, 'stallSeconds');
  return {
    ...found,
    name: firstOf(layers, 'name') ?? toMachineName(basename(found.folder)),
    providers: said ?? defaultProviders(need),
    providersSaid: said !== undefined,
    need,
    sync: syncOf(firstOf(layers, 'sync'), found.folder),
    setup: firstOf(layers, 'setup') ?? null,
    train: firstOf(layers, 'train') ?? null,
    env,
    secrets,
    outputs: firstOf(layers, 'outputs') ?? [],
    metrics: firstOf(layers, 'metrics') ?? {},
    mlflow: firstOf(layers, 'mlflow') ?? null,
    limits: {
      maxTimeSeconds: firstOf(layers, 'maxTimeSeconds') ?? defaults.maxTimeSeconds,
      budgetUsd: firstOf(layers, 'budgetUsd') ?? null,
      idleSeconds: idleSeconds === undefined ? defaults.idleSeconds : idleSeconds,
      stallSeconds: stallSeconds === undefined ? defaults.stallSeconds : stallSeconds,
    },
    log: { split: firstOf(layers, 'splitLog') ?? false, limitBytes: firstOf(layers, 'logLimitBytes') ?? null },
    preemptSignal: firstOf(layers, 'preemptSignal') ?? null,
    retry: firstOf(layers, 'retry') ?? noRetry,
  };
}

function syncOf({ code, exclude = [], data = [], fetched }: Partial<SyncSettings> = {}, folder: string): SyncSettings {
  return { code: code ?? folder, exclude, data, ...(fetched === undefined ? {} : { fetched }) };
}

/** A block of a provider's options says which provider is meant. */
function ofBlocks(options: ProviderOptions): readonly string[] | undefined {
  const named = ['ssh', 'gcp'].filter((name) => options[name] !== undefined);
  return named.length === 0 ? undefined : named;
}

/** This computer, if it has what is asked for; what it can't have is looked for where it can be rented. */
function defaultProviders({ gpu, spot }: ResourceNeed): readonly string[] {
  return gpu === undefined && !spot ? ['local'] : ['local', 'gcp'];
}

function needOf(layers: readonly Layer[], providerOptions: ProviderOptions): ResourceNeed {
  const gpu = firstOf(layers, 'gpu');
  const diskBytes = firstOf(layers, 'diskBytes');
  const publicIp = firstOf(layers, 'publicIp');
  return {
    ...(gpu === undefined ? {} : { gpu }),
    ...(diskBytes === undefined ? {} : { diskGb: diskBytes / 1e9 }),
    spot: firstOf(layers, 'spot') ?? defaults.spot,
    ...(publicIp === undefined ? {} : { publicIp }),
    regions: firstOf(layers, 'regions') ?? [],
    nodes: firstOf(layers, 'nodes') ?? defaults.nodes,
    providerOptions,
  };
}

/** Key by key: a stronger layer's block adds to, and overrides, the same block of a weaker one. */
function mergeOptions(layers: readonly Layer[]): ProviderOptions {
  const names = new Set(layers.flatMap(({ options }) => Object.keys(options ?? {})));
  return Object.fromEntries([...names].map((name) => [name, mergeRecords(layers.map(({ options }) => options?.[name]))]));
}

/** @param records strongest first */
function mergeRecords<Value>(records: readonly (Readonly<Record<string, Value>> | undefined)[]): Record<string, Value> {
  return Object.assign({}, ...records.toReversed());
}
