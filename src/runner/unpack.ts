/** Unpacks what the runner has packed. */
import zlib from 'node:zlib';
import type { Unpack } from '../protocol/packed.ts';
import { createUnpack } from '../protocol/packer.ts';

export const unpack: Unpack = createUnpack(zlib);
