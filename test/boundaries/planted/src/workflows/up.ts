import { load } from '../config/load.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { client } from '../runner/client.ts';
import { push } from '../sync/push.ts';
import { hostKeys } from '../transport/host-keys.ts';
export const up = (ledger: Ledger) => [load, ledger, client, push, hostKeys];
