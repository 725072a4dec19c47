// breaks: ledger
export { load } from '../config/load.ts';
