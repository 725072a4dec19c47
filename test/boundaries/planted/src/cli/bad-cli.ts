// breaks: cli
export type { Transport } from '../transport/transport.ts';
