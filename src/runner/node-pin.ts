/** The one Node that is brought to machines, with checksums that were taken from the npm packages that carry the official builds. */

export type LinuxArch = 'x64' | 'arm64';

export interface PinnedNode {
  /** `dist.integrity` of `node-linux-<arch>` on the npm registry. */
  readonly integrity: string;
  /** Of the program itself, `bin/node`; the same in the npm package and in the archive on nodejs.org. */
  readonly sha256: string;
  readonly unpackedBytes: number;
}

export const pinnedVersion = '24.21.0';

export const pinnedNode: Readonly<Record<LinuxArch, PinnedNode>> = {
  x64: {
    integrity: 'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
    sha256: '7fde7b8afa198da66257f42ee2001d874c7355631e6d1579a5fb5ef1f246df4c',
    unpackedBytes: 126_595_440,
  },
  arm64: {
    integrity: 'sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==',
    sha256: '0f8949d1028f6d61506b2d5bc57e7e6fe893d7b1997509b7847294fc9c616584',
    unpackedBytes: 122_893_672,
  },
};
