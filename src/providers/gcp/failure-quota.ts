/** Quota that is used up: which, how much, where, and where to ask for more. Pure. */
import type { Signal } from './failure-signals.ts';
import type { Explained, Place } from './failure-words.ts';

export function explainQuota(kind: 'quota' | 'quota-everywhere', signal: Signal, place: Place): Explained {
  const { metric, limit, family } = metricOf(signal);
  const region = signal.quota?.dimensions['region'] ?? /\bin region ([a-z0-9-]+)/.exec(signal.message)?.[1] ?? place.region;
  const where = kind === 'quota-everywhere' ? ' in all regions together' : region === undefined ? '' : ` in ${region}`;
  const name = family === undefined ? metric : `${metric} for ${family}`;
  const project = place.project === undefined ? 'The project' : `The project ${place.project}`;
  return {
    code: 'quota',
    message: `${project} may not have more: its quota ${name} is ${limit ?? 'used up'}${where}.`,
    hints: [
      `Ask for more ${name}${where}: ${quotaPage(place.project)}`,
      ...(metric === 'GPUS_ALL_REGIONS' && limit === '0' ? ['A new project has none at first: without this quota it gets no GPU anywhere.'] : []),
      ...(metric === 'IN_USE_ADDRESSES' ? ['Or do without public addresses: gpu-run.yaml, gcp: { public-ip: false }'] : []),
    ],
    retry: 'elsewhere',
    elsewhere: { rulesOut: kind === 'quota-everywhere' ? 'provider' : 'region' },
    certain: true,
  };
}

export function quotaPage(project: string | undefined): string {
  return `https://console.cloud.google.com/iam-admin/quotas${project === undefined ? '' : `?project=${encodeURIComponent(project)}`}`;
}

/** From the structured part, else from the sentence: Quota 'NVIDIA_L4_GPUS' exceeded. Limit: 0.0 in region us-central1. */
function metricOf({ message, quota }: Signal): { readonly metric: string; readonly limit: string | undefined; readonly family: string | undefined } {
  const named = /Quota '([A-Za-z0-9_/.-]+)'/.exec(message)?.[1];
  const metric = named ?? (quota?.metric || quota?.limitName || 'of some kind');
  const limit = quota?.limit ?? numberIn(/Limit: ([\d.]+)/.exec(message)?.[1]);
  return { metric: metric.slice(metric.lastIndexOf('/') + 1).toUpperCase(), limit: limit?.toString(), family: quota?.dimensions['gpu_family'] };
}

function numberIn(text: string | undefined): number | undefined {
  const number = Number.parseFloat(text ?? '');
  return Number.isFinite(number) ? number : undefined;
}
