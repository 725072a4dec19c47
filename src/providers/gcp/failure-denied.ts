/** What the project, its owner or its policies do not allow, and the exact command or page that changes it. Pure. */
import type { FailureKind } from './failure-kinds.ts';
import type { Signal } from './failure-signals.ts';
import { type Explained, type Place, said } from './failure-words.ts';

export type DeniedKind = Extract<FailureKind, 'closed-location' | 'policy' | 'api-disabled' | 'billing' | 'credentials' | 'permission'>;

export function explainDenied(kind: DeniedKind, signal: Signal, place: Place): Explained {
  const project = projectOf(place);
  const stop = { code: 'not-allowed', certain: true } as const;
  switch (kind) {
    case 'closed-location':
      return {
        ...stop,
        message: `${place.zone ?? 'The zone'} is not open to the project: ${said(signal)}`,
        hints: ['Leave it out with --region or regions: in gpu-run.yaml.'],
        retry: 'elsewhere',
        elsewhere: { rulesOut: 'zone' },
      };
    case 'policy':
      return explainPolicy(signal);
    case 'api-disabled': {
      const service = serviceIn(signal);
      return {
        ...stop,
        message: `The API ${service} is not switched on in the project ${project}.`,
        hints: [`gcloud services enable ${service} --project=${project}   switches it on; it takes a few minutes to be known everywhere`],
      };
    }
    case 'billing':
      return {
        ...stop,
        message: `The project ${project} has no billing account that works: ${said(signal)}`,
        hints: [`Link one: https://console.cloud.google.com/billing/linkedaccount?project=${encodeURIComponent(project)}`],
      };
    case 'credentials':
      return {
        ...stop,
        message: `Google does not accept the credentials: ${said(signal)}`,
        hints: ['gcloud auth application-default login   makes new ones'],
      };
    case 'permission':
      return explainPermission(signal, project);
  }
}

function explainPolicy(signal: Signal): Explained {
  const constraint = /constraints\/([a-z]+\.[A-Za-z.]*[A-Za-z])/.exec(signal.message)?.[1] ?? 'unknown';
  return {
    code: 'not-allowed',
    message: `A policy of the organisation forbids it (${constraint}): ${said(signal)}`,
    hints: [...(policyHints[constraint] === undefined ? [] : [policyHints[constraint]]), "Or ask your organisation's administrator for an exception."],
    certain: true,
  };
}

const policyHints: Readonly<Record<string, string>> = {
  'compute.vmExternalIpAccess': 'Do without public addresses: gpu-run.yaml, gcp: { public-ip: false }',
  'compute.trustedImageProjects': 'Boot from an image that is allowed: gpu-run.yaml, gcp: { image: PROJECT/FAMILY }',
  'compute.requireShieldedVm': 'Boot from an image that supports Shielded VM: gpu-run.yaml, gcp: { image: PROJECT/FAMILY }',
  'compute.restrictVpcPeering': 'Use a network that is allowed: gpu-run.yaml, gcp: { network: NAME }',
};

function explainPermission(signal: Signal, project: string): Explained {
  if (signal.codes.includes('ACCESS_TOKEN_SCOPE_INSUFFICIENT')) {
    return {
      code: 'not-allowed',
      message: `The credentials were made for less than Compute Engine: ${said(signal)}`,
      hints: ['gcloud auth application-default login   makes new ones'],
      certain: true,
    };
  }
  const named = signal.metadata['permission'] ?? /'([a-z]+(?:\.[A-Za-z]+)+)' permission/.exec(signal.message)?.[1] ?? '';
  const permission = /^[a-z]+(\.[A-Za-z]+)+$/.test(named) ? named : null;
  return {
    code: 'not-allowed',
    message: `${permission === null ? 'Google does not allow it' : `The permission ${permission} is missing in the project ${project}`}: ${said(signal)}`,
    hints: [
      `gcloud projects add-iam-policy-binding ${project} --member=user:YOUR-ADDRESS --role=${roleFor(permission)}   gives it (serviceAccount:ADDRESS for a service account)`,
      ...(signal.credentials === undefined ? [] : [`These credentials were used: ${signal.credentials}`]),
    ],
    certain: true,
  };
}

/** The narrowest of Google's own roles that holds it. */
function roleFor(permission: string | null): string {
  if (permission === 'iam.serviceAccounts.actAs') return 'roles/iam.serviceAccountUser';
  if (permission?.startsWith('iap.') === true) return 'roles/iap.tunnelResourceAccessor';
  if (permission?.startsWith('compute.firewalls.') === true) return 'roles/compute.securityAdmin';
  if (permission?.startsWith('compute.subnetworks.') === true || permission?.startsWith('compute.networks.') === true) return 'roles/compute.networkUser';
  return 'roles/compute.instanceAdmin.v1';
}

/** Only what can stand in a command as it is. */
function serviceIn({ metadata, message }: Signal): string {
  const named = metadata['service'] ?? /\b([a-z0-9-]+\.googleapis\.com)\b/.exec(message)?.[1] ?? '';
  return /^[a-z0-9-]+\.googleapis\.com$/.test(named) ? named : 'compute.googleapis.com';
}

function projectOf({ project }: Place): string {
  return project !== undefined && /^[a-z0-9:.-]+$/.test(project) ? project : 'PROJECT';
}
