/** How much memory common GPUs have: which card would do. */

export interface CardSize {
  /** As it is sold: 16, 24, 40, ... */
  readonly gb: number;
  /** What the driver gives to programs on the card of that size that has the least, with ECC on. */
  readonly usableBytes: number;
  readonly cards: readonly string[];
}

const mib = 2 ** 20;

/** Smallest first. `memory.total` of nvidia-smi on these cards, as their vendors and clouds document it. */
const cardSizes: readonly CardSize[] = [
  { gb: 8, usableBytes: 7_680 * mib, cards: ['P4', 'M4000'] },
  { gb: 16, usableBytes: 15_109 * mib, cards: ['T4', 'V100', 'P100'] },
  { gb: 24, usableBytes: 22_515 * mib, cards: ['L4', 'A10'] },
  { gb: 32, usableBytes: 32_480 * mib, cards: ['V100-32GB'] },
  { gb: 40, usableBytes: 40_326 * mib, cards: ['A100'] },
  { gb: 48, usableBytes: 45_634 * mib, cards: ['A6000', 'L40S'] },
  { gb: 80, usableBytes: 81_038 * mib, cards: ['A100-80GB', 'H100'] },
  { gb: 141, usableBytes: 143_156 * mib, cards: ['H200'] },
];

/** The share that is left free, and at least this much: what a run needs varies a little from one to the next. */
const headroom = 1.15;
const leastHeadroomBytes = 2 ** 30;
/** A card is smaller only when it is so by more than what the same size differs between makers. */
const clearlySmaller = 0.85;

/** The smallest usual card that holds `peakBytes` with headroom, if it is smaller than one of `totalBytes`; null: none is. */
export function smallerCard(peakBytes: number, totalBytes: number): CardSize | null {
  const needed = Math.max(peakBytes * headroom, peakBytes + leastHeadroomBytes);
  const size = cardSizes.find(({ usableBytes }) => usableBytes >= needed);
  return size !== undefined && size.usableBytes < totalBytes * clearlySmaller ? size : null;
}
