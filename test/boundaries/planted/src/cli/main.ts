import { run } from '@oclif/core';
import { compose } from '../compose.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { up } from '../workflows/up.ts';
export const main: [unknown, unknown, unknown, Ledger?] = [run, compose, up];
