import type { Transport } from '../transport/transport.ts';
export const push = (_: Transport) => 1;
