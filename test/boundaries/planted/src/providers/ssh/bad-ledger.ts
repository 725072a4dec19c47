// breaks: provider-islands
export type { Ledger } from '../../ledger/ledger.ts';
