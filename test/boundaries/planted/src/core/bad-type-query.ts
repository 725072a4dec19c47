// breaks: core
export type Hidden = import('../ledger/ledger.ts').Ledger;
