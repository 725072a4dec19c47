/** Packs blocks for whoever has asked for it, and unpacks those that come. */
import zlib from 'node:zlib';
import type { Codec, Packer, Unpack } from '../src/protocol/packed.ts';
import { createPacker, createUnpack, unpackable } from '../src/protocol/packer.ts';

export const packer = (wanted: unknown): Packer | null => createPacker(zlib, wanted);

export const unpack: Unpack = createUnpack(zlib);

export const unpacks: readonly Codec[] = unpackable(zlib);
