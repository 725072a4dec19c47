export interface Ledger { id: string }
