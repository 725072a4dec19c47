// breaks: core
export type { Ledger } from '../ledger/ledger.ts';
