/** Where gpu-run's state is, for the command line and the SDK alike: what one of them has started the other has to see. */
import { resolve } from 'node:path';

/** `GPU_RUN_HOME` of `env`, else of this process, else the platform's folder for data. */
export async function homeFolder(env: Readonly<Record<string, string | undefined>>): Promise<string> {
  const given = env['GPU_RUN_HOME'] || process.env['GPU_RUN_HOME'];
  if (given) return resolve(given);
  const { default: envPaths } = await import('env-paths');
  return envPaths('gpu-run', { suffix: '' }).data;
}
