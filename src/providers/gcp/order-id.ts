/** Request ids of orders: Google answers a repeated one with the operation that it has begun the first time, failed ones included. */
import { createHash } from 'node:crypto';

/** `round`: how many orders with the ids before it are over. The same input gives the same id. */
export function orderId(first: string, round: number): string {
  if (round === 0) return first;
  const hash = createHash('sha256').update(`${first} ${round}`).digest('hex');
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-4${hash.slice(13, 16)}-8${hash.slice(17, 20)}-${hash.slice(20, 32)}`;
}
