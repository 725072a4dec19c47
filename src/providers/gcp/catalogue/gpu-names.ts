/** GPUs as people call them, as we call them, and as the API does. */

export const gpuNames = ['T4', 'P4', 'V100', 'P100', 'L4', 'RTX-PRO-6000', 'A100', 'A100-80GB', 'H100', 'H200', 'B200'] as const;
export type GpuName = (typeof gpuNames)[number];

/** `acceleratorTypes` of the API; `a3-megagpu` has another one for its H100s. */
export const acceleratorTypes: Readonly<Record<GpuName, string>> = {
  T4: 'nvidia-tesla-t4',
  P4: 'nvidia-tesla-p4',
  V100: 'nvidia-tesla-v100',
  P100: 'nvidia-tesla-p100',
  L4: 'nvidia-l4',
  'RTX-PRO-6000': 'nvidia-rtx-pro-6000',
  A100: 'nvidia-tesla-a100',
  'A100-80GB': 'nvidia-a100-80gb',
  H100: 'nvidia-h100-80gb',
  H200: 'nvidia-h200-141gb',
  B200: 'nvidia-b200',
};

/** Other words for the same thing, in the form that `plain` gives. */
const aliases: Readonly<Record<string, GpuName>> = {
  'A100-40GB': 'A100',
  'A100-40': 'A100',
  'A100-80': 'A100-80GB',
  'H100-80GB': 'H100',
  'H100-80': 'H100',
  'H100-SXM': 'H100',
  'H100-MEGA': 'H100',
  'H100-MEGA-80GB': 'H100',
  'H200-141GB': 'H200',
  'H200-SXM': 'H200',
  'B200-180GB': 'B200',
  'V100-16GB': 'V100',
  'P100-16GB': 'P100',
  RTXPRO6000: 'RTX-PRO-6000',
  'RTX-6000-PRO': 'RTX-PRO-6000',
  'RTX-PRO-6000-96GB': 'RTX-PRO-6000',
};

/** Whatever the case, with the vendor's or Google's words before it or not: `l4`, `A100-40GB`, `nvidia-tesla-t4`. null: not on Compute Engine. */
export function gpuNameOf(text: string): GpuName | null {
  const name = plain(text);
  return gpuNames.find((known) => known === name) ?? (Object.hasOwn(aliases, name) ? (aliases[name] ?? null) : null);
}

function plain(text: string): string {
  return text
    .trim()
    .toUpperCase()
    .replace(/[\s_]+/g, '-')
    .replace(/^NVIDIA-/, '')
    .replace(/^TESLA-/, '');
}
