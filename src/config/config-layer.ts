/** What a config or a template says, as a layer of settings. */
import { isAddress } from '../protocol/fetch.ts';
import type { Layer, ProviderOptions } from './layer.ts';
import { providerBlockNames } from './provider-blocks.ts';
import type { Config, Template } from './schema.ts';
import type { Settings } from './settings.ts';

/** With `retry:` at all, what it leaves out. */
const retryDefaults = { on: ['preempted', 'lost'], attempts: 3 } as const;

export function layerOfConfig(config: Config): Layer {
  const { provider, disk, limits, mlflow, log, sync, ...same } = config;
  return {
    ...same,
    sync: sync && syncOf(sync),
    providers: provider,
    diskBytes: disk,
    maxTimeSeconds: limits?.['max-time'],
    budgetUsd: limits?.budget,
    idleSeconds: limits?.idle,
    stallSeconds: limits?.stall,
    splitLog: log?.split,
    logLimitBytes: log?.limit,
    preemptSignal: config['preempt-signal'],
    mlflow: mlflow && { trackingUri: mlflow['tracking-uri'], experiment: mlflow.experiment },
    retry: retryOf(config.retry),
    options: optionsOf(config),
  };
}

/** The image goes to the provider with its other options: only the provider knows what it means. */
export function layerOfTemplate(template: Template): Layer {
  const { provider, disk, image, gpu, spot, regions, setup, env } = template;
  const blocks = optionsOf(template);
  const withImage = image === undefined ? [] : (provider ?? []).map((name) => [name, { ...blocks[name], image }] as const);
  return { providers: provider, diskBytes: disk, gpu, spot, regions, setup, env, options: { ...blocks, ...Object.fromEntries(withImage) } };
}

/** What comes from this computer, and what the machine fetches by itself. */
function syncOf({ data, ...same }: NonNullable<Config['sync']>): Layer['sync'] {
  if (data === undefined) return same;
  const isFetched = ({ from }: { readonly from: string }) => isAddress(from);
  const fetched = data.filter(isFetched).map(({ from, to, sha256 }) => ({ from, to, sha256: sha256 ?? null }));
  const own = data.filter((item) => !isFetched(item)).map(({ from, to }) => ({ from, to }));
  return { ...same, data: own, ...(fetched.length === 0 ? {} : { fetched }) };
}

function retryOf(retry: Config['retry']): Settings['retry'] | undefined {
  return retry && { on: retry.on ?? retryDefaults.on, attempts: retry.attempts ?? retryDefaults.attempts, resumeFrom: retry['resume-from'] ?? null };
}

function optionsOf(file: Config | Template): ProviderOptions {
  return Object.fromEntries(providerBlockNames.flatMap((name) => (file[name] === undefined ? [] : [[name, file[name]]])));
}
