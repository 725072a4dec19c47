// breaks: concrete-only-in-compose
export { sqlite } from '../ledger/sqlite-ledger.ts';
