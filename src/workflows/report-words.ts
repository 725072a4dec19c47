/** Numbers as they stand in advice. */
import { formatUsd } from '../core/money.ts';
import type { GpuFigures } from './report-figures.ts';

/** `34 %`; of a share. Below one it is not rounded away. */
export function percent(share: number): string {
  return perCent(share * 100);
}

/** `34 %`; of per cent. */
export function perCent(value: number): string {
  return value > 0 && value < 1 ? 'under 1 %' : `${Math.round(value)} %`;
}

/** `, $0.41 of it` where the machine costs something. */
export function dollars(usd: number | null, text: (amount: string) => string): string {
  return usd === null || usd <= 0 ? '' : text(formatUsd(usd));
}

/** `GPU 0 (NVIDIA L4)`, `GPU 0 and 1`. */
export function named(gpus: readonly GpuFigures[]): string {
  const [only] = gpus;
  if (only !== undefined && gpus.length === 1) return `GPU ${only.index} (${only.name})`;
  return `GPU ${gpus.map(({ index }) => index).join(', ')}`;
}
