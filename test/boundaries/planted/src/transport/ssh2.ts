import { Client } from 'ssh2';
import { hostKeys } from './host-keys.ts';
import type { Transport } from './transport.ts';
export const ssh2: [typeof Client, number, Transport?] = [Client, hostKeys];
