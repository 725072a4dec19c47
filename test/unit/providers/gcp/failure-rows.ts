/** Every kind of failure that is known of Compute Engine, and what is to be made of it on a Spot machine with an L4 in us-central1-a. */
import type { GceError } from '../../../../src/providers/gcp/gce-error.ts';
import type { Operation } from '../../../../src/providers/gcp/gce-resources.ts';
import { failedInsert, globalQuota, refused, regionQuota, stockOut } from './failure-bodies.ts';

/** One row: what Google sends, and `code retry rulesOut leftBehind` with what the error has to say. */
export type Row = readonly [name: string, failure: GceError | Operation, verdict: string, says?: readonly string[]];

const quotaPage = 'https://console.cloud.google.com/iam-admin/quotas?project=p1';

export const rows: readonly Row[] = [
  // No stock.
  ...['ZONE_RESOURCE_POOL_EXHAUSTED', 'ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS', 'GPU_STOCKOUT'].map(
    (code): Row => [code, failedInsert(stockOut({}, code)), 'no-capacity elsewhere nothing nothing', ['no g2-standard-4 (L4, spot) in us-central1-a', code]],
  ),
  ['503 insufficientCapacity', refused(503, 'insufficientCapacity', 'Insufficient capacity.'), 'no-capacity elsewhere nothing nothing'],
  ...['REGION_RESOURCE_POOL_EXHAUSTED', 'RESOURCE_POOL_EXHAUSTED'].map(
    (code): Row => [code, failedInsert(stockOut({}, code)), 'no-capacity elsewhere region nothing', ['in us-central1 now']],
  ),
  [
    'UNSUPPORTED_OPERATION on Spot',
    failedInsert({ code: 'UNSUPPORTED_OPERATION', message: 'The operation is not supported.' }),
    'no-capacity elsewhere zone unknown',
    ['back while it was being made'],
  ],
  [
    'VM_MIN_COUNT_NOT_REACHED alone',
    failedInsert({ code: 'VM_MIN_COUNT_NOT_REACHED', message: 'Requested minimum count of 1 VMs could not be created.' }),
    'protocol elsewhere nothing unknown',
    ['VM_MIN_COUNT_NOT_REACHED'],
  ],
  [
    'VM_MIN_COUNT_NOT_REACHED with its cause',
    failedInsert({ code: 'VM_MIN_COUNT_NOT_REACHED', message: 'Requested minimum count of 1 VMs could not be created.' }, stockOut()),
    'no-capacity elsewhere nothing nothing',
  ],

  // Quota.
  [
    'GPUS_ALL_REGIONS in the operation',
    failedInsert(globalQuota),
    'quota elsewhere provider nothing',
    ['GPUS_ALL_REGIONS is 0 in all regions', quotaPage, 'A new project'],
  ],
  ['GPUS_ALL_REGIONS as 403', refused(403, 'quotaExceeded', globalQuota.message), 'quota elsewhere provider nothing', [quotaPage]],
  [
    'a quota of all regions, told by its limit alone',
    failedInsert({ code: 'QUOTA_EXCEEDED', message: 'Not enough.', errorDetails: [{ quotaInfo: { limitName: 'CPUS-ALL-REGIONS-per-project', limit: 12 } }] }),
    'quota elsewhere provider nothing',
  ],
  [
    'a quota of the region',
    failedInsert(regionQuota()),
    'quota elsewhere region nothing',
    ['NVIDIA_L4_GPUS is 0 in us-central1', `Ask for more NVIDIA_L4_GPUS in us-central1: ${quotaPage}`],
  ],
  [
    'a quota of the region as 403',
    refused(403, 'quotaExceeded', "Quota 'CPUS' exceeded.  Limit: 24.0 in region us-central1."),
    'quota elsewhere region nothing',
    ['CPUS is 24'],
  ],
  [
    'a quota of a GPU family',
    failedInsert({
      code: 'QUOTA_EXCEEDED',
      message: "Quota 'GPUS_PER_GPU_FAMILY' exceeded.  Limit: 0.0 in region us-central1.",
      errorDetails: [{ quotaInfo: { dimensions: { region: 'us-central1', gpu_family: 'NVIDIA_H100' }, limit: 0 } }],
    }),
    'quota elsewhere region nothing',
    ['GPUS_PER_GPU_FAMILY for NVIDIA_H100 is 0'],
  ],
  ['quota and stock together', failedInsert(stockOut(), regionQuota()), 'quota elsewhere region nothing', ['NVIDIA_L4_GPUS']],
  ['addresses', failedInsert(regionQuota('IN_USE_ADDRESSES', 8)), 'quota elsewhere region nothing', ['public-ip: false']],

  // Rates: the same order again.
  ['403 rateLimitExceeded', refused(403, 'rateLimitExceeded', 'Rate Limit Exceeded'), 'quota same provider nothing'],
  ['403 RATE_LIMIT_EXCEEDED', refused(403, 'quotaExceeded', 'Slow down.', { reason: 'RATE_LIMIT_EXCEEDED' }), 'quota same provider nothing'],
  [
    'a rate told in words alone',
    refused(
      403,
      'quotaExceeded',
      "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute' of service 'compute.googleapis.com' for consumer 'project_number:1'.",
    ),
    'quota same provider nothing',
  ],
  ['CONCURRENT_OPERATIONS_QUOTA_EXCEEDED', refused(403, '', 'Too many.', { reason: 'CONCURRENT_OPERATIONS_QUOTA_EXCEEDED' }), 'quota same zone nothing'],
  ['RESOURCE_OPERATION_RATE_EXCEEDED', failedInsert({ code: 'RESOURCE_OPERATION_RATE_EXCEEDED', message: 'Too fast.' }), 'quota same zone nothing'],
  [
    'CONCURRENT_OPERATIONS_QUOTA_EXCEEDED beside the reason of any rate',
    refused(403, 'rateLimitExceeded', 'Too many.', { reason: 'CONCURRENT_OPERATIONS_QUOTA_EXCEEDED' }),
    'quota same zone nothing',
  ],
  ['429', refused(429, '', 'Too Many Requests'), 'quota same zone nothing'],
  ['409 operationInProgress', refused(409, 'operationInProgress', 'Another operation is in progress.'), 'conflict same zone nothing'],
  [
    '400 resourceNotReady',
    refused(400, 'resourceNotReady', "The resource 'projects/p1/regions/us-central1/subnetworks/s' is not ready"),
    'conflict same zone nothing',
  ],
  ['RESOURCE_NOT_READY', failedInsert({ code: 'RESOURCE_NOT_READY', message: 'Not ready.' }), 'conflict same zone nothing'],
  [
    '412 conditionNotMet',
    refused(412, 'conditionNotMet', 'Supplied fingerprint does not match current metadata fingerprint.'),
    'conflict same nothing nothing',
  ],

  // The project, its owner, its policies.
  [
    '403 forbidden',
    refused(403, 'forbidden', "Required 'compute.instances.create' permission for 'projects/p1/zones/us-central1-a/instances/cats'"),
    'not-allowed never nothing nothing',
    ['compute.instances.create is missing', 'gcloud projects add-iam-policy-binding p1', 'roles/compute.instanceAdmin.v1'],
  ],
  [
    'IAM_PERMISSION_DENIED',
    refused(403, 'forbidden', 'Denied.', { reason: 'IAM_PERMISSION_DENIED', permission: 'iam.serviceAccounts.actAs' }),
    'not-allowed never nothing nothing',
    ['iam.serviceAccounts.actAs is missing', 'roles/iam.serviceAccountUser'],
  ],
  [
    'a permission in the operation',
    failedInsert({ code: 'PERMISSIONS_ERROR', message: "Required 'compute.subnetworks.use' permission for 'projects/host/regions/us-central1/subnetworks/s'" }),
    'not-allowed never nothing nothing',
    ['roles/compute.networkUser'],
  ],
  [
    'accessNotConfigured',
    refused(403, 'accessNotConfigured', 'Compute Engine API has not been used in project 1 before or it is disabled.', {
      reason: 'SERVICE_DISABLED',
      service: 'compute.googleapis.com',
    }),
    'not-allowed never nothing nothing',
    ['gcloud services enable compute.googleapis.com --project=p1'],
  ],
  [
    'billing',
    refused(403, 'forbidden', 'This API method requires billing to be enabled.', { reason: 'BILLING_DISABLED' }),
    'not-allowed never nothing nothing',
    ['https://console.cloud.google.com/billing/linkedaccount?project=p1'],
  ],
  ['any other 403', refused(403, '', '<html>Forbidden</html>'), 'not-allowed never nothing nothing'],
  ['401', refused(401, 'authError', 'Invalid Credentials'), 'not-allowed never nothing nothing', ['gcloud auth application-default login']],
  [
    'a location that is not open',
    refused(403, 'forbidden', 'Location us-central1-a is not found or access is unauthorized.'),
    'not-allowed elsewhere zone nothing',
    ['us-central1-a is not open'],
  ],
  ['an unknown zone', refused(400, 'invalid', "Invalid value for field 'zone': 'us-central1-a'. Unknown zone."), 'not-allowed elsewhere zone nothing'],
  [
    'a policy against public addresses',
    refused(
      412,
      'conditionNotMet',
      'Constraint constraints/compute.vmExternalIpAccess violated for project 1. Add instance projects/p1/zones/us-central1-a/instances/cats to the constraint to use external IP with it.',
    ),
    'not-allowed never nothing nothing',
    ['compute.vmExternalIpAccess', 'public-ip: false'],
  ],

  // What is asked for.
  [
    '400 about the machine type',
    refused(
      400,
      'invalid',
      "Invalid value for field 'resource.machineType': 'zones/us-central1-a/machineTypes/a3-highgpu-8g'. Machine type with name 'a3-highgpu-8g' does not exist in zone 'us-central1-a'.",
    ),
    'no-capacity elsewhere nothing nothing',
    ['There is no g2-standard-4'],
  ],
  [
    '404 on the accelerator',
    refused(404, 'notFound', "The resource 'projects/p1/zones/us-central1-a/acceleratorTypes/nvidia-tesla-v100' was not found"),
    'no-capacity elsewhere nothing nothing',
  ],
  [
    '400 invalid',
    refused(400, 'invalid', 'Requested disk size cannot be smaller than the image size (50 GB)'),
    'bad-input never nothing nothing',
    ['disk size'],
  ],
  [
    'INVALID_FIELD_VALUE',
    failedInsert({ code: 'INVALID_FIELD_VALUE', message: "Invalid value for field 'resource.tags'." }),
    'bad-input never nothing nothing',
  ],
  ['INVALID_USAGE', failedInsert({ code: 'INVALID_USAGE', message: 'Not together.' }), 'bad-input never nothing nothing'],
  [
    '404 on an image',
    refused(404, 'notFound', "The resource 'projects/p1/global/images/family/gone' was not found"),
    'not-found never nothing nothing',
    ['global/images/family/gone'],
  ],
  [
    'RESOURCE_NOT_FOUND on a network',
    failedInsert({ code: 'RESOURCE_NOT_FOUND', message: "The resource 'projects/p1/global/networks/default' was not found" }),
    'not-found never nothing nothing',
  ],
  [
    'no subnetwork in the region',
    refused(404, 'notFound', "The resource 'projects/p1/regions/us-central1/subnetworks/mine' was not found"),
    'not-found elsewhere region nothing',
  ],
  [
    'RESOURCE_NOT_FOUND on the machine itself',
    failedInsert({ code: 'RESOURCE_NOT_FOUND', message: "The resource 'projects/p1/zones/us-central1-a/instances/cats-k3v9xq' was not found" }),
    'no-capacity elsewhere zone unknown',
  ],
  [
    '409 alreadyExists',
    refused(409, 'alreadyExists', "The resource 'projects/p1/zones/us-central1-a/instances/cats' already exists"),
    'conflict elsewhere nothing nothing',
  ],

  // Unknown outcome.
  ...[500, 502, 503].map(
    (status): Row => [`${status} backendError`, refused(status, 'backendError', 'Backend Error'), 'connection elsewhere nothing unknown', [String(status)]],
  ),
  ['a 500 in HTML', refused(500, '', '<!DOCTYPE html>'), 'connection elsewhere nothing unknown'],
  [
    'INTERNAL_ERROR',
    failedInsert({ code: 'INTERNAL_ERROR', message: 'Internal error. Please try again or contact Google Support.' }),
    'connection elsewhere nothing unknown',
  ],
  ['a reset', refused(null, '', 'read ECONNRESET'), 'connection elsewhere nothing unknown', ['No answer came: read ECONNRESET']],
  ['a reset whose text looks like something else', refused(null, '', 'machine type queries per minute'), 'connection elsewhere nothing unknown'],

  // What nobody has heard of is told as it came.
  ['an unknown code', failedInsert({ code: 'NEVER_SEEN', message: 'A new thing.' }), 'protocol elsewhere nothing unknown', ['A new thing (NEVER_SEEN).']],
  ['an operation without a reason', { ...failedInsert(), httpErrorStatusCode: 418 }, 'protocol elsewhere nothing unknown', ['no reason was given']],
];
