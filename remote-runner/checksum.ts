/** CRC-32: zlib's own where this Node has it (from 20.15 and 22.2 on; four times as fast), else ours. */
import zlib from 'node:zlib';
import { crc32 as byTable, type Crc32 } from '../src/protocol/crc32.ts';

export const crc32: Crc32 = zlib.crc32 ?? byTable;
