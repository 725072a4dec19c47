/** What a machine boots from: families of Google's images, the first that exists. Families are retired without notice, so there is a list. */
import { GpuRunError } from '../../core/errors.ts';
import type { GceApi } from './gce-api.ts';
import type { Image } from './gce-resources.ts';

/** With the NVIDIA driver inside. Seen in current use in 2026. */
const gpuFamilies = [
  'deeplearning-platform-release/common-cu129-ubuntu-2204-nvidia-580',
  'ubuntu-os-accelerator-images/ubuntu-accelerator-2204-amd64-with-nvidia-580',
  'ubuntu-os-accelerator-images/ubuntu-accelerator-2404-amd64-with-nvidia-580',
  'deeplearning-platform-release/pytorch-2-9-cu129-ubuntu-2204-nvidia-580',
] as const;

const plainFamilies = ['ubuntu-os-cloud/ubuntu-2404-lts-amd64', 'ubuntu-os-cloud/ubuntu-2204-lts', 'debian-cloud/debian-12'] as const;

/**
 * `wanted`: `PROJECT/FAMILY` or `projects/P/global/images/NAME`, in order of preference; empty: ours.
 * @throws GpuRunError `not-found` that names all that was tried
 */
export async function findImage(api: GceApi, wanted: readonly string[], withGpu: boolean, signal?: AbortSignal): Promise<Image> {
  const candidates = wanted.length > 0 ? wanted : withGpu ? gpuFamilies : plainFamilies;
  for (const candidate of candidates) {
    const exact = /^projects\/[^/]+\/global\/images\/(?!family\/)([^/]+)$/.exec(candidate);
    if (exact !== null) return { name: exact[1] ?? candidate, selfLink: candidate };
    const [, project = '', family = ''] = /^(?:projects\/)?([^/]+)\/(?:global\/images\/family\/)?([^/]+)$/.exec(candidate) ?? [];
    const image = await api.imageFromFamily(project, family, signal);
    if (image !== null) return image;
  }
  throw new GpuRunError('not-found', `None of these images is there, or may be used by the project ${api.project}: ${candidates.join(', ')}.`, {
    hints: [
      'Name one in gpu-run.yaml: gcp: { image: PROJECT/FAMILY }',
      'gcloud compute images list --project=deeplearning-platform-release --no-standard-images   shows those of Google with the NVIDIA driver',
    ],
  });
}
