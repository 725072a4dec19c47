/** The native module that is brought to machines with an NVIDIA driver: koffi's own build, from the npm packages that carry it. */
import { koffiVersion } from '../protocol/native.ts';
import type { LinuxArch } from './node-pin.ts';
import type { PinnedPackage } from './npm-package.ts';

export interface PinnedNative extends PinnedPackage {
  /** Of the file in the package. */
  readonly path: string;
  readonly sha256: string;
}

export const pinnedNative: Readonly<Record<LinuxArch, PinnedNative>> = {
  x64: {
    spec: `@koromix/koffi-linux-x64@${koffiVersion}`,
    integrity: 'sha512-xi47MKuoQ9fA2SsrH6wljl9t9120hO66qEmb1le6q636q55J974cZfcwDrK5nW1GalJ+0NLXoH2T3/NGQBzPNw==',
    path: 'package/linux_x64/koffi.node',
    sha256: 'bee3ebc173f47178269e8441fbfd90899c8fe6bc3c948f481c79670f924b1725',
  },
  arm64: {
    spec: `@koromix/koffi-linux-arm64@${koffiVersion}`,
    integrity: 'sha512-k6FPjEYDioyVihUqvRFX4QZK0RL/Rrn4xPEzrKxODxgLAUXlhBTut391zPzgsMcArXgN4YTuS11M/kxmA5s+Fg==',
    path: 'package/linux_arm64/koffi.node',
    sha256: '7086182b845ae3a0e22113513c9a4e4f2b7838814b079c9a91270887eab1adf1',
  },
};
