/** Failures in the form in which Google's API sends them. */
import { GceError } from '../../../../src/providers/gcp/gce-error.ts';
import type { Operation, OperationError } from '../../../../src/providers/gcp/gce-resources.ts';

/** A finished insert with these errors. */
export function failedInsert(...errors: readonly OperationError[]): Operation {
  return {
    id: '4611686018427387904',
    name: 'operation-1763708400000-6438a-1f2e',
    operationType: 'insert',
    status: 'DONE',
    zone: 'https://www.googleapis.com/compute/v1/projects/p1/zones/us-central1-a',
    targetLink: 'https://www.googleapis.com/compute/v1/projects/p1/zones/us-central1-a/instances/cats-k3v9xq',
    error: { errors },
  };
}

export function stockOut(metadatas: Readonly<Record<string, string>> = {}, code = 'ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS'): OperationError {
  return {
    code,
    message: "The zone 'projects/p1/zones/us-central1-a' does not have enough resources available to fulfill the request. '(resource type:compute)'.",
    errorDetails: [
      { help: { links: [{ description: 'Troubleshooting documentation', url: 'https://cloud.google.com/compute/docs/resource-error' }] } },
      {
        errorInfo: {
          reason: 'resource_availability',
          domain: 'compute.googleapis.com',
          metadatas: { zone: 'us-central1-a', vmType: 'g2-standard-4', attachment: 'nvidia-l4:1', ...metadatas },
        },
      },
    ],
  };
}

export function regionQuota(metric = 'NVIDIA_L4_GPUS', limit = 0): OperationError {
  return {
    code: 'QUOTA_EXCEEDED',
    message: `Quota '${metric}' exceeded.  Limit: ${limit.toFixed(1)} in region us-central1.`,
    errorDetails: [
      {
        quotaInfo: {
          metricName: `compute.googleapis.com/${metric.toLowerCase()}`,
          limitName: `${metric.replaceAll('_', '-')}-per-project-region`,
          dimensions: { region: 'us-central1' },
          limit,
        },
      },
    ],
  };
}

export const globalQuota: OperationError = { code: 'QUOTA_EXCEEDED', message: "Quota 'GPUS_ALL_REGIONS' exceeded.  Limit: 0.0 globally." };

/** The answer of a call, decoded. */
export function refused(status: number | null, reason: string, message: string, info: Readonly<Record<string, string>> | null = null): GceError {
  const { reason: infoReason = '', ...metadata } = info ?? {};
  return new GceError(message, {
    status,
    reasons: reason === '' ? [] : [reason],
    details: info === null ? [] : [{ reason: infoReason, metadata }],
    call: 'POST instances',
  });
}
