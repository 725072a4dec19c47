import type { Ledger } from './ledger.ts';
export const sqlite: Ledger = { id: '' };
