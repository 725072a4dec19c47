/** Ranges of IP addresses: whether one lies within others. Pure. */
import { isIPv4, isIPv6 } from 'node:net';

interface Range {
  readonly bits: 32 | 128;
  readonly first: bigint;
  readonly last: bigint;
}

/** `203.0.113.7` or `203.0.113.0/24`, v6 alike; null: neither. */
export function parseRange(text: string): Range | null {
  const [address = '', length, ...more] = text.split('/');
  const bits = isIPv4(address) ? 32 : isIPv6(address) && !address.includes('%') ? 128 : null;
  if (bits === null || more.length > 0 || (length !== undefined && !/^\d{1,3}$/.test(length))) return null;
  const prefix = length === undefined ? bits : Number(length);
  if (prefix > bits) return null;
  const size = 1n << BigInt(bits - prefix);
  const first = (numberOf(address) / size) * size;
  return { bits, first, last: first + size - 1n };
}

export type Within = 'yes' | 'no' | 'partly';

/** Whether all, none or some of `range` lies within one of `ranges`. What can't be read among them may be anything: partly. */
export function within(range: string, ranges: readonly string[]): Within {
  const asked = parseRange(range);
  if (asked === null) return 'partly';
  let found: Within = 'no';
  for (const text of ranges) {
    const other = parseRange(text);
    if (other !== null && (other.bits !== asked.bits || other.last < asked.first || asked.last < other.first)) continue;
    if (other !== null && other.first <= asked.first && asked.last <= other.last) return 'yes';
    found = 'partly';
  }
  return found;
}

function numberOf(address: string): bigint {
  if (isIPv4(address)) return address.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
  // The last 32 bits may be written as in v4.
  const v4 = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(address);
  const low = v4 === null ? 0n : numberOf(v4[2] ?? '');
  const text = v4 === null ? address : `${v4[1]}${(low >> 16n).toString(16)}:${(low & 0xffffn).toString(16)}`;
  const [head = '', tail] = text.split('::');
  const words = (part: string) => (part === '' ? [] : part.split(':'));
  const [before, after] = [words(head), words(tail ?? '')];
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - before.length - after.length }, () => '0');
  return [...before, ...zeros, ...after].reduce((sum, word) => sum * 65_536n + BigInt(`0x${word}`), 0n);
}
