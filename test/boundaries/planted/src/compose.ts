// breaks: compose
import { gpuRun } from './index.ts';
import { sqlite } from './ledger/sqlite-ledger.ts';
import { ssh2 } from './transport/ssh2.ts';
export const compose = async () => [gpuRun, sqlite, ssh2, await import('./providers/local/local-provider.ts')];
