/** Numbers and names as Compute Engine gives them out. */
import { createHash, randomBytes } from 'node:crypto';

/** Beyond what a double holds, so that whoever parses it as a number is noticed. Without `seed`: a new one. */
export function numericId(seed?: string): string {
  const bytes = seed === undefined ? randomBytes(8) : createHash('sha256').update(seed).digest();
  return String((bytes.readBigUInt64BE(0) >> 2n) | (1n << 61n));
}

/** RFC 3339 with an offset, as the API writes times; milliseconds since the epoch. */
export function timestamp(at: number): string {
  return new Date(at - 7 * 3_600_000).toISOString().replace('Z', '-07:00');
}

export function operationName(): string {
  const part = (bytes: number) => randomBytes(bytes).toString('hex');
  return `operation-${Date.now()}-${part(6)}-${part(4)}-${part(4)}`;
}
