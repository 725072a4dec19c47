/** Money: whole-machine prices per hour and what a span of time costs at such a price. */

/** ISO 4217 code. Prices are compared within one currency only. */
export type Currency = 'USD';

export interface Price {
  /** For the whole machine (GPUs, disk, address), per hour. */
  readonly perHour: number;
  readonly currency: Currency;
}

/** What `seconds` cost at `price`, unrounded. Negative spans cost nothing. */
export function costOf(price: Price, seconds: number): number {
  return (Math.max(0, seconds) / 3600) * price.perHour;
}

/** What `bytes` cost at so much per 10^9 bytes, unrounded. */
export function costOfBytes(perGb: number, bytes: number): number {
  return (bytes / 1e9) * perGb;
}

/** `$0.00`, `$1.25`; below a cent but above zero four decimals, so that it never looks free. */
export function formatUsd(usd: number): string {
  return usd > 0 && usd < 0.01 ? `$${usd.toFixed(4)}` : `$${usd.toFixed(2)}`;
}
